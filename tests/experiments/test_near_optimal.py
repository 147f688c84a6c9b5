"""Where laws lie beside the curve: cases with known answers, and the experiment as a user runs it."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.reading import Seeds
from tests.experiments.command import CAPTURED, module, start

measures, widths = module("near_optimal", "measures"), module("near_optimal", "widths")
# After four tokens the phase of Z1R is known, and each phase is told by the next three tokens.
TASK = measures.Task(bg.z1r, 4, 3, (2.0, 60.0, 3))


@pytest.fixture(scope="module")
def truth():
    return measures.exact(TASK, TASK.future)


def phases(truth):
    """The phase of each past, of equal laws."""
    return np.unique(truth.laws.round(6), axis=0, return_inverse=True)[1].reshape(-1)


def merged(truth, first, second):
    """The laws of who cannot tell two phases apart."""
    phase = phases(truth)
    groups = np.where(phase == second, first, phase)
    mean = lambda group: (
        truth.weights[groups == group] @ truth.laws[groups == group] / truth.weights[groups == group].sum()
    )
    return np.stack([mean(group) for group in groups])


def test_laws_whose_place_is_known(truth):
    """Exact laws; two phases merged; the mean law; laws of the next phase; half way to the mean law."""
    phase, mean = phases(truth), np.tile(truth.weights @ truth.laws, (len(truth.laws), 1))
    of_phase = np.stack([truth.laws[phase == one][0] for one in range(3)])
    wrong = 0.999 * of_phase[(phase + 1) % 3] + 0.001 * mean
    laws = np.stack([truth.laws, merged(truth, 0, 1), mean, wrong, (truth.laws + mean) / 2])
    found = measures.points(truth, laws)
    whole, two = np.log(3), np.log(3) - 2 / 3 * np.log(2)
    np.testing.assert_allclose(found.rate, [whole, two, 0, whole, whole], atol=2e-3)
    np.testing.assert_allclose(found.known, [whole, two, 0, whole, whole], atol=2e-3)
    # A phase has two futures of chance 1/2, the mean law six of 1/6: half way expects 1/3, twice the mean. A wrong law
    # tells less than nothing.
    np.testing.assert_allclose(found.told[[0, 1, 2, 4]], [whole, two, 0, np.log(2)], atol=2e-3)
    assert found.told[3] < -5
    np.testing.assert_allclose(found.share[[0, 1, 2, 4]], [1, 1, 0, np.log(2) / np.log(3)], atol=2e-3)


def test_no_laws_lie_above_the_curve(truth):
    laws = np.random.default_rng(0).dirichlet(np.full(8, 0.5), (5, len(truth.weights)))
    for resolution in measures.RESOLUTIONS:
        found = measures.points(truth, laws, resolution)
        assert (found.told <= found.known + 1e-9).all() and (found.known <= found.allowed + 1e-9).all()


def test_wrong_pasts_and_the_next_token(truth):
    laws = np.stack([truth.laws] * 2)
    wrong = measures.shuffled(jax.random.key(0), laws)
    assert sorted(map(tuple, wrong[0])) == sorted(map(tuple, laws[0])) and (wrong[0] != wrong[1]).any()
    one = measures.next_token(laws, 2)[0]
    np.testing.assert_allclose(one[:, 0], truth.laws[:, :4].sum(1))


def test_verdicts():
    assert measures.verdict(Seeds(np.array([0.96, 0.97, 0.965]))) == "near the curve"
    assert measures.verdict(Seeds(np.array([0.9, 0.91, 0.9]))) == "below it"
    assert measures.verdict(Seeds(np.array([0.9, 0.99, 0.96]))) == "undecided"


def test_mistakes():
    with pytest.raises(ValueError, match="widths must be different numbers, 1 or more; got .0, 4."):
        widths.check((0, 4), TransformerConfig(layer_norm=False))
    with pytest.raises(ValueError, match="a narrow stream needs a network without LayerNorm"):
        widths.check((2, 4), TransformerConfig())


def test_a_narrow_stream_is_the_network_of_that_width():
    """The same params, cut to the numbers that are used, give the same logits."""
    config = TransformerConfig(2, 4, 1, 6, head_width=4, mlp_width=5, layer_norm=False)
    network, tokens, used = widths.Narrow(config), jnp.array([0, 1, 1]), np.arange(6) < 2
    params = jax.jit(network.init)(jax.random.key(0), tokens)
    apply = jax.jit(network.apply)
    narrow, _ = apply(params | {"used": jnp.asarray(used, jnp.float32)}, tokens)
    whole = jax.tree_util.tree_map_with_path(partial(cut, 2), params["params"])
    expected, _ = jax.jit(Transformer(replace(config, width=2)).apply)({"params": whole}, tokens)
    np.testing.assert_allclose(narrow, expected, atol=1e-6)
    assert not np.allclose(narrow, apply(params, tokens)[0], atol=1e-2)


def cut(width, path, array):
    """The first numbers of the stream, on the axis where an array reads or writes it."""
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    if "embed" in name.split("/")[0] and "unembed" not in name or "positions" in name:
        return array[:, :width]
    if "kernel" in name and ("output" in name or "mlp_out" in name):
        return array[..., :width]
    if "bias" in name and ("output" in name or "mlp_out" in name):
        return array[:width]
    return array[:width] if "kernel" in name else array


@pytest.mark.slow
def test_the_claim(tmp_path):
    done = start("near_optimal", "quick", "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (folder,) = (tmp_path / "near_optimal").glob("quick-*")
    assert {"curve.png", "shares.png", "training.png", "claims.json"} <= {path.name for path in folder.iterdir()}
    found = json.loads((folder / "results.json").read_text())["z1r"]
    assert found["total"] == pytest.approx(np.log(3), abs=1e-6)
    assert found["exact laws"]["share"] == pytest.approx([1], abs=1e-3)
    for one in found["widths"].values():
        assert (
            one["wrong pasts"]["share"]["mean"] < one["trained"]["share"]["mean"] + 0.2
            and one["trained"]["share"]["mean"] <= 1
        )
