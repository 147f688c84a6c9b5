"""A belief of a mixture taken apart, against Bayes' rule on the components by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.components import split_mixture
from tests import oracle
from tests.cases import signed_golden_mean

WEIGHTS = [0.5, 0.3, 0.2]
VOCABULARIES = [range(2), range(2), range(4)]  # equal numbers are the same token


def components():
    return [bg.golden_mean(0.4), signed_golden_mean(), bg.product([bg.coin(0.3), bg.coin(0.6)])]


@pytest.mark.parametrize("word", [[], [0, 0, 1, 0], [0, 3, 1]])
def test_posterior_and_belief_within(word, x64):
    parts = components()
    process = bg.mixture(parts, WEIGHTS, VOCABULARIES)
    found = split_mixture(parts, bg.filter_beliefs(process, word).beliefs[-1])
    joints = [bg.joint(part) for part in parts]
    inside = [all(token < joint.vocab_size for token in word) for joint in joints]
    evidence = [
        weight * oracle.joint_probability(joint, word) if known else 0.0
        for weight, joint, known in zip(WEIGHTS, joints, inside, strict=True)
    ]
    evidence = np.where(np.array(evidence) < 1e-13, 0, evidence)
    np.testing.assert_allclose(found.posterior, evidence / evidence.sum(), atol=1e-13)
    for belief, joint, mass, posterior in zip(found.beliefs, joints, evidence, found.posterior, strict=True):
        if mass:
            np.testing.assert_allclose(belief, oracle.belief(joint, word), atol=1e-12)
        elif not joint.generalised:  # which excludes by exact zeros
            assert posterior == 0 and np.isnan(belief).all()


def test_sequences_batches_and_lists(x64):
    parts = components()
    process = bg.mixture(parts, WEIGHTS, VOCABULARIES)
    beliefs = bg.filter_beliefs(process, [0, 1, 3]).beliefs
    posterior, within = split_mixture(parts, beliefs)
    assert posterior.shape == (4, 3) and [belief.shape for belief in within] == [(4, 2), (4, 2), (4, 1)]
    np.testing.assert_allclose(posterior[-1], [0, 0, 1], atol=1e-15)
    for t, belief in enumerate(beliefs):
        one = split_mixture(parts, belief.tolist())
        np.testing.assert_allclose(one.posterior, posterior[t], atol=1e-15)
    mapped = jax.jit(jax.vmap(lambda belief: split_mixture(parts, belief)))(beliefs)
    np.testing.assert_array_equal(mapped.posterior, posterior)
    # Side by side and weighted, they are the belief again.
    known = jnp.concatenate([posterior[:2, i, None] * belief[:2] for i, belief in enumerate(within)], 1)
    np.testing.assert_allclose(known, beliefs[:2], atol=1e-15)


def test_gradient_beside_an_excluded_component(x64):
    def share(p):
        parts = [bg.coin(p), bg.coin(0.2), bg.coin(1.0)]
        process = bg.mixture(parts, [0.25, 0.25, 0.5])
        return split_mixture(parts, bg.filter_beliefs(process, [1, 0]).beliefs[-1]).posterior[0]

    # p (1 - p) / (p (1 - p) + .16), the third coin excluded
    at = 0.3
    odds = at * (1 - at)
    value, gradient = jax.jit(jax.value_and_grad(share))(at)
    np.testing.assert_allclose(value, odds / (odds + 0.16), rtol=1e-12)
    np.testing.assert_allclose(gradient, (1 - 2 * at) * 0.16 / (odds + 0.16) ** 2, rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: split_mixture([], [1.0]), ValueError, "split_mixture needs one component or more; got none"),
        (
            lambda: split_mixture([bg.coin(), bg.mess3()], [1.0, 0.0]),
            ValueError,
            r"has the 4 entries of its components' beliefs; got shape \(2,\)",
        ),
        (lambda: split_mixture([bg.coin()], 1.0), ValueError, r"has the 1 entries .*; got shape \(\)"),
        (lambda: split_mixture([bg.coin()] * 2, [1.5, -0.5]), ValueError, "every state a probability of 0 or more"),
        (lambda: split_mixture([bg.coin()] * 2, [0.5, 0.4]), ValueError, "a belief must be normalised.*got 0.9 for"),
        (
            lambda: split_mixture([bg.bloch_walk(), bg.coin()], [0.5, 0, 2, 0.5]),
            ValueError,
            "every token a probability",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_traced_vector_that_is_no_belief_has_no_posterior():
    split = jax.jit(lambda belief: split_mixture([bg.coin()] * 2, belief).posterior)
    assert np.isnan(split(jnp.array([1.5, -0.5]))).all()
    np.testing.assert_allclose(split(jnp.array([0.25, 0.75])), [0.25, 0.75])
    assert np.isnan(split_mixture([bg.coin()] * 2, [np.nan, np.nan]).posterior).all()  # after an impossible word
