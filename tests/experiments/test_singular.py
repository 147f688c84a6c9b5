"""The sampler on losses whose learning coefficient is known; the claim as a user starts it, tiny."""

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.reading import Seeds
from tests.experiments.command import module, refusal, start

NETWORK: Any = Transformer(TransformerConfig(context=2, layers=1, width=4, head_width=2, mlp_width=4, layer_norm=False))


@pytest.fixture
def parts(monkeypatch):
    """The modules import each other by their names, as a script's neighbours."""
    langevin = module("singular", "langevin")
    monkeypatch.setitem(sys.modules, "langevin", langevin)
    return langevin, module("singular", "known"), module("singular", "measures")


@pytest.mark.parametrize("name", ["six of ten directions", "w^4", "u^2 v^2"])
def test_known_coefficients(name, parts):
    _, known, _ = parts
    found = known.check(jax.random.key(1), known.CASES[name](), draws=3000)
    assert found["right"], f"{found['sampled']:.4f}, {found['exact']:.4f}"


def test_exact_values_tend_to_the_learning_coefficients(parts):
    _, known, _ = parts
    grid = np.linspace(-2, 2, 40_001)
    # Gamma(5/4) / Gamma(1/4) = 1/4 without the hold, whatever the temperature.
    assert known.at_temperature(grid**4, grid**2, 1e6) == pytest.approx(0.25, abs=1e-3)
    # d/2 of a quadratic loss, times the share of its curvature.
    assert known.at_temperature(3 * grid**2 / 2, grid**2, 1e3) == pytest.approx(3000 / 3001 / 2, abs=1e-6)
    assert known.fourth_power().exact < 0.25 and 0.3 < known.product().exact < 0.5


@pytest.mark.slow
def test_without_correction_the_spread_of_a_quadratic_loss_is_too_large_by_the_step(parts):
    langevin, _, _ = parts
    around = langevin.Around(jnp.zeros(4), jnp.eye(4), jnp.full(4, 2.0))
    loss = lambda w: w @ w  # of curvature 2
    chain = lambda key, corrected: langevin.sample(
        key, loss, around, 50.0, 1.0, step=1.0, burn=50, draws=1000, corrected=corrected
    )
    keys, exact = jax.random.split(jax.random.key(0), 64), 2 * 100 / 101
    raw, right = (jax.vmap(chain, (0, None))(keys, one) for one in (False, True))
    # z' = z/2 + noise has the variance 1/(1 - 1/4).
    assert float(raw.coefficient.mean()) == pytest.approx(exact * 4 / 3, rel=0.03)
    assert float(right.coefficient.mean()) == pytest.approx(exact, rel=0.03)
    assert 0 < float(right.acceptance.mean()) < 1


def test_the_quadratic_loss_by_hand(parts):
    _, _, measures = parts
    spread, drift = measures.quadratic(jnp.array([4.0, 1.0, 0.0]), jnp.array([0.5, 0.0, 0.0]), 100.0, 10.0)
    assert float(spread) == pytest.approx((400 / 410 + 100 / 110) / 2, rel=1e-5)
    # The mean is at x = -50/410: 100 (x/2 + 2 x^2).
    assert float(drift) == pytest.approx(100 * (-25 / 410 + 2 * (50 / 410) ** 2), rel=1e-5)


@pytest.mark.slow
def test_chains_on_a_slope_find_what_the_quadratic_loss_says(parts):
    langevin, _, measures = parts
    curvatures, slopes = jnp.array([4.0, 1.0, 0.0]), jnp.array([0.5, 0.0, 0.0])
    loss = lambda w: slopes @ w + curvatures @ w**2 / 2
    around = langevin.Around(jnp.zeros(3), jnp.eye(3), curvatures)
    spread, drift = measures.quadratic(curvatures, slopes, 100.0, 10.0)
    chain = lambda key: langevin.sample(key, loss, around, 100.0, 10.0, step=0.5, burn=100, draws=1000)
    found = jax.vmap(chain)(jax.random.split(jax.random.key(0), 64)).coefficient
    assert float(found.mean()) == pytest.approx(float(spread + drift), abs=0.1)


