import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.scorecard import ALL, scorecard

KEY = jax.random.key(0)


def rows_of(process, context=6):
    return reading.rows(KEY, process, context)


def written(rows, noise, values=None, width=12):
    """Beliefs, or other values, written linearly in some dimensions, offset, under noise."""
    rng = np.random.default_rng(0)
    values = rows.beliefs if values is None else values
    clean = values @ rng.normal(size=(values.shape[1], width)) + 5
    return jnp.asarray(clean + noise * rng.normal(size=clean.shape), jnp.float32)


def network(rows, noise, blur=0.01):
    laws = jnp.log(jnp.asarray((1 - blur) * rows.laws + blur / rows.laws.shape[1]))
    return reading.Reading(laws, {"early": written(rows, 4 * noise), "late": written(rows, noise)})


@pytest.fixture(scope="module")
def card():
    rows = rows_of(bg.mess3())
    return rows, scorecard(network(rows, 0.05), rows, untrained=network(rows, 1.0, 0.99), key=KEY, shuffles=4)


def test_every_site_and_all_of_them_together(card):
    rows, found = card
    assert [*found.sites] == [*found.untrained] == ["early", "late", ALL]
    for weighting, weights in (("by_count", rows.counts), ("by_probability", rows.probabilities)):
        features = network(rows, 0.05).features
        score = getattr(found.sites["late"], weighting)
        fitted = bg.fit_probe(features["late"], rows.beliefs, weights)
        known = bg.score_probe(fitted, features["late"], rows.beliefs, weights)
        assert (score.mse, score.r2) == (pytest.approx(float(known.mse), rel=1e-3), pytest.approx(float(known.r2)))
        held = probes.held_out(features["late"], rows, weights)
        assert score.held_out == held.r2 and score.held_out_window == held.window
        np.testing.assert_array_equal(score.mse_per_length, held.mse_per_length)
        together = probes.held_out(reading.concatenated(features), rows, weights)
        assert getattr(found.sites[ALL], weighting).held_out == together.r2
        curve = probes.window_curve(rows, weights)
        assert score.window == pytest.approx(probes.equivalent_window(1 - score.r2, curve))
    late, untrained = found.sites["late"].by_count, found.untrained["late"].by_count
    assert late.r2 > late.held_out > 0.9 > untrained.held_out and late.window > untrained.window


def test_controls(card):
    rows, found = card
    assert found.losses.gap == pytest.approx(reading.losses(network(rows, 0.05), rows).gap)
    assert abs(found.shuffled.r2) < 0.05 and found.shuffled.p_value == 1 / 5
    assert found.law.rank == (3, 3) and found.unseen is None  # of Mess3 the law sees all
    assert found.law.scores.by_count.held_out > 1 - 1e-5


def test_what_lies_beyond_the_law_has_a_control_of_its_own():
    """Activations that are the laws, and such as are the beliefs, of rrxor: rank 2 of 5."""
    rows = rows_of(bg.rrxor(), 8)
    laws = jnp.log(jnp.asarray(rows.laws))
    only_law, beliefs = (
        scorecard(reading.Reading(laws, {"site": written(rows, 0.1, values)}), rows, key=KEY, shuffles=19)
        for values in (rows.laws, rows.beliefs)
    )
    assert only_law.law.rank == (2, 5) and only_law.law.scores.by_count.held_out < 0.5
    assert only_law.unseen.p_value > 0.05 >= beliefs.unseen.p_value
    assert [*beliefs.sites] == ["site"]


def test_it_prints_as_a_table(card):
    text = str(card[1])
    assert "loss above the optimum" in text and "rank 3 of 3" in text and ALL in text and "untrained" in text
    assert f"{card[1].sites['late'].by_count.held_out:.4f}" in text and "p = 0.2" in text


def test_seeds_have_scorecards_too(card):
    found = reading.over_seeds([card[1], card[1]])
    held_out = card[1].sites["late"].by_count.held_out
    assert found.sites["late"].by_count.held_out.values.tolist() == [held_out, held_out]
    assert [*found.sites] == ["early", "late", ALL] and found.law.rank.rank.values.tolist() == [3, 3]


def test_mistakes():
    rows = rows_of(bg.mess3(), 5)
    one = network(rows, 0.1)
    with pytest.raises(ValueError, match=r"read at the same sites, \['early', 'late'\]; got \['late'\]"):
        scorecard(one, rows, untrained=one._replace(features={"late": one.features["late"]}), key=KEY)
    for features in ({}, {"site": jnp.zeros((len(rows.word), 2, 3))}):
        with pytest.raises(ValueError, match=r"needs features \[row, width\] of a site or more; got"):
            scorecard(one._replace(features=features), rows, key=KEY)
