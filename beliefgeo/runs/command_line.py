"""An experiment's command line: a preset, any field of its configuration overridden, mistakes told in a sentence."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

import jax
import tyro

from beliefgeo.runs import hosts

Config = TypeVar("Config")

# Of a batch of 64, each then still has eight sequences.
_MOST_DEVICES = 8


def run_experiment(
    main: Callable[[str, Config, Path], None],
    presets: Mapping[str, Config],
    *,
    out: str,
    description: str,
    args: list[str] | None = None,
) -> None:
    """Call `main(preset, config, out)` as the command line says: `[preset] [--field value ...] [--out folder]`.

    The same command, started once a process with the variables of `hosts.join`, is one run of them all.

    Args:
        main: the experiment.
        presets: name -> dataclass with every field set; "default" is used where none is named.
        out: folder for the runs.
        description: shown by --help.
        args: what the user typed; default: the command line.

    Raises:
        SystemExit: an unknown preset or field, any ValueError, FloatingPointError or OSError of the experiment (their
            message alone is printed), or an interrupt (status 130). Where one of several processes fails, the others
            end within a minute: with a message too, or by JAX (status 134).
    """
    args = list(sys.argv[1:] if args is None else args)
    preset = args.pop(0) if args and not args[0].startswith("-") else "default"
    if preset not in presets:
        raise SystemExit(f"error: no preset {preset!r}; choose one of {', '.join(presets)}")
    kind = type(presets[preset])

    def command(
        config: Annotated[kind, tyro.conf.arg(name="")] = presets[preset],  # pyright: ignore[reportInvalidTypeForm]
        out: Annotated[Path, tyro.conf.arg(help="Folder in which the run gets a folder of its own.")] = Path(out),
    ) -> None:
        _cache_compilation()
        one_device_per_core()
        try:
            hosts.join()
            if not hosts.first():
                sys.stdout = open(os.devnull, "w")
            main(preset, config, out)
            hosts.any_of(False)  # nobody leaves while the first still draws
        except (ValueError, FloatingPointError, OSError) as error:
            raise SystemExit(f"error: {error}") from error
        except KeyboardInterrupt as interrupt:
            print(
                f"{str(interrupt) or 'interrupted'}: the same command continues from the last checkpoint",
                file=sys.stderr,
            )
            raise SystemExit(130) from None
        except jax.errors.JaxRuntimeError as error:
            if jax.process_count() == 1:
                raise
            reason = str(error).splitlines()[0][:200]
            print(
                f"error: this process or another of the {jax.process_count()} failed ({reason}): start all of them "
                "again with the same command, which continues from the last checkpoint",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)  # to leave in order is to wait for the others, one of which is probably gone

    tyro.cli(command, args=args, description=description, config=(tyro.conf.OmitArgPrefixes,))


def _cache_compilation() -> None:
    """Keep compiled programs for the next start in the user's cache, or where JAX_COMPILATION_CACHE_DIR says."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(caches) / "beliefgeo"))
        jax.config.update("jax_compilation_cache_max_size", 2**30)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        # An entry that a killed process left half written is compiled again: not worth a warning at every start.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")


def one_device_per_core() -> None:
    """Each core of a CPU, up to eight, becomes a device, unless the user says otherwise: XLA splits small work badly.

    The paper's network trains twice as fast on two devices of one core as on one device of two cores. With several
    processes each keeps one device.
    """
    chosen = {"JAX_NUM_CPU_DEVICES", "JAX_NUM_PROCESSES"} & set(os.environ)
    if chosen or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(RuntimeError):  # too late: something has been computed already
        jax.config.update("jax_num_cpu_devices", min(cores, _MOST_DEVICES))
