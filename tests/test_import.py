import subprocess
import sys

import beliefgeo as bg


def test_import_is_light():
    """No plotting, checkpointing or command line on import (timed in experiments/benchmarks/kernels.py)."""
    code = "import sys, beliefgeo; print([m for m in ('matplotlib', 'orbax', 'tyro', 'rich') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version():
    major, minor, patch = bg.__version__.split(".")
    assert int(major) >= 0 and int(minor) > 0 or int(patch) > 0