@pytest.mark.slow
def test_the_exact_loss_and_its_curvature(parts):
    _, _, measures = parts
    process = bg.mess3(0.15, 0.6)
    rows = reading.rows(jax.random.key(0), process, 2)
    every, params = measures.prefixes(rows), NETWORK.init(jax.random.key(1), jnp.zeros(2, int))
    gap = reading.losses(reading.read(NETWORK, params, rows), rows).gap
    assert float(measures.excess(NETWORK, params, every)) == pytest.approx(gap, rel=1e-4)
    # At a network that predicts its targets, the curvature is the Hessian, and the slope is 0.
    logits, _ = jax.vmap(NETWORK.apply, (None, 0))(params, every.tokens)
    met = every._replace(laws=jax.nn.softmax(logits)[every.word, every.position])
    flat, unravel = ravel_pytree(params)
    hessian = jax.jit(jax.hessian(lambda flat, every: measures.excess(NETWORK, unravel(flat), every)))(flat, met)
    around = jax.jit(measures.around, static_argnums=0)
    here, slopes = around(NETWORK, params, met)
    rebuilt = jnp.einsum("kd,k,ke->de", here.directions, here.curvatures, here.directions)
    np.testing.assert_allclose(rebuilt, hessian, atol=2e-5 * float(abs(hessian).max()))
    np.testing.assert_allclose(slopes, 0, atol=1e-6)
    assert int((here.curvatures > 0).sum()) <= 2 * len(rows.word)
    slope = jax.jit(jax.grad(lambda flat, every: measures.excess(NETWORK, unravel(flat), every)))(flat, every)
    here, slopes = around(NETWORK, params, every)
    np.testing.assert_allclose(slopes @ here.directions, slope, atol=1e-4 * float(abs(slope).max()))


def test_moments_and_growth_by_hand(parts):
    _, _, measures = parts
    r2 = np.array([[0.5, 0.96, 0.97, 0.995], [0.6, 0.7, 0.95, 0.96]])
    path = {"coefficient": np.arange(16.0).reshape(2, 4, 2), "quadratic": np.full((2, 4, 2), 2.0)}
    found = measures.moments([0, 1, 10, 100], {"r2": Seeds(r2)}, path, (10.0, 1000.0))
    assert list(found) == ["untrained", "R2 0.95", "trained"]  # the second network never reaches .99
    assert found["R2 0.95"]["step"].values.tolist() == [1, 10] and found["trained"]["step"].values.tolist() == [
        100,
        100,
    ]
    assert found["R2 0.95"]["r2"].values.tolist() == [0.96, 0.95]
    assert found["trained"]["n beta"]["1000"]["coefficient"].values.tolist() == [7, 15]
    assert found["trained"]["n beta"]["10"]["ratio"].values.tolist() == [3, 7]
    grown = measures.growth(np.array([[1.0, 10.0], [2.0, 2.0]]), (10.0, 1000.0))
    np.testing.assert_allclose(grown["10 to 1000"].values, [0.5, 0])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--nbetas", "1e4", "1e3"], "nbetas must be positive and grow; got 10000 1000"),
        (["--gamma", "0"], "gamma must be positive; got 0"),
        (["--draws", "1"], "a chain needs burn of 0 or more and draws of 2 or more; got 20 and 1"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("singular", "quick", *args, "--out", str(tmp_path / "out"))


@pytest.mark.slow
def test_singular(tmp_path):
    done = start("singular", "quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (home,) = (tmp_path / "singular").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"training", "temperature"}
    found = json.loads((home / "results.json").read_text())
    assert found["known and right"] == 3 and found["moments"]["trained"]["gap"]["mean"] < 0.01
