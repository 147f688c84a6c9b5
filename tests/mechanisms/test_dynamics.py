"""Dynamics read off beliefs and laws: exact where these are exact, and said to be wrong where they are not."""

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.mechanisms import dynamics
from beliefgeo.mechanisms.impossible import impossible_words
from tests import oracle


def rows_of(process, length):
    return reading.rows(jax.random.key(0), process, length)


@pytest.mark.parametrize("name", ["mess3", "rrxor", "strata", "bloch"])
def test_the_process_is_read_off_its_own_beliefs(name):
    process = {"mess3": bg.mess3(), "rrxor": bg.rrxor(), "strata": bg.strata(0.9), "bloch": bg.bloch_walk()}[name]
    rows = rows_of(process, 6)
    read = dynamics.fit_projective(rows.beliefs, rows.laws, rows, readout=process.readout)
    found = dynamics.compare_dynamics(process, read, rows.beliefs, rows)
    assert found.divergence < 1e-6 and found.matrices < 1e-3
    true = np.linalg.eigvals(np.asarray(process.transitions, np.float64).sum(0))
    np.testing.assert_allclose(np.sort(abs(found.eigenvalues)), np.sort(abs(true)), atol=1e-3)
    for word in ([0, 1, 1], [1, 0, 1]):
        assert float(bg.log_probability(read, word)) == pytest.approx(
            float(bg.log_probability(process, word)), abs=1e-3
        )


def test_the_process_is_read_off_laws_alone():
    process, rows = bg.mess3(), rows_of(bg.mess3(), 6)
    points = dynamics.law_points(rows.laws)
    read = dynamics.fit_projective(points, rows.laws, rows, readout=[1, 0, 0])
    found = dynamics.compare_dynamics(process, read, points, rows)
    assert found.divergence < 1e-8 and found.matrices < 1e-4
    # RRXOR's laws have one dimension of its four: the process read off them is another one.
    process, rows = bg.rrxor(), rows_of(bg.rrxor(), 7)
    points = dynamics.law_points(rows.laws)
    short = dynamics.compare_dynamics(
        process, dynamics.fit_projective(points, rows.laws, rows, readout=[1, 0]), points, rows
    )
    assert short.divergence > 0.05 and short.matrices is None


def test_chained_laws_are_those_of_the_process():
    rows = rows_of(bg.mess3(0.1, 0.6), 5)
    np.testing.assert_allclose(dynamics.chained_laws(bg.mess3(0.1, 0.6), rows), rows.laws, atol=1e-6)


def test_steps_of_beliefs_and_of_noise():
    process, rows = bg.mess3(0.1, 0.7), rows_of(bg.mess3(0.1, 0.7), 6)
    exact = dynamics.one_step(process, rows.beliefs, rows.laws, rows)
    assert exact.exact > 0.9999 and exact.projective > 0.9999 and exact.token < exact.affine < 0.9999
    noise = np.random.default_rng(0).dirichlet(np.ones(3), len(rows.word))
    drawn = dynamics.one_step(process, noise, rows.laws, rows)
    assert drawn.exact < 0 and drawn.token < 0.02
    assert dynamics.rolled_out(process, rows.beliefs, rows, 3) > 0.9999
    # Bayes' map forgets: after five steps even noise comes near, which after one step it does not.
    assert dynamics.rolled_out(process, rows.beliefs, rows, 5) > 0.999
    with pytest.raises(ValueError, match="steps must be from 1 to 5"):
        dynamics.rolled_out(process, rows.beliefs, rows, 6)


def test_own_words_of_a_markov_chain():
    """A network that predicts by the last token alone: its words, one by one."""
    process, rows = bg.even(), rows_of(bg.even(), 4)
    table = np.array([[0.7, 0.3], [0.2, 0.8]])
    log_laws = np.log(table)[rows.last_token]
    found = dynamics.own_words(log_laws, rows)
    first = np.asarray(process.predict(process.initial))
    written = {
        w: first[w[0]] * np.prod([table[a, b] for a, b in zip(w, w[1:], strict=False)]) for w in oracle.all_words(2, 4)
    }
    true = {w: oracle.joint_probability(process, w) for w in written}
    assert found.impossible == pytest.approx(sum(q for w, q in written.items() if true[w] < 1e-12), abs=1e-6)
    assert found.total_variation == pytest.approx(sum(abs(true[w] - q) for w, q in written.items()) / 2, abs=1e-6)
    kl = sum(p * np.log(p / written[w]) for w, p in true.items() if p > 1e-12)
    assert found.divergence == pytest.approx(kl / 3, abs=1e-6)
    # The loss gap is the same divergence, token by token.
    assert found.divergence == pytest.approx(reading.loss_gap(rows, log_laws)[:-1].mean(), abs=1e-6)


def test_hypotheses_after_impossible_words():
    process = bg.golden_mean()  # no two ones in a row; state 0 after a 0, state 1 after a 1
    found = impossible_words(process, 4)
    prefix = [tuple(found.rows.words[w, :n]) for w, n in zip(found.rows.word, found.rows.length, strict=True)]
    assert [bool(one) for one in found.impossible] == [(1, 1) in list(zip(p, p[1:], strict=False)) for p in prefix]
    at = {p: index for index, p in enumerate(prefix)}
    for guess, one in found.beliefs.items():
        for index, p in enumerate(prefix):
            if not found.impossible[index] and guess not in ("noisy copy", "nothing known"):
                np.testing.assert_allclose(one[index], oracle.belief(process, p), atol=1e-6)
    # After 1, 1 the longest possible suffix is 1; after 0, 1, 1 too. Ignored, the second 1 changes nothing.
    for p in ((1, 1), (0, 1, 1), (1, 1, 1)):
        np.testing.assert_allclose(
            found.beliefs["longest possible suffix"][at[p]], oracle.belief(process, [1]), atol=1e-6
        )
        np.testing.assert_allclose(found.beliefs["start again"][at[p]], oracle.belief(process, [1]), atol=1e-6)
        np.testing.assert_allclose(
            found.beliefs["ignored token"][at[p]], oracle.belief(process, p[:-1][-1:]), atol=1e-6
        )
    np.testing.assert_allclose(found.laws["ignored token"].sum(1), 1, atol=1e-6)
    noisy = oracle.belief(bg.noisy(process, 0.01), [1, 1])
    np.testing.assert_allclose(found.beliefs["noisy copy"][at[(1, 1)]], noisy, atol=1e-6)
    with pytest.raises(ValueError, match="emits all of 3 tokens"):
        impossible_words(bg.mess3(), 3)


def test_mistakes():
    rows = rows_of(bg.mess3(), 4)
    with pytest.raises(ValueError, match="points must be"):
        dynamics.fit_projective(rows.beliefs * 2, rows.laws, rows)
    drawn = reading.rows(jax.random.key(0), bg.mess3(), 8, most=10)
    with pytest.raises(ValueError, match="needs all words"):
        dynamics.own_words(np.log(drawn.laws), drawn)
