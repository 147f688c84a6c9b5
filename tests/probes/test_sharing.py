import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np

from beliefgeo.probes.nested import cross_validate_probe

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((60, 5)).astype(np.float32)
TARGETS = FEATURES[:, :2] + 0.3 * RNG.standard_normal((60, 2)).astype(np.float32)
FOLDS = np.arange(60) % 4


def found():
    return cross_validate_probe(FEATURES, TARGETS, FOLDS)


def test_three_devices_find_what_one_finds(tmp_path):
    """Six pairs of folds and four folds: the devices divide the one, not the other."""
    path, here = tmp_path / "found.npz", found()
    surroundings = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3", "JAX_PLATFORMS": "cpu"}
    program = (
        "import sys, jax, numpy as np; from tests.probes.test_sharing import found; assert jax.device_count() == 3; "
        "np.savez(sys.argv[1], **found()._asdict())"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], env=surroundings, check=True)
    shared = np.load(path)
    np.testing.assert_allclose(shared["predictions"], here.predictions, atol=1e-6)
    np.testing.assert_array_equal(shared["rcond"], here.rcond)


def test_predictions_meet_arrays_of_the_default_device():
    assert (jnp.asarray(TARGETS) - found().predictions).shape == TARGETS.shape
