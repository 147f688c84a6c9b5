import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.constrained import evidence
from beliefgeo.mechanisms.attention import fit_decay
from beliefgeo.mechanisms.evidence import (
    effective_attention,
    evidence_cosines,
    evidence_gains,
    evidence_modes,
    head_values,
    regress_evidence,
)
from beliefgeo.networks.transformer import Transformer, TransformerConfig

RNG = np.random.default_rng(3)


def test_modes_are_those_of_the_mean_dynamics():
    total = np.asarray(bg.rrxor(0.3, 0.6).transitions.sum(0), np.float64)
    symmetric = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]])
    modes = evidence_modes(symmetric)
    np.testing.assert_allclose(symmetric @ modes.directions, modes.directions * modes.zeta, atol=1e-12)
    assert modes.zeta[0] > modes.zeta[1] and abs(modes.directions.sum(0)).max() < 1e-9
    with pytest.raises(ValueError, match="needs real eigenvalues"):
        evidence_modes(total)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_values_are_what_the_network_adds(layer_norm):
    """Where all tokens are alike, attention mixes what heads add for that token by position; then the output bias."""
    config = TransformerConfig(context=3, layers=1, width=8, heads=2, head_width=4, mlp_width=8, layer_norm=layer_norm)
    network = Transformer(config)
    params = network.init(jax.random.key(1), jnp.zeros(3, int))
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)
    values = head_values(params["params"])
    bias = params["params"]["block_0"]["attention"]["output"]["bias"]
    _, sites = jax.vmap(lambda token: network.apply(params, jnp.full(3, token)))(jnp.arange(3))
    added = sites["resid_mid"][:, 0] - sites["resid_pre"][:, 0]  # [token, time, width]
    # Time 0 reads position 0 alone, time 2 a mixture of positions 0 to 2 as its attention has it.
    np.testing.assert_allclose(values[0].sum(0) + bias[None], added[:, 0], atol=1e-5)
    mixed = jnp.einsum("zhp,phzw->zw", sites["attn_pattern"][:, 0, :, 2], values)
    np.testing.assert_allclose(mixed + bias[None], added[:, 2], atol=1e-5)


def law_of(process):
    return process.predict(process.initial)


def told_by(process):
    return np.asarray(evidence(process)), evidence_modes(process.transitions.sum(0))


def test_cosines_of_ideal_and_of_turned_values():
    process = bg.mess3(0.15, 0.6)
    told, law = told_by(process)[0], law_of(process)
    np.testing.assert_allclose(evidence_cosines(0.3 * told + 5, told, law), 1, atol=1e-4)
    # In the plane of the three evidence vectors a turn by 60 degrees has cosine 1/2 with each.
    turned = -np.roll(told, 1, axis=0)
    both = evidence_cosines(np.stack([turned, -told]), told, law)
    np.testing.assert_allclose(both, [[0.5] * 3, [-1] * 3], atol=1e-4)


