import os

import hypothesis
import jax
import matplotlib
import pytest

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_enable_compilation_cache", False)  # of the experiments' command line: tests leave no files

# Cases of each generated test. Thorough makes 10,000 in all: HYPOTHESIS_PROFILE=thorough pytest tests/test_generated.py
hypothesis.settings.register_profile("quick", max_examples=14, derandomize=True, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=700, derandomize=False, deadline=None, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture
def x64():
    """Run a test in float64."""
    with jax.enable_x64(True):
        yield
