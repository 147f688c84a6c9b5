"""How a program that trains sets up JAX: JAX keeps compiled programs, and each core of a CPU is a device."""

import os
import warnings
from contextlib import suppress
from pathlib import Path

import jax

# With eight devices, each still has eight sequences of a batch of 64.
_MOST_DEVICES = 8


def cache_compilation() -> None:
    """Keep compiled programs for the next start in the user's cache, or where JAX_COMPILATION_CACHE_DIR says."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(caches) / "beliefgeo"))
        jax.config.update("jax_compilation_cache_max_size", 2**30)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        # JAX compiles an entry again that a killed process left half written; this needs no warning at every start.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")


def compile_quickly() -> None:
    """Compile without most optimisations, unless the user says otherwise: a smoke run compiles longer than it runs."""
    if "JAX_DISABLE_MOST_OPTIMIZATIONS" not in os.environ:
        jax.config.update("jax_disable_most_optimizations", True)


def one_device_per_core() -> None:
    """Make each core of a CPU, up to eight, a device, unless the user says otherwise: XLA splits small work badly.

    With several processes each process keeps one device.
    """
    chosen = {"JAX_NUM_CPU_DEVICES", "JAX_NUM_PROCESSES"} & set(os.environ)
    if chosen or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(RuntimeError):  # too late: something has been computed already
        jax.config.update("jax_num_cpu_devices", min(cores, _MOST_DEVICES))
