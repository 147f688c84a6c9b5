import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.factored import product
from beliefgeo.reading import beliefs_after, loss_gap, rows
from tests.experiments.command import module

heads = module("attention_heads", "heads")

RULES = {"share": 0.2, "no_gain": 0.02}


def test_the_share_that_may_be_lacking():
    gaps = {1: 10.0, 2: 6.0, 3: 5.2, 4: 5.0}
    assert [heads.fewest_by_share(gaps, share) for share in (0.0, 0.1, 0.2, 1.0)] == [4, 3, 2, 1]
    assert heads.fewest_by_share({1: 4.0, 2: 5.0}, 0.2) == 1


def test_unbeaten_is_by_pairs():
    together, apart = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    assert heads.fewest_unbeaten({1: together, 2: together - [0.1, 0.11, 0.09]}) == 2
    assert heads.fewest_unbeaten({1: together, 2: apart - 0.1}) == 1


@pytest.mark.parametrize(
    ("means", "ideal", "share", "significance", "theory"),
    [
        ((10, 4, 3.9), (9.0, 3.0, 3.0), 2, 3, 2),  # the third head is worth 1.6% of what the first two are, but surely
        ((10, 6, 3), (9.0, 6.0, 3.0), 3, 3, 3),
        ((10, 10, 10), (9.0, 9.0, 8.9), 1, 1, 1),  # nothing to gain, nothing gained
        ((10, 10, 10), (9.0, 9.0, 8.0), 1, 1, 3),  # much to gain, and the test would have seen it
    ],
)
def test_the_verdicts_of_the_losses(means, ideal, share, significance, theory):
    noise = np.array([-0.02, 0.01, 0.02, -0.01])
    gaps = {heads + 1: mean + (-1) ** heads * noise for heads, mean in enumerate(means)}
    found = heads.needed_heads(gaps, dict(enumerate(ideal, 1)), **RULES)
    assert (found.by_share, found.by_significance, found.ideal_layer) == (share, significance, theory)
    assert found.gain.mean == pytest.approx(means[0] - means[2], abs=1e-9)


def test_a_gain_too_small_to_see_is_not_resolved():
    gaps = {1: np.array([9.0, 11.0]), 2: np.array([11.0, 9.0])}
    assert heads.needed_heads(gaps, {1: 9.0, 2: 8.0}, **RULES).by_share is None


def test_gaps_that_cannot_be_compared():
    two = np.array([1.0, 2.0])
    for gaps in ({1: two, 2: two[:1]}, {1: two[:1], 2: two[:1]}, {1: two[None], 2: two[None]}, {}):
        for rule in (heads.fewest_unbeaten, lambda gaps: heads.needed_heads(gaps, dict.fromkeys(gaps, 1.0), **RULES)):
            with pytest.raises(ValueError, match="of the same two seeds or more by number of heads"):
                rule(gaps)
    with pytest.raises(ValueError, match="gaps must be finite"):
        heads.fewest_unbeaten({1: two, 2: two * np.nan})
    with pytest.raises(ValueError, match="gaps must be finite numbers"):
        heads.fewest_by_share({1: 1.0, 2: np.nan}, 0.2)
    with pytest.raises(ValueError, match=r"same numbers of heads; got \[1, 2\] and \[1, 3\]"):
        heads.needed_heads({1: two, 2: two}, {1: 1.0, 3: 1.0}, **RULES)


def test_an_ideal_layer_of_tokens_that_may_be_impossible():
    """0 log 0 is 0: the golden mean, whose second one is impossible, has a gap and its fit a slope."""
    gap = heads.ideal_layer_gap(jax.random.key(0), [bg.golden_mean()], 1, context=3, steps=50)
    assert 0 <= gap < 0.2
    with pytest.raises(ValueError, match="heads, context and steps must be 1 or more; got 0, 3 and 50"):
        heads.ideal_layer_gap(jax.random.key(0), [bg.golden_mean()], 0, context=3, steps=50)
    with pytest.raises(ValueError, match="factors must be of one size"):
        heads.ideal_layer_gap(jax.random.key(0), [bg.golden_mean(), bg.mess3()], 1, context=3, steps=50)


@pytest.mark.slow
def test_the_ideal_layer_needs_two_heads_for_opposite_signs():
    """One pattern cannot serve .7 and -.7, two do; and free patterns lose no more than constrained beliefs."""
    factors = [bg.mess((1 - zeta) / 2, 0.7, 2) for zeta in (0.7, -0.7)]
    one, two = (heads.ideal_layer_gap(jax.random.key(0), factors, count, context=6, steps=300) for count in (1, 2))
    process = product(factors)
    every = rows(jax.random.key(1), process, 6)
    constrained = beliefs_after(lambda word: bg.constrained_beliefs(process, word), every)
    laws = jnp.log(jax.vmap(process.predict)(jnp.asarray(constrained)))
    assert 0 < two < 0.3 * one and two < loss_gap(every, laws).mean()
