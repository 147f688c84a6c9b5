import jax
import numpy as np
import pytest

import beliefgeo as bg
from tests.cases import ALL


@pytest.mark.parametrize("name", ["mess3", "rrxor", "bloch_walk", "signed_golden_mean"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_back_bit_for_bit(name, precision, tmp_path):
    with jax.enable_x64(precision == "float64"):
        process = ALL[name]()
        process.save(tmp_path / "process.npz")
        again = bg.load_process(tmp_path / "process.npz")
        assert again.generalised == process.generalised
        for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(process), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_the_path_is_kept_and_replaced(tmp_path):
    path = tmp_path / "no ending"
    bg.coin(0.3).save(path)
    bg.coin(0.7).save(str(path))
    assert [file.name for file in tmp_path.iterdir()] == ["no ending"]
    np.testing.assert_allclose(bg.load_process(path).transitions[:, 0, 0], [0.7, 0.3], rtol=1e-6)


def test_plain_arrays(tmp_path):
    bg.golden_mean().save(tmp_path / "golden.npz")
    with np.load(tmp_path / "golden.npz", allow_pickle=False) as held:
        assert sorted(held) == ["generalised", "initial", "readout", "transitions"]
        np.testing.assert_array_equal(held["transitions"], bg.golden_mean().transitions)


def test_mistakes(tmp_path):
    with pytest.raises(FileNotFoundError):
        bg.load_process(tmp_path / "missing.npz")
    np.savez(tmp_path / "other.npz", transitions=np.ones((1, 1, 1)))
    np.savez(tmp_path / "shapes.npz", transitions=np.ones((1, 1, 1)), initial=[1, 0], readout=[1], generalised=False)
    (tmp_path / "text").write_text("transitions")
    (tmp_path / "empty").touch()
    np.save(tmp_path / "array.npy", np.ones(3))
    np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
    for name in ("other.npz", "shapes.npz", "text", "empty", "array.npy", "pickle.npy"):
        with pytest.raises(ValueError, match=f"{name} holds no process"):
            bg.load_process(tmp_path / name)
    with pytest.raises(TypeError, match="call save outside jit"):
        jax.jit(lambda p: bg.coin(p).save(tmp_path / "traced.npz"))(0.5)
