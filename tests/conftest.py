import gc
import os
import shutil
import tempfile

import hypothesis
import pytest

# Many tests compile the same programs: once for all of them and the programs they start. Set before jax is imported.
COMPILED = None if "JAX_COMPILATION_CACHE_DIR" in os.environ else tempfile.mkdtemp(prefix="beliefgeo-tests-")
if COMPILED:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# Several tests run at once, each with threads of its own: those of OpenBLAS would wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # noqa: E402
import matplotlib  # noqa: E402

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes many small objects that live on: to look for cycles among them a thousand times takes 4% of the time.
gc.set_threshold(200_000, 20, 100)

# Cases of each generated test. Thorough makes 10,000 in all: HYPOTHESIS_PROFILE=thorough pytest tests/test_generated.py
hypothesis.settings.register_profile("quick", max_examples=14, derandomize=True, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=700, derandomize=False, deadline=None, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure(config):
    if config.option.markexpr == "not slow":  # where nothing trains for minutes, compiling takes longer than running
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # of the programs that tests start
        jax.config.update("jax_disable_most_optimizations", True)
        # Without fusion emitters programs compile in a third of the time. XLA ends at a flag it does not know.
        if jax.__version_info__[:2] == (0, 10):
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false".lstrip()


def pytest_sessionfinish():
    if COMPILED:  # of the process that made it, not of those that it started
        shutil.rmtree(COMPILED, ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Linux lets a process map 65,530 pieces of memory, about ten thousand programs: compiling one more crashes it."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """Run a test in float64."""
    with jax.enable_x64(True):
        yield
