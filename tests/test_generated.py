"""Generated processes against the float64 oracle; the profiles in conftest.py say how many."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.parallel import filter_beliefs_parallel
from tests import oracle
from tests.generated import GENERALISED, HALF, SMALL, clouds, key, recipes

PRECISIONS = pytest.mark.parametrize("precision", ["float32", "float64"])
EVERY = recipes() | recipes(["generalised"], GENERALISED)


def truth_of(recipe, word, precision, *, unbounded=False):
    transitions, initial, basis = recipe.model()
    return oracle.filter_truth(transitions, initial, word, precision, basis, unbounded=unbounded)


def check_filtered(beliefs, log_probabilities, truth):
    """Each number within its bound, up to the first token that is impossible or that rounding hides.

    Float32 ends at 1e-38: from a belief that holds 1e-30 `sample` cannot follow two tokens that only that state
    explains; the filters can (`unbounded`), and only write such entries as 0. An impossible token of an HMM is always
    told (the margin is below 1e-36); one that a generalised process reaches by cancellation may, when errors of earlier
    tokens add to it, be given a probability of the size of those errors.
    """
    end = int(np.argmax(np.append(truth.doubts, np.inf) > 0.1))
    possible = slice(None, end)
    least = np.finfo(beliefs.dtype).tiny  # what is smaller is written as 0
    assert (abs(beliefs - truth.beliefs) <= truth.errors + least)[: end + 1].all()
    # ln (1 + d) is below 1.1 d for d > -0.1; the logarithm itself is rounded.
    exact = np.log(truth.probabilities[possible])
    bound = 1.1 * truth.doubts[possible] + np.finfo(log_probabilities.dtype).eps * (1 + abs(exact))
    assert (abs(log_probabilities[possible] - exact) <= bound).all()
    if end < len(truth.probabilities) and truth.probabilities[end] == 0:
        with np.errstate(divide="ignore"):  # of a token that no state emits
            assert log_probabilities[end] <= np.log(truth.margins[end])
        if np.isneginf(log_probabilities[end]):
            assert np.isnan(beliefs[end + 1 :]).all() and np.isneginf(log_probabilities[end:]).all()


@PRECISIONS
@hypothesis.given(recipe=EVERY)
def test_filter_beliefs(recipe, precision):
    with jax.enable_x64(precision == "float64"):
        process, word = recipe.process(), recipe.word()
        filtered = bg.filter_beliefs(process, word)
        total = float(bg.log_probability(process, word))
    truth = truth_of(recipe, word, precision, unbounded=True)
    check_filtered(*map(np.asarray, filtered), truth)
    # A sum by halves rounds log2(24) < 5 times, by a share of its terms' sizes: they may cancel, as a probability of 1
    # may round to more. -inf where one is.
    logs = np.asarray(filtered.log_probabilities, np.float64)
    possible = abs(logs[np.isfinite(logs)]).sum()
    np.testing.assert_allclose(total, logs.sum(), rtol=0, atol=5 * np.finfo(precision).eps * possible)


@PRECISIONS
@hypothesis.given(recipe=recipes(shapes=[(2, 2), (20, 3)]) | recipes(["generalised"], [(3, 3)]))
def test_filter_beliefs_parallel(recipe, precision):
    with jax.enable_x64(precision == "float64"):
        process, word = recipe.process(), recipe.word(130)  # more than two blocks of 64
        filtered = filter_beliefs_parallel(process, word)
    check_filtered(*map(np.asarray, filtered), truth_of(recipe, word, precision, unbounded=True))


@PRECISIONS
@hypothesis.given(recipe=EVERY)
def test_sample(recipe, precision):
    with jax.enable_x64(precision == "float64"):
        tokens, *rest = map(np.asarray, bg.sample(key(recipe), recipe.process(), 24))
    truth = truth_of(recipe, tokens, precision)
    assert (truth.probabilities > 0).all()  # no impossible token is drawn
    check_filtered(*rest, truth)


@PRECISIONS
@hypothesis.given(recipe=EVERY)
def test_expand_beliefs(recipe, precision):
    """After no token and after three, each followed by several others."""
    with jax.enable_x64(precision == "float64"):
        process, word = recipe.process(), recipe.word()
        before = np.asarray(bg.filter_beliefs(process, word).beliefs)[[0, 3]]
        successors, probabilities = map(np.asarray, bg.expand_beliefs(process, before))
    for row, past in enumerate((word[:0], word[:3])):
        for token in {0, recipe.shape[1] - 1, *word[:7].tolist()}:
            truth = truth_of(recipe, [*past, token], precision)
            if (truth.doubts[:-1] < 0.1).all():  # the belief before the token is known
                last = oracle.Truth(truth.beliefs[-2:], truth.probabilities[-1:], truth.errors[-2:], truth.margins[-1:])
                with np.errstate(divide="ignore"):
                    log_probability = np.log(probabilities[row, [token]])
                check_filtered(np.stack([before[row], successors[row, token]]), log_probability, last)


@PRECISIONS
@hypothesis.given(recipe=recipes(shapes=SMALL) | recipes(["generalised"], [(2, 2), (3, 3)]))
def test_word_tree_and_words(recipe, precision):
    length = 3
    with jax.enable_x64(precision == "float64"):
        process = recipe.process()
        tree = jax.tree.map(np.asarray, bg.word_tree(process, length))
        allowed = bg.words(process, length)
    assert tree.tokens.tolist() == [list(word) for word in oracle.all_words(recipe.shape[1], length)]
    truths = [truth_of(recipe, word, precision) for word in tree.tokens]
    exact = np.array([truth.probabilities.prod() for truth in truths])
    margins = np.array([word_margin(truth) for truth in truths])
    least = np.finfo(precision).tiny * recipe.shape[0] * length  # below 1e-38 there is no float32
    told = margins < 0.1 * exact
    assert (abs(tree.probabilities - exact) <= margins + least).all()
    assert np.isnan(tree.beliefs[tree.probabilities == 0, -1]).all()
    for index in np.flatnonzero(told & (exact > 1e8 * least)):  # the joint underflows before the belief does
        assert (abs(tree.beliefs[index] - truths[index].beliefs) <= truths[index].errors + 1e-8).all()

    # Those that are allowed, no other, in the same order; all in float64 from what was given in `precision`.
    known = {tuple(word): index for index, word in enumerate(allowed.tokens.tolist())}
    assert list(known) == sorted(known)
    for word, probability, truth, margin in zip(tree.tokens.tolist(), exact, truths, margins, strict=True):
        index = known.get(tuple(word))
        if probability == 0:
            assert index is None or (recipe.kind == "generalised" and allowed.probabilities[index] <= margin)
        elif margin < 0.1 * probability:
            np.testing.assert_allclose(allowed.probabilities[index], probability, atol=margin)
            assert (abs(allowed.beliefs[index] - truth.beliefs) <= truth.errors).all()


@PRECISIONS
@hypothesis.given(recipe=recipes(shapes=[(2, 2), (5, 2), (8, 7)]))
def test_hidden_states(recipe, precision):
    """Nothing cancels in an HMM: each step rounds by gamma, as in `filter_truth`, forward and backward."""
    with jax.enable_x64(precision == "float64"):
        process, word = recipe.process(), recipe.word()
        beliefs, log_probability = map(np.asarray, bg.smooth_beliefs(process, word))
        states, log_joint = map(np.asarray, bg.likeliest_path(process, word))
    transitions, initial, _ = recipe.model()
    exact, total = oracle.smoothed(transitions, initial, word)
    best = oracle.likeliest_log_probability(transitions, initial, word)
    info = np.finfo(precision)
    gamma = len(word) * (3 * len(initial) + 8) * info.eps
    if np.isneginf(best):
        assert np.isneginf([log_probability, log_joint]).all() and np.isnan(beliefs).all() and (states == -1).all()
        return
    np.testing.assert_allclose(beliefs, exact, rtol=4 * gamma, atol=info.tiny)
    np.testing.assert_allclose(log_probability, total, rtol=8 * info.eps, atol=2 * gamma)
    terms = oracle.path_log_probabilities(transitions, initial, word, states)
    rounding = 4 * len(word) * info.eps * (1 + abs(terms).sum())  # of sums of so many logarithms
    assert terms.sum() >= best - rounding
    np.testing.assert_allclose(log_joint, terms.sum(), rtol=0, atol=rounding)


@hypothesis.given(recipe=recipes([HALF], [(2, 2), (5, 2), (8, 7)]))
def test_a_process_in_half_precision(recipe):
    process, word = recipe.process(), recipe.word()
    assert process.transitions.dtype == np.float32
    truth = truth_of(recipe, word, "float32", unbounded=True)
    check_filtered(*map(np.asarray, bg.filter_beliefs(process, word)), truth)


@hypothesis.given(recipe=clouds())
def test_probes_of_rows(recipe):
    """Dead features count for nothing, units do not matter, and half precision is float32 of the same numbers."""
    features, targets, weights, alive = recipe.cloud()
    seen = np.asarray(features, np.float64)[:, alive]
    r2, _ = oracle.weighted_least_squares(seen / abs(seen).max(0), targets, weights)
    probe = bg.fit_probe(features, targets, weights)
    np.testing.assert_allclose(bg.score_probe(probe, features, targets, weights).r2, r2, atol=1e-4)
    assert (np.asarray(probe.kernel)[~alive] == 0).all()
    correlations = bg.probes.canonical_correlations(features, targets, weights)
    np.testing.assert_allclose(correlations, oracle.canonical_correlations(seen, targets, weights), atol=1e-4)
    variances = np.asarray(bg.probes.principal_components(features, weights).variances)
    exact = np.linalg.eigvalsh(np.atleast_2d(np.cov(seen.T, aweights=weights, ddof=0)))[::-1]
    np.testing.assert_allclose(variances[: len(exact)], exact, atol=1e-5 * exact[0])
    assert (variances[len(exact) :] <= 1e-12 * exact[0]).all()


def word_margin(truth):
    """How far the probability of a word may be off, the product of those of its tokens up to an impossible one."""
    before = np.cumprod(np.append(1, truth.probabilities))
    if not truth.probabilities.all():
        end = int(np.argmax(truth.probabilities == 0))
        return 10 * before[end] * truth.margins[end]  # tokens after it magnify what is left
    return 1.1 * before[-1] * truth.doubts.sum()


@PRECISIONS
@hypothesis.given(recipe=recipes())
def test_stationary_distribution(recipe, precision):
    matrix = recipe.model().transitions.sum(0)
    classes, info = oracle.closed_classes(matrix), np.finfo(precision)
    with jax.enable_x64(precision == "float64"):
        process = recipe.process()
        if len(classes) > 1:
            with pytest.raises(ValueError, match=f"not unique: the chain is reducible, with {len(classes)} closed"):
                bg.stationary_distribution(process)
            return
        exact = oracle.stationary_law(matrix, *classes)
        if ((exact > 0) & (exact < info.tiny)).any():
            with pytest.raises(ValueError, match="the stationary distribution must be 0 or at least"):
                bg.stationary_distribution(process)
            return
        law = np.asarray(bg.stationary_distribution(process))
    # Each entry of T is known to eps and no sum of them cancels; the law is a ratio of two sums of products of S.
    # Grassmann, Taksar & Heyman 1985; O'Cinneide 1993.
    np.testing.assert_allclose(law, exact, rtol=(4 * len(law) + 16) * info.eps, atol=0)


@PRECISIONS
@hypothesis.given(recipe=recipes(shapes=SMALL))
def test_entropies(recipe, precision):
    length = 3
    with jax.enable_x64(precision == "float64"):
        process = recipe.process()
        myopic, blocks = bg.myopic_entropies(process, length), bg.block_entropies(process, length)
    model = recipe.model()
    words = [oracle.all_words(recipe.shape[1], t) for t in range(length + 1)]
    laws = [np.array([oracle.joint_probability(model, word) for word in of_length]) for of_length in words]
    exact = [-sum(p * np.log(p) for p in law if p > 0) for law in laws]
    # |d(p ln p)| <= |dp| (1 + |ln p|), |dp| <= length gamma p: gamma times 1 + H in all, on either side.
    tolerance = 2 * length * (3 * recipe.shape[0] + 8) * np.finfo(precision).eps * (1 + max(exact))
    np.testing.assert_allclose(blocks, exact, atol=tolerance)
    np.testing.assert_allclose(myopic, np.diff(exact), atol=2 * tolerance)


@hypothesis.given(recipe=recipes(shapes=SMALL) | recipes(["generalised"], [(2, 2), (3, 3)]))
def test_mixed_states_follow_the_filter(recipe):
    """From the initial belief along every word of three tokens, by `successors` alone."""
    depth = 3
    with jax.enable_x64(True):
        presentation = bg.mixed_state_presentation(recipe.process(), max_depth=depth)
    for word in oracle.all_words(recipe.shape[1], depth):
        truth, state = truth_of(recipe, word, "float64"), 0
        for t, token in enumerate(word):
            exact = truth.probabilities[t]
            # Beliefs that differ by 1e-9 are one, and each token magnifies what they differ by.
            merged = 1e-9 * len(word) / np.prod(truth.probabilities[:t])
            np.testing.assert_allclose(presentation.probabilities[state, token], exact, atol=10 * merged)
            np.testing.assert_allclose(presentation.beliefs[state], truth.beliefs[t], atol=10 * merged)
            state = presentation.successors[state, token]
            # What a generalised process leaves by cancellation may be told from 0 only by its size, as above.
            assert (state == -1) == (exact == 0) or (exact == 0 and recipe.kind == "generalised")
            if exact == 0:
                break


# Traced once for each shape.
JITTED = jax.jit(bg.filter_beliefs)
BATCHED = jax.jit(jax.vmap(bg.filter_beliefs, (None, 0)))


@hypothesis.given(recipe=recipes(shapes=SMALL) | recipes(["generalised"], [(3, 3)]))
def test_eager_jit_and_vmap_agree(recipe):
    process = recipe.process()
    words = np.stack([recipe.word(), recipe.word()[::-1]])
    together = BATCHED(process, words)
    for index, word in enumerate(words):
        truth = truth_of(recipe, word, "float32", unbounded=True)
        check_filtered(*map(np.asarray, JITTED(process, word)), truth)
        check_filtered(np.asarray(together.beliefs[index]), np.asarray(together.log_probabilities[index]), truth)


@hypothesis.given(recipe=recipes(shapes=SMALL + [(20, 3)]), data=st.data())
def test_names_do_not_matter(recipe, data):
    """States renamed: their beliefs are renamed. Tokens renamed: their laws are."""
    process, word = recipe.process(), recipe.word()
    truth = truth_of(recipe, word, "float32")
    states = np.array(data.draw(st.permutations(range(recipe.shape[0]))))
    tokens = np.array(data.draw(st.permutations(range(recipe.shape[1]))))
    transitions = np.asarray(process.transitions)
    other = bg.hmm(transitions[tokens][:, states][:, :, states], np.asarray(process.initial)[states])
    renamed = bg.filter_beliefs(other, np.argsort(tokens)[word])
    beliefs = np.asarray(renamed.beliefs)[:, np.argsort(states)]
    check_filtered(beliefs, np.asarray(renamed.log_probabilities), truth)
    law = np.asarray(process.predict(process.initial))
    np.testing.assert_allclose(other.predict(other.initial), law[tokens], rtol=(6 * len(states) + 16) * 2**-23)
