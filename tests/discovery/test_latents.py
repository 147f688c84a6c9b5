"""What latents are: functions of the belief, of tokens, of the position, or noise."""

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.discovery.latents import belief_cells, binned_r2, describe_latents, last_tokens

ROWS = reading.rows(jax.random.key(0), bg.mess3(0.15, 0.6), 7)


def test_binned_r2_of_functions_and_of_noise():
    cells = belief_cells(ROWS, 10)
    noise = np.random.default_rng(0).normal(size=(len(cells), 3))
    of_cells = np.cos(cells)[:, None]
    found = binned_r2(np.concatenate([of_cells, noise], 1), cells, ROWS, ROWS.counts)
    # Noise has R2 of about minus the number of cells a row: it is never above 0 by more than chance.
    assert found[0] > 0.999 and (found[1:] < 0.02).all()
    # Finer cells do not raise it, though in sample they would: a cell for every belief explains all.
    finer = binned_r2(noise, belief_cells(ROWS, 1000), ROWS, ROWS.counts)
    assert (finer < 0.02).all()


def test_binned_r2_against_a_loop():
    codes = np.random.default_rng(1).normal(size=(len(ROWS.word), 1)) + ROWS.last_token[:, None]
    cells, folds, weights = last_tokens(ROWS, 2), bg.probes.held_out_folds(ROWS), ROWS.probabilities
    guess = np.zeros(len(cells))
    for row in np.flatnonzero(folds >= 0):
        others = (folds >= 0) & (cells == cells[row])
        others[row] = False
        guess[row] = np.average(codes[others, 0], weights=weights[others])
    counted = folds >= 0
    mean = np.average(codes[counted, 0], weights=weights[counted])
    square = lambda about: (weights * (codes[:, 0] - about) ** 2)[counted].sum()
    expected = 1 - square(guess) / square(mean)
    assert binned_r2(codes, cells, ROWS, weights)[0] == pytest.approx(expected, abs=1e-9)


def test_labels():
    for count in (1, 2, 3):
        groups = {}
        for row, label in enumerate(last_tokens(ROWS, count)):
            tail = ROWS.words[ROWS.word[row], : ROWS.length[row]][-count:].tolist()
            assert groups.setdefault(int(label), tail) == tail
        assert len(groups) == sum(3**tokens for tokens in range(1, count + 1))
    cells = belief_cells(ROWS, 10)
    for cell in np.unique(cells):
        inside = ROWS.beliefs[cells == cell]
        assert (np.ptp(inside, 0) <= np.ptp(ROWS.beliefs, 0) / 10 + 1e-5).all()


def test_kinds_of_latents_are_told_apart():
    codes = np.stack(
        [
            np.maximum(ROWS.beliefs[:, 0] - 0.6, 0),  # a corner
            ROWS.beliefs[:, 1],  # an entry of the belief
            ROWS.last_token == 2,  # a token
            ROWS.length == 6,  # a position
            np.zeros(len(ROWS.word)),  # silent
        ],
        1,
    ).astype(float)
    told = describe_latents(codes, ROWS)
    assert told.alive.tolist() == [True, True, True, True, False] and told.corners == 1
    given = told.explained
    assert given.belief[0] > 0.95 and given.linear[1] > 0.999 and given.linear[0] < 0.95
    assert given.one_token[2] > 0.999 and given.two_tokens[2] > 0.999
    # Neither the belief nor the last tokens tell the position.
    assert given.position[3] > 0.999 and given.belief[3] < 0.05 and given.three_tokens[3] < 0.05
    assert np.isnan(given.belief[4]) and np.isnan(told.centroid[4]).all()
    assert told.to_corner[0] > 0.5 > told.to_corner[3] and told.spread[0] < 0.3 < told.spread[3]
    # The mean belief of a word's position is the mean of all, up to the symmetry of Mess3.
    np.testing.assert_allclose(told.centroid[3], 1 / 3, atol=1e-6)


def test_beliefs_are_recovered_from_latents_and_shuffled_beliefs_are_not():
    codes = ROWS.beliefs[:, :2] @ np.array([[1.0, 0.5], [0.2, 1.0]])
    assert describe_latents(codes, ROWS).recovery > 0.999
    moved = np.asarray(bg.probes.shuffle_beliefs(jax.random.key(1), ROWS.beliefs, ROWS.length), np.float64)
    shuffled = describe_latents(codes, ROWS._replace(beliefs=moved))
    assert shuffled.recovery < 0.1 and shuffled.pooled.belief < 0.1


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.ones((3, 2)), {}, r"of \d+ rows; got shape \(3, 2\)"),
        (np.full((len(ROWS.word), 2), np.nan), {}, "codes must be finite"),
        (np.zeros((len(ROWS.word), 2)), {}, "got none"),
        (ROWS.beliefs, {"bins": 1}, "bins must be 2 or more; got 1"),
    ],
)
def test_mistakes(codes, options, message):
    with pytest.raises(ValueError, match=message):
        describe_latents(codes, ROWS, **options)


def test_a_constant_is_silent_whatever_its_value():
    found = ROWS
    constants = np.full((len(found.word), 4), [0.3, 1e-3, 123.456, 7.0])
    told = describe_latents(np.concatenate([constants, found.beliefs[:, :1]], 1), found)
    assert told.alive.tolist() == [False] * 4 + [True] and np.isnan(told.explained.linear[:4]).all()
    assert np.isnan(binned_r2(constants, last_tokens(found, 1), found, found.counts)).all()
    with pytest.raises(ValueError, match=r"codes must be finite, \[row, latent\], and cells"):
        binned_r2(constants[:3], last_tokens(found, 1), found, found.counts)
