import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.probes import controls
from beliefgeo.probes.controls import Control, shuffle_beliefs, shuffle_prefixes, shuffle_unseen
from beliefgeo.probes.held_out import by_folds, held_out, held_out_folds, nested
from beliefgeo.probes.nested import cross_validate_probe
from beliefgeo.reading.rows import rows_of


@pytest.fixture(scope="module")
def mess3():
    return rows_of(bg.mess3(), bg.words(bg.mess3(), 6))


def features_of(rows, noise, written=None):
    """Beliefs written linearly in 12 dimensions, offset, under noise."""
    rng = np.random.default_rng(0)
    written = rows.beliefs if written is None else written
    clean = written @ rng.normal(size=(written.shape[1], 12)) + 5
    return jnp.asarray(clean + noise * rng.normal(size=clean.shape), jnp.float32)


def test_perfect_features_are_a_full_window(mess3):
    score = held_out(features_of(mess3, 0.0), mess3, mess3.counts)
    assert score.unexplained < 1e-8 and score.window == 6
    assert score.length.tolist() == [3, 4, 5, 6]
    assert (score.mse_per_length < 1e-8).all()


def test_scores_are_those_of_held_out_rows(mess3):
    features = features_of(mess3, 0.3)
    score = held_out(features, mess3, mess3.probabilities)
    rows = mess3.length >= 3
    shares = mess3.probabilities[rows] / mess3.probabilities[rows].sum()
    beliefs = mess3.beliefs[rows]
    variance = (shares[:, None] * (beliefs - shares @ beliefs) ** 2).sum()
    np.testing.assert_allclose(score.unexplained, 3 * score.mse / variance, rtol=1e-4)
    by_length = [mess3.probabilities[mess3.length == length].sum() for length in score.length]
    np.testing.assert_allclose(np.average(score.mse_per_length, weights=by_length), score.mse, rtol=1e-4)
    # An in-sample fit cannot be worse.
    fitted = bg.fit_probe(features, mess3.beliefs, mess3.probabilities)
    in_sample = bg.score_probe(fitted, features, mess3.beliefs, mess3.probabilities)
    assert score.r2 < in_sample.r2


def test_features_that_know_nothing_score_nothing(mess3):
    noise = jax.random.normal(jax.random.key(0), (len(mess3.word), 30))
    score = held_out(noise, mess3, mess3.counts)
    assert abs(score.r2) < 0.05 and score.window < 0.05


def test_folds_are_whole_subtrees(mess3):
    folds, subtrees = held_out_folds(mess3), mess3.subtrees(3)
    assert sorted(np.unique(folds)) == list(range(-1, 9))
    assert all(len(np.unique(folds[subtrees == subtree])) == 1 for subtree in range(27))
    np.testing.assert_array_equal(folds == -1, mess3.length < 3)


def test_where_three_tokens_make_few_words_the_roots_lie_deeper():
    """RRXOR has 8, 16, 28 words of 3, 4, 5 tokens: 27 subtrees or more from 5 on. Z1R never has so many."""
    rows = rows_of(bg.rrxor(), bg.words(bg.rrxor(), 10))
    folds, subtrees = held_out_folds(rows), rows.subtrees(5)
    assert subtrees.max() + 1 == 28 and rows.subtrees(4).max() + 1 == 16
    np.testing.assert_array_equal(folds, np.where(subtrees < 0, -1, subtrees % 9))
    few = rows_of(bg.z1r(), bg.words(bg.z1r(), 8))
    np.testing.assert_array_equal(held_out_folds(few), few.subtrees(3))


def test_a_perfect_probe_of_the_golden_mean_knows_one_token():
    """A token tells its state: two tell no more, and a shuffle tells nothing."""
    rows = rows_of(bg.golden_mean(), bg.words(bg.golden_mean(), 8))
    for features in (rows.beliefs, jnp.asarray(rows.beliefs, jnp.float16)):
        for weights in (rows.counts, rows.probabilities):
            assert held_out(features, rows, weights).window == 1
    shuffled = shuffle_beliefs(jax.random.key(0), rows.beliefs, rows.length)
    assert held_out(rows.beliefs, rows, rows.counts, targets=shuffled).window == 0


def test_a_coin_has_nothing_to_believe():
    """Its one belief is predicted by anything, in no tokens, and shuffles do as well."""
    rows = rows_of(bg.coin(0.3), bg.words(bg.coin(0.3), 5))
    features = jax.random.normal(jax.random.key(0), (len(rows.word), 4))
    score = held_out(features, rows, rows.counts)
    assert (score.mse, score.r2, score.unexplained, score.window) == (0, 1, 0, 0)
    test = Control(shuffle_prefixes, jax.random.key(0), 4).against(features, rows, rows.counts)
    assert test.r2 == 1 and (test.shuffled == 1).all() and test.p_value == 1


def test_lengths_and_rows_without_weight(mess3):
    features = np.where(mess3.length[:, None] == 5, np.nan, features_of(mess3, 0.3))
    weights = np.where(mess3.length == 5, 0, mess3.counts)
    score = held_out(features, mess3, weights)
    assert np.isnan(score.mse_per_length[2]) and np.isfinite(np.delete(score.mse_per_length, 2)).all()
    assert 0.5 < score.r2 < 1
    with pytest.raises(ValueError, match="needs weight elsewhere"):
        held_out(features_of(mess3, 0.3), mess3, held_out_folds(mess3) == 0)
    with pytest.raises(ValueError, match="a count of 1 shuffle or more; got 0"):
        Control(shuffle_prefixes, jax.random.key(0), 0).against(features_of(mess3, 0.3), mess3, mess3.counts)


