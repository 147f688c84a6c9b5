"""Groups of latents: planted factors are found blind, and groups of the same sizes at random fail."""

import itertools

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.discovery.groups import group_latents, random_groups, recover_factors

PROCESS = bg.product([bg.mess3(0.1, 0.8), bg.mess3(0.2, 0.7), bg.mess3(0.15, 0.6)])
ROWS = reading.rows(jax.random.key(0), PROCESS, 6, most=400)
FACTORS = [np.asarray(one) for one in PROCESS.split_belief(ROWS.beliefs)]


def planted():
    """Three latents for each factor, an entry of its belief each; directions of a factor in a plane of its own."""
    codes = np.concatenate([np.maximum(one - 0.2, 0) for one in FACTORS], 1)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    corners = np.array([[1.0, 0.0], [-0.5, 0.866], [-0.5, -0.866]])
    decoder = np.concatenate([corners @ turn[2 * factor : 2 * factor + 2] for factor in range(3)])
    order = np.random.default_rng(1).permutation(9)
    return codes[:, order], decoder[order], order // 3


def test_planted_factors_are_found():
    codes, decoder, truth = planted()
    groups = group_latents(codes, ROWS.counts, position=ROWS.length)
    assert groups.number == 3 and groups.gap > 0.5
    assert len({(label, factor) for label, factor in zip(groups.labels, truth, strict=True)}) == 3
    found = recover_factors(codes, decoder, groups, ROWS, FACTORS, ROWS.counts)
    assert (found.assigned > 0.85).all() and (abs(found.others) < 0.1).all() and found.dimensions.tolist() == [2, 2, 2]
    for factor, group in enumerate(found.group):
        assert set(truth[groups.labels == group]) == {factor}
    # Groups of the same sizes, of the same latents.
    chance = random_groups(jax.random.key(2), groups)
    assert sorted(np.bincount(chance.labels)) == sorted(np.bincount(groups.labels))
    draws = [random_groups(key, groups) for key in jax.random.split(jax.random.key(4), 5)]
    nulls = [recover_factors(codes, decoder, one, ROWS, FACTORS, ROWS.counts).assigned for one in draws]
    assert np.mean(nulls) < found.assigned.mean() - 0.15 and np.min(nulls) < 0.6
    moved = np.asarray(bg.probes.shuffle_beliefs(jax.random.key(3), ROWS.beliefs, ROWS.length), np.float64)
    shuffled = [np.asarray(one) for one in PROCESS.split_belief(moved)]
    assert recover_factors(codes, decoder, groups, ROWS, shuffled, ROWS.counts).assigned.mean() < 0.1


def test_the_number_of_groups_may_be_given():
    codes, decoder, _ = planted()
    groups = group_latents(codes, ROWS.counts, groups=2)
    assert groups.number == 2 and set(groups.labels) == {0, 1}
    found = recover_factors(codes, decoder, groups, ROWS, FACTORS, ROWS.counts)
    assert (found.group == -1).sum() == 1 and found.assigned[found.group == -1] == 0


def test_latents_of_the_position_and_silent_latents_belong_to_no_group():
    codes, *_ = planted()
    extra = np.stack([ROWS.length == 3, np.zeros(len(ROWS.word))], 1)
    groups = group_latents(np.concatenate([codes, extra], 1), ROWS.counts, position=ROWS.length)
    assert groups.number == 3 and groups.labels[-2:].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (np.ones((4, 3)), {}, "grouping needs 3 latents or more that vary within positions; got 0"),
        (np.eye(4), {"groups": 5}, "needs 5 latents or more"),
        (np.eye(4), {"groups": 1}, "one group is no partition"),
        (np.full((4, 4), np.nan), {}, "codes must be finite"),
    ],
)
def test_mistakes(codes, options, message):
    with pytest.raises(ValueError, match=message):
        group_latents(codes, np.ones(4), **options)


def test_a_latent_that_varies_with_no_other_is_in_no_group():
    table = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    one, two, three = table.T
    found = group_latents(np.stack([one, 1 - one, two, 1 - two, three], 1), np.ones(8))
    assert found.number == 2 and found.labels[4] == -1
    assert found.labels[0] == found.labels[1] != found.labels[2] == found.labels[3]


def test_constant_latents_are_in_no_group():
    """Under unequal weights their variance is rounding, not 0; two of them would share all of that rounding."""
    one, other = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]])
    codes = np.tile(np.stack([one, other, 1 - one, 1 - other], 1), (50, 1))
    weights = np.random.default_rng(0).uniform(0.5, 1, 200)
    for constants in ([0.1], [0.1, 0.7]):
        found = group_latents(np.concatenate([codes, np.tile(constants, (200, 1))], 1), weights)
        assert found.number == group_latents(codes, weights).number == 2
        assert found.labels[0] == found.labels[2] != found.labels[1] == found.labels[3]
        assert (found.labels[4:] == -1).all()