def test_evidence_that_says_nothing():
    """A token that tells what all tell has the cosine 0, one that cannot come first none; a still mode the gain 0."""
    law = np.array([0.5, 0.25, 0.25])
    told = np.array([[0.0, 0.0], [0.7, -0.7], [-0.7, 0.7]]) + 0.1  # the first is the mean, but for rounding
    np.testing.assert_allclose(evidence_cosines(3 * told, told, law), [0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(evidence_cosines(np.full((3, 2), 0.1), told, law), 0)
    undefined = np.r_[told[1:], [[np.nan, np.nan]]]
    found = evidence_cosines(undefined, undefined, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(found, [1, 1, np.nan], rtol=1e-6)
    directions = np.array([[1.0, 1.0], [-1.0, 1.0]])  # along the second all tell the same
    np.testing.assert_allclose(evidence_gains(3 * told, told, directions, law), [3, 0], rtol=1e-5)
    np.testing.assert_allclose(evidence_gains(2 * undefined, undefined, directions, [0.5, 0.5, 0.0]), [2, 0], rtol=1e-5)
    np.testing.assert_allclose(evidence_cosines(3 * told + 1e4, told, law), [0, 1, 1], atol=1e-2)


def test_laws_and_shapes_of_evidence():
    told, gains = np.eye(3), np.ones((2, 3))
    for call in (lambda law: evidence_cosines(told, told, law), lambda law: evidence_gains(told, told, told, law)):
        with pytest.raises(ValueError, match="law must sum to 1 over tokens; got 1.2"):
            call([0.4, 0.4, 0.4])
        with pytest.raises(ValueError, match="nonnegative"):
            call([1.2, -0.1, -0.1])
        with pytest.raises(
            ValueError, match=r"(seen|evidence) must be \[..., token, state\], law \[token\]; got \(3, 3\) and \(2,\)"
        ):
            call([0.5, 0.5])
    for shapes in ((gains[:1], np.ones(3)), (gains, np.ones(1)), (np.ones((3, 2, 3)), np.ones(3))):
        with pytest.raises(ValueError, match="effective_attention needs by_lag"):
            effective_attention(np.ones((2, 5)), *shapes)
    for wrong in (np.eye(3)[:2], 0.5 * np.eye(3)):
        with pytest.raises(ValueError, match="mean_dynamics must"):
            evidence_modes(wrong)


def test_tokens_without_evidence_are_refused():
    """A gather would clamp a BOS to the last token."""
    told, seen = np.array([[-1.0], [1.0]]), np.ones((4, 1))
    for wrong in (2, -1, 2**32):
        tokens = np.array([[0, 0], [0, 1], [1, 0], [1, wrong]])
        with pytest.raises(ValueError, match="tokens must lie in 0..1, of which there is evidence.*leave a BOS out"):
            regress_evidence(seen, tokens, told, np.ones((1, 1)))
    with pytest.raises(ValueError, match=r"tokens must be \[word, time\], seen \[word, state\]"):
        regress_evidence(seen, np.zeros(4, int), told, np.ones((1, 1)))


def test_gains_are_weighted_slopes():
    law, told, directions = RNG.dirichlet(np.ones(4)), RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2))
    seen = RNG.normal(size=(5, 4, 3))
    slope = lambda x, y: np.polyfit(x, y, 1, w=np.sqrt(law))[0]
    expected = [[slope(told @ u, one @ u) for u in directions.T] for one in seen]
    np.testing.assert_allclose(evidence_gains(seen, told, directions, law), expected, rtol=1e-4)
    np.testing.assert_allclose(evidence_gains(0.3 * told + 2, told, directions, law), 0.3, rtol=1e-4)


def test_effective_attention_of_ideal_heads():
    (told, modes), law = told_by(bg.mess3(0.15, 0.6)), law_of(bg.mess3(0.15, 0.6))
    gain, lags = evidence_gains(told, told, modes.directions, law), np.arange(5)
    found = effective_attention(0.55 ** lags[None], gain[None], np.zeros(2))
    np.testing.assert_allclose(found, [0.55**lags] * 2, atol=1e-4)
    # The residual carries the token itself past a head that never looks at it.
    past = np.where(lags == 0, 0, 0.55**lags)[None]
    np.testing.assert_allclose(effective_attention(past, gain[None], gain), [0.55**lags] * 2, atol=1e-4)
    # Uniform attention fades all the same if the values do, from position to position.
    fading = 0.55 ** lags[:, None, None] * gain[None, None]
    np.testing.assert_allclose(effective_attention(np.ones((1, 5)), fading, [0, 0]), [0.55**lags] * 2, atol=1e-4)


def test_an_even_and_an_odd_head_make_a_negative_zeta():
    (told, modes), law = told_by(bg.mess3(0.5, 0.6)), law_of(bg.mess3(0.5, 0.6))
    np.testing.assert_allclose(modes.zeta, -0.5, atol=1e-6)
    lags = np.arange(6)
    heads = np.stack([np.where(lags % 2 == parity, 0.5**lags, 0) for parity in (0, 1)])
    gains = evidence_gains(np.stack([told, -told]), told, modes.directions, law)
    found = effective_attention(heads, gains, np.zeros(2))
    np.testing.assert_allclose([fit_decay(weights, lags).zeta for weights in found], -0.5, atol=1e-4)


def test_regression_finds_the_weights_of_a_sum_under_noise():
    process = bg.mess3(0.5, 0.6)
    told, modes = told_by(process)
    tokens = RNG.integers(0, 3, (4000, 4))
    constrained = np.asarray(jax.vmap(lambda word: bg.constrained_beliefs(process, word))(tokens))[:, -1]
    found = regress_evidence(constrained, tokens, told, modes.directions, RNG.uniform(1, 2, 4000))
    np.testing.assert_allclose(found, [(-0.5) ** np.arange(4)] * 2, atol=1e-4)
    noisy = constrained + 0.1 * RNG.normal(size=constrained.shape)
    assert 1e-4 < abs(regress_evidence(noisy, tokens, told, modes.directions) - found).max() < 0.05
