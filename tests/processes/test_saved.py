import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.saved import read_process
from tests.cases import ALL


@pytest.mark.parametrize("name", ["mess3", "rrxor", "bloch_walk", "signed_golden_mean"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("file", ["process.npz", "process.json"])
def test_back_bit_for_bit(name, precision, file, tmp_path):
    with jax.enable_x64(precision == "float64"):
        process = ALL[name]()
        process.save(tmp_path / file)
        again = bg.load_process(tmp_path / file)
        assert again.generalised == process.generalised
        assert again.state_names is None and again.token_names is None
        for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(process), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("file", ["process.npz", "process.json"])
def test_numbers_and_names_of_every_kind(file, tmp_path):
    names = {"state_names": ("Grüße", (1, ("a", None)), 2.5), "token_names": (False, "1")}
    entries = np.random.default_rng(0).integers(0, 2**31, (2, 3, 3), np.int32).view(np.float32)
    entries = jnp.asarray(np.where(np.isfinite(entries), entries, np.float32(-0.0)))
    process = bg.Process(entries, entries[0, 0], entries[1, 1], **names)
    process.save(tmp_path / file)
    again, named = read_process(tmp_path / file)  # numbers of no process, which `load_process` refuses
    assert named == names
    for part in ("transitions", "initial", "readout"):
        assert again[part].tobytes() == np.asarray(getattr(process, part)).tobytes()
    with pytest.raises(ValueError, match="holds no process: initial"):
        bg.load_process(tmp_path / file)


def test_a_file_to_read(tmp_path):
    process = bg.from_edges([("A", "0", "A", 0.3), ("A", "1", "B", 0.7), ("B", "1", "A", 1.0)], "A")
    process.save(tmp_path / "even.json")
    text = """{
  "state_names": ["A", "B"],
  "token_names": ["0", "1"],
  "generalised": false,
  "precision": "float32",
  "initial": [1.0, 0.0],
  "readout": [1.0, 1.0],
  "transitions": [
    [[0.3, 0.0], [0.0, 0.0]],
    [[0.0, 0.7], [1.0, 0.0]]
  ]
}
"""
    assert (tmp_path / "even.json").read_text() == text
    assert bg.log_probability(bg.load_process(tmp_path / "even.json"), "011") == bg.log_probability(process, "011")
    for damaged, why in [
        (text[:-20], "holds no process: a file of Process.save has transitions"),
        (text.replace('"readout"', '"red"'), "holds no process: a file of Process.save has transitions"),
        (text.replace("0.7", '"much"'), "holds no process: a file of Process.save has transitions"),
        (text.replace("[1.0, 1.0]", "[1.0]"), r"holds no process: .*have shapes \(2, 2, 2\), \(2,\) and \(1,\)"),
        (text.replace("[0.3, 0.0]", "[0.3]"), "holds no process"),
        (text.replace('"A", "B"', '"A"'), r"holds no process: it needs 2 different state_names; got \['A'\]"),
        (text.replace('"0", "1"', '"1", "1"'), r"holds no process: it needs 2 different token_names"),
        (text.replace("0.7", "0.9"), "holds no process: transitions must sum to 1 .*; state 0 sums to 1.2"),
        (text.replace("0.7", "-0.7"), r"holds no process: transitions must be nonnegative; entry \[1, 0, 1\] is -0.7"),
        (text.replace("0.7", "NaN"), r"holds no process: transitions must be finite; entry \[1, 0, 1\] is nan"),
        (text.replace("[1.0, 0.0],", "[0.7, 0.0],", 1), "holds no process: initial must be normalised"),
        (text.replace("[1.0, 0.0],", "[1.5, -0.5],", 1), "holds no process: initial must be nonnegative"),
        (text.replace("[1.0, 1.0]", "[1.0, 0.5]"), "holds no process: the readout of an HMM must be all ones"),
        (text.replace("false", "true").replace("0.7", "Infinity"), "holds no process: transitions must be finite"),
        ("[1, 2]", "holds no process"),
        ("", "holds no process"),
    ]:
        (tmp_path / "damaged.json").write_text(damaged)
        with pytest.raises(ValueError, match=why):
            bg.load_process(tmp_path / "damaged.json")


@pytest.mark.parametrize("file", ["process.npz", "process.json"])
def test_names_that_no_file_holds(file, tmp_path):
    for names in ((frozenset("a"), "b"), (("a", object()), "b")):
        process = bg.from_edges([("A", names[0], "A", 0.5), ("A", names[1], "A", 0.5)])
        with pytest.raises(TypeError, match="strings, numbers or tuples of such to be saved; got"):
            process.save(tmp_path / file)
        assert not (tmp_path / file).exists()


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


@pytest.mark.parametrize("file", ["process.npz", "process.json"])
def test_what_was_learnt_is_kept(file, tmp_path):
    """A learnt process may give a long word a negative probability, which `ghmm` refuses; its file is as good."""
    tokens = bg.sample(jax.random.key(0), bg.mess3(), 3000).tokens
    process = bg.spectral_learn(tokens, 2, 2, rank=3).process
    process.save(tmp_path / file)
    for one, other in zip(jax.tree.leaves(bg.load_process(tmp_path / file)), jax.tree.leaves(process), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_becomes_float32(tmp_path):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.float16), bg.coin(0.25))
    half.save(tmp_path / "half.json")
    again = bg.load_process(tmp_path / "half.json")
    assert again.transitions.dtype == again.initial.dtype == jnp.float32
    np.testing.assert_array_equal(again.transitions, bg.coin(0.25).transitions)