def test_a_shuffle_that_moves_nothing_is_no_evidence(mess3):
    """All of a belief of Mess3 is in its law: shuffles of the rest are the beliefs, and the p-value is 1."""
    test = Control(shuffle_unseen, jax.random.key(0), 9).against(features_of(mess3, 0.3), mess3, mess3.counts)
    assert test.p_value == 1


def test_permutations_score_as_held_out_scores_do(mess3):
    features, key = features_of(mess3, 0.3), jax.random.key(0)
    test = Control(shuffle_prefixes, key, 19).against(features, mess3, mess3.counts)
    np.testing.assert_allclose(test.r2, held_out(features, mess3, mess3.counts).r2, atol=1e-5)
    assert test.p_value == 1 / 20 and test.shuffled.shape == (19,) and test.shuffled.max() < 0.05
    for one, r2 in zip(jax.random.split(key, 19)[:3], test.shuffled, strict=False):
        targets = shuffle_beliefs(one, mess3.beliefs, mess3.length)
        score = held_out(features, mess3, mess3.counts, targets=targets)
        np.testing.assert_allclose(r2, score.r2, atol=1e-5)


def test_permutations_in_chunks_are_still_all_counted(mess3, monkeypatch):
    monkeypatch.setattr(controls, "_CHUNK", 5 * mess3.beliefs.size)
    noise = jax.random.normal(jax.random.key(1), (len(mess3.word), 10))
    test = Control(shuffle_prefixes, jax.random.key(0), 33).against(noise, mess3, mess3.counts)
    assert len(np.unique(test.shuffled)) == 33
    assert test.p_value == (1 + (test.shuffled >= test.r2).sum()) / 34


def test_features_that_know_only_the_law_do_not_beat_a_shuffle_of_the_unseen_part():
    rows = rows_of(bg.rrxor(), bg.words(bg.rrxor(), 8))
    test = lambda written: Control(shuffle_unseen, jax.random.key(0), 99).against(
        features_of(rows, 0.1, written), rows, rows.counts
    )
    law_only, everything = test(rows.laws), test(rows.beliefs)
    assert law_only.r2 > 0.2 and law_only.p_value > 0.01
    assert everything.r2 > 0.9 > 0.7 > everything.shuffled.max() and everything.p_value == 0.01


def test_the_default_is_the_nested_affine_probe(mess3):
    features = features_of(mess3, 0.3)
    default, named = held_out(features, mess3, mess3.counts), held_out(features, mess3, mess3.counts, score=nested())
    assert default.r2 == named.r2
    linear = held_out(features, mess3, mess3.counts, score=nested(offset=False))
    alone = cross_validate_probe(features, mess3.beliefs, held_out_folds(mess3), mess3.counts, offset=False)
    counted = held_out_folds(mess3) >= 0
    errors = np.square(alone.predictions - mess3.beliefs)[counted].mean(1)
    assert linear.mse == pytest.approx(np.average(errors, weights=mess3.counts[counted]), rel=1e-5) != default.mse


def ridge(features, targets, weights, penalty=1.0):
    """A probe of one's own."""
    x, y, w = (np.asarray(part, float) for part in (features, targets, weights))
    mean_x, mean_y = np.average(x, 0, w), np.average(y, 0, w)
    gram = (x - mean_x).T @ (w[:, None] * (x - mean_x)) + penalty * np.eye(x.shape[1])
    kernel = np.linalg.solve(gram, (x - mean_x).T @ (w[:, None] * (y - mean_y)))
    return lambda left_out: (np.asarray(left_out, float) - mean_x) @ kernel + mean_y


def nearest(features, targets, weights):
    """Another: the target of the nearest neighbour."""
    known, values = np.asarray(features, float), np.asarray(targets)
    return lambda left_out: values[((np.asarray(left_out, float)[:, None] - known[None]) ** 2).sum(2).argmin(1)]


def test_probes_of_ones_own(mess3):
    features = features_of(mess3, 0.1)
    default = held_out(features, mess3, mess3.counts)
    own = held_out(features, mess3, mess3.counts, score=by_folds(ridge))
    assert own.r2 == pytest.approx(default.r2, abs=0.01)
    near = held_out(features, mess3, mess3.counts, score=by_folds(nearest))
    assert 0.8 < near.r2 < default.r2 and near.mse_per_length.shape == (4,)
    # No fold is predicted from itself: rows that are told apart by their number alone know nothing of each other.
    alone = held_out(np.eye(len(mess3.word)), mess3, mess3.counts, score=by_folds(ridge))
    assert alone.r2 < 0.01


def test_a_control_of_ones_own_probe_and_shuffle(mess3):
    reverse = lambda key, rows: rows.beliefs[:, ::-1]
    test = Control(reverse, jax.random.key(0), 2).against(
        features_of(mess3, 0.1), mess3, mess3.counts, score=by_folds(ridge)
    )
    own = held_out(features_of(mess3, 0.1), mess3, mess3.counts, score=by_folds(ridge)).r2
    assert test.r2 == own and test.shuffled.tolist() == pytest.approx([own, own], abs=1e-6)  # as linear as they were
    chance = Control(shuffle_prefixes, jax.random.key(0), 3).against(
        features_of(mess3, 0.1), mess3, mess3.counts, score=by_folds(ridge)
    )
    assert chance.shuffled.max() < 0.1 and chance.p_value == 0.25


def test_a_probe_that_predicts_something_else_is_told_so(mess3):
    wrong = lambda features, targets, weights: lambda left_out: left_out[:, :2]
    with pytest.raises(ValueError, match=r"a probe must predict \[row, target\], \(.*, 3\) for this fold; got shape"):
        held_out(features_of(mess3, 0.1), mess3, mess3.counts, score=by_folds(wrong))
