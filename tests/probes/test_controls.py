import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes.controls import (
    law_rank,
    score_parts,
    seen_projector,
    shuffle_beliefs,
    shuffle_unseen,
    shuffle_words,
)
from beliefgeo.probes.held_out import held_out
from beliefgeo.probes.neurons import shuffle_within
from beliefgeo.reading.rows import rows_of


@pytest.fixture(scope="module")
def mess3():
    return rows_of(bg.mess3(), bg.words(bg.mess3(), 10))


def test_shuffling_keeps_each_length_together(mess3):
    shuffled = np.asarray(shuffle_beliefs(jax.random.key(0), jnp.asarray(mess3.beliefs), mess3.length))
    for length in range(1, 11):
        at = mess3.length == length
        before, after = mess3.beliefs[at].astype(np.float32), shuffled[at]
        np.testing.assert_array_equal(np.sort(before[:, 0]), np.sort(after[:, 0]))
        assert length < 3 or (before != after).any(1).mean() > 0.9


def test_shuffled_words_have_the_variance_as_their_error(mess3):
    rows, beliefs = shuffle_words(jax.random.key(0), mess3)
    assert len(rows) == 590_490
    features = jax.random.normal(jax.random.key(1), (len(mess3.word), 20))[rows]
    error = bg.score_probe(bg.fit_probe(features, beliefs), features, beliefs).mse
    np.testing.assert_allclose(error, 0.111151, rtol=1e-3)


def test_what_the_law_sees_stays_and_the_rest_is_permuted():
    process = bg.rrxor(0.3, 0.6)
    rows = rows_of(process, bg.words(process, 6))
    seen = seen_projector(rows.beliefs, rows.laws)
    np.testing.assert_allclose(seen, seen.T, atol=1e-9)
    np.testing.assert_allclose(seen @ seen, seen, atol=1e-9)
    # The law depends on two numbers, of which one is the sum of a belief's entries.
    linear = np.asarray(process.transitions).sum(2).T
    assert np.linalg.matrix_rank(seen, tol=1e-4) == np.linalg.matrix_rank(linear) == 2
    shuffled = np.asarray(shuffle_unseen(jax.random.key(0), rows))
    np.testing.assert_allclose(shuffled @ linear, rows.laws, atol=1e-5)
    unseen, moved = (values @ (np.eye(5) - seen) for values in (rows.beliefs, shuffled))
    for length in range(1, 7):
        at = rows.length == length
        order = lambda cloud: np.sort(cloud @ np.array([0.3, 1.1, -0.7, 2.0, 0.1]))  # noqa: E731
        np.testing.assert_allclose(order(moved[at]), order(unseen[at]), atol=1e-5)
    assert abs(moved - unseen).max(1).mean() > 0.1


def test_nothing_is_unseen_in_mess3_and_a_product_has_no_linear_law(mess3):
    np.testing.assert_allclose(shuffle_unseen(jax.random.key(0), mess3), mess3.beliefs, atol=1e-4)
    process = bg.product([bg.mess3(), bg.z1r()])
    rows = rows_of(process, bg.words(process, 3))
    with pytest.raises(ValueError, match="must be linear in the beliefs.*take the joint beliefs"):
        shuffle_unseen(jax.random.key(0), rows)


@pytest.mark.parametrize(
    ("process", "rank", "states"),
    [
        (bg.mess3(), 3, 3),
        (bg.mess3(0.5, 0.2), 3, 3),
        (bg.bloch_walk(), 3, 3),
        (bg.moon(), 3, 3),
        (bg.frdn(), 2, 4),
        (bg.rrxor(), 2, 5),
        (bg.z1r(), 2, 3),
    ],
)
def test_law_rank(process, rank, states):
    """That of the map eta -> eta T^(x) w, of the span of the beliefs."""
    rows = rows_of(process, bg.words(process, 6))
    assert law_rank(rows) == (rank, states) and str(law_rank(rows)) == f"{rank} of {states}"
    emissions = np.asarray(process.transitions, float) @ np.asarray(process.readout, float)
    assert np.linalg.matrix_rank(emissions, tol=1e-5) == rank


def test_parts_that_the_next_token_law_sees_and_cannot_see():
    """Activations that are the laws hold the seen part alone, those that are the beliefs hold both."""
    rows = rows_of(bg.rrxor(), bg.words(bg.rrxor(), 6))
    laws, beliefs = (score_parts(jnp.asarray(site), rows) for site in (rows.laws, rows.beliefs))
    assert laws.seen > 1 - 1e-5 and laws.unseen < 0.2
    assert beliefs.seen > 1 - 1e-5 and beliefs.unseen > 1 - 1e-5 and beliefs.r2 > 1 - 1e-5
    assert laws.r2 == pytest.approx(held_out(jnp.asarray(rows.laws), rows, rows.counts).r2, abs=1e-5)


def test_nothing_unseen_leaves_nothing_to_explain(mess3):
    """All of a belief of Mess3 is in the law; the rounding that is left has no R2 of its own."""
    noise = 0.5 * np.random.default_rng(0).normal(size=mess3.beliefs.shape)
    parts = score_parts(jnp.asarray(mess3.beliefs + noise, jnp.float32), mess3)
    assert parts.unseen == 1 and parts.seen < 0.9


def test_wide_labels_stay_apart():
    """Labels k 2^32 are all 0 once cast; alone in its group nothing moves."""
    labels, values = np.arange(6) * 2**32, np.arange(6.0)[:, None]
    np.testing.assert_array_equal(shuffle_within(jax.random.key(0), values, labels), values)
    np.testing.assert_array_equal(shuffle_beliefs(jax.random.key(0), values, labels), values)
    pairs = shuffle_within(jax.random.key(0), values, np.repeat([0, 2**32, 2**33], 2) + 0.5)
    assert np.sort(np.asarray(pairs).reshape(3, 2)).tolist() == values.reshape(3, 2).tolist()
