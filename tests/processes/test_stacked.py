import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from tests.cases import signed_golden_mean

FOUR = [bg.golden_mean(0.3), bg.mess3(), bg.rrxor(), bg.coin(0.2)]
KEY = jax.random.key(5)


class Fair:
    """An observer without matrices."""

    initial = jnp.ones(1)

    def predict(self, belief):
        return jnp.full(2, 0.5)

    def update(self, belief, token):
        return belief


def padded(beliefs, n_states):
    return np.pad(beliefs, ((0, 0), (0, n_states - beliefs.shape[1])))


def test_each_gives_what_it_gives_alone():
    together = bg.stack(FOUR)
    assert together.transitions.shape == (4, 3, 5, 5) and together.initial.shape == together.readout.shape == (4, 5)
    tokens = jnp.array([0, 1, 0, 0, 0, 1, 1])  # what the golden mean forbids at the end
    filtered = jax.vmap(bg.filter_beliefs, (0, None))(together, tokens)
    totals = jax.vmap(bg.log_probability, (0, None))(together, tokens)
    for row, process in enumerate(FOUR):
        alone = bg.filter_beliefs(process, tokens)
        expected = padded(np.asarray(alone.beliefs), 5)
        expected[np.isnan(expected).any(1)] = np.nan
        np.testing.assert_allclose(filtered.beliefs[row], expected, atol=1e-6)
        np.testing.assert_allclose(filtered.log_probabilities[row], alone.log_probabilities, rtol=1e-5)
        np.testing.assert_allclose(totals[row], bg.log_probability(process, tokens), rtol=1e-5)
    laws = jax.vmap(bg.predict_next_token)(together, together.initial)
    assert (laws[jnp.array([0, 2, 3]), 2] == 0).all()
    np.testing.assert_allclose(laws[1], 1 / 3, rtol=1e-6)


def test_a_padded_token_is_impossible():
    together = bg.stack(FOUR)
    logarithms = jax.vmap(bg.log_probability, (0, None))(together, "02")
    assert (np.asarray(logarithms)[[0, 2, 3]] == -np.inf).all() and np.isfinite(logarithms[1])
    beliefs = jax.vmap(bg.update_belief, (0, 0, None))(together, together.initial, 2)
    assert np.isnan(beliefs[jnp.array([0, 2, 3])]).all()


@pytest.mark.parametrize("processes", [FOUR, [bg.random_hmm(KEY, 12, 7), bg.random_hmm(KEY, 3, 2)]])  # both kernels
def test_no_padded_token_is_drawn(processes):
    together = bg.stack(processes)
    keys = jax.random.split(KEY, len(processes))
    drawn = jax.vmap(bg.sample, (0, 0, None))(keys, together, 20_000)
    for row, process in enumerate(processes):
        assert drawn.tokens[row].max() == process.vocab_size - 1
        assert (drawn.beliefs[row, :, process.n_states :] == 0).all()
        alone = bg.filter_beliefs(process, drawn.tokens[row])
        np.testing.assert_allclose(drawn.log_probabilities[row], alone.log_probabilities, atol=1e-4)


def test_laws_that_do_not_change(x64):
    together = bg.stack(FOUR)
    laws = jax.vmap(bg.stationary_distribution)(together)
    for row, process in enumerate(FOUR):
        np.testing.assert_allclose(laws[row, : process.n_states], bg.stationary_distribution(process), atol=1e-12)
        assert (laws[row, process.n_states :] == 0).all()
    smoothed = jax.vmap(bg.smooth_beliefs, (0, None))(together, jnp.array([0, 1, 0]))
    np.testing.assert_allclose(smoothed.beliefs[1, :, :3], bg.smooth_beliefs(FOUR[1], "010").beliefs, atol=1e-12)


def test_generalised_beside_classical(x64):
    processes = [signed_golden_mean(), bg.mess3(), bg.product([bg.coin(), bg.bloch_walk()])]
    together = bg.stack(processes)
    assert together.generalised
    moved = jnp.einsum("pxij,pj->pi", together.transitions, together.readout)
    np.testing.assert_allclose(moved, together.readout, atol=1e-12)
    tokens = jnp.array([0, 1, 0, 0, 1, 1])
    got = jax.vmap(bg.log_probability, (0, None))(together, tokens)
    np.testing.assert_allclose(got, [bg.log_probability(process, tokens) for process in processes], rtol=1e-12)


def test_names_that_all_share():
    one, other = (bg.from_edges([("S", "A", "S", p), ("S", "B", "S", 1 - p)]) for p in (0.2, 0.7))
    named = bg.stack([one, other])
    assert named.state_names == ("S",) and named.token_names == ("A", "B")
    got = jax.vmap(bg.log_probability, (0, None))(named, "AB")
    np.testing.assert_allclose(np.exp(got), [0.2 * 0.8, 0.7 * 0.3], rtol=1e-5)
    assert bg.stack([one, bg.coin()]).token_names is None


def test_mistakes():
    with pytest.raises(ValueError, match="stack needs one process or more; got none"):
        bg.stack([])
    with pytest.raises(TypeError, match="process 1 of stack needs the matrices"):
        bg.stack([bg.coin(), Fair()])
