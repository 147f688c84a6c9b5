"""Generators: measures on cases known by hand, the estimate and its error, mistakes, and the claim as it is started."""

import itertools
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.reading import Seeds
from tests.experiments.command import CAPTURED, modules, refusal, start


@pytest.fixture(scope="module")
def parts():
    with modules("generators", "generator", "knowledge", "by_hand", "measures", "claims") as found:
        yield found


def entropy(law):
    law = np.asarray(law, np.float64)
    return -(law[law > 0] * np.log(law[law > 0])).sum()


def mean(sums, weights):
    return jax.tree.map(lambda leaf: np.tensordot(weights, np.asarray(leaf, np.float64), 1), sums)


def test_a_hidden_coin(parts):
    """A coin is thrown once; each of two tokens shows it with probability .9: all by hand."""
    know = parts.knowledge
    emissions = np.array([[0.9, 0.1], [0.1, 0.9]])
    laws = jnp.log(emissions)[:, None]
    found = know.knowledge(
        mean(jax.jit(jax.vmap(know.path_sums))((laws, laws)), [0.5, 0.5]), np.array([0.41, 0.09, 0.09, 0.41])
    )
    of_token = entropy([0.9, 0.1])
    second = entropy([0.82, 0.18])
    assert found.positions == pytest.approx([np.log(2) - of_token, second - of_token], abs=1e-6)
    assert found.excess == pytest.approx((np.log(2) + second) / 2 - of_token, abs=1e-6)
    assert found.divergence == pytest.approx(0, abs=1e-6)
    # The law after token 0 is (.82, .18), .32 from even; the coin's own is .4 from even.
    assert found.explained == pytest.approx(0.32**2 / 0.4**2, abs=1e-6)
    assert found.shuffled_divergence == pytest.approx(2 * np.log(2) - entropy([0.41, 0.09, 0.09, 0.41]), abs=1e-6)
    assert found.shuffled_excess == pytest.approx(np.log(2) - of_token, abs=1e-6)


def test_three_states_by_enumeration(parts):
    """Of all hidden paths: the excess is I(word; path) / length, above the floor; and the sampled estimate agrees."""
    know, length = parts.knowledge, 3
    process = bg.mess3()
    moves, emissions = (np.asarray(one, np.float64) for one in parts.by_hand.state_form(process))
    paths = np.array([*itertools.product(range(3), repeat=length)])
    chances = np.array([np.prod([1 / 3, *moves[path[:-1], path[1:]]]) for path in paths])
    laws = tuple(jnp.log(emissions)[paths[:, place]][:, None] for place in range(length))
    truth = np.asarray(bg.word_tree(process, length).probabilities, np.float64)
    exact = know.knowledge(mean(jax.jit(jax.vmap(know.path_sums))(laws), chances), truth)
    words = np.array([*itertools.product(range(3), repeat=length)])
    given = np.array([[emissions[path, word].prod() for word in words] for path in paths])
    information = entropy(chances @ given) - chances @ [entropy(row) for row in given]
    theory = parts.by_hand.exact(process, length)
    assert exact.excess == pytest.approx(information / length, abs=1e-5)
    assert theory["three states"] == pytest.approx(information / length, abs=1e-5)
    assert 0 < theory["floor without feedback"] < exact.excess
    assert exact.divergence == pytest.approx(0, abs=1e-5)
    task = parts.generator.Task(None, jnp.asarray(truth), length, 1, 1, 0.0, 1, 1)
    study = parts.measures.Study(process, task, 4096, jax.random.key(0))
    found = study.know(*parts.by_hand.state_generator(process))
    for name in ("excess", "divergence", "explained"):
        error = getattr(found["error"], name)
        assert abs(getattr(found["value"], name) - getattr(exact, name)) < 4 * error and error < 0.01, name


def test_the_ideal_observer_knows_nothing_in_excess(parts):
    process, length = bg.mess3(), 2
    truth = jnp.asarray(bg.word_tree(process, length).probabilities)
    _, held = parts.by_hand.observer_generator(process, length)
    found = parts.knowledge.knowledge(jax.jit(parts.knowledge.path_sums)(held.log_laws), np.asarray(truth, np.float64))
    assert abs(found.excess) < 1e-5 and abs(found.divergence) < 1e-5
    assert found.explained == pytest.approx(1, abs=1e-5)


def test_jackknife_of_a_square(parts):
    """(mean)^2 is too large by s^2 / G, which the jackknife takes away exactly; its error of a mean is s / sqrt(G)."""
    groups = np.array([1.0, 2.0, 4.0, 9.0])
    value, _ = parts.knowledge.jackknife(groups, lambda one: one**2)
    assert value == pytest.approx(groups.mean() ** 2 - groups.var(ddof=1) / 4)
    value, error = parts.knowledge.jackknife(groups, lambda one: one)
    assert (value, error) == (pytest.approx(4.0), pytest.approx(groups.std(ddof=1) / 2))


def test_feedback_begins_as_the_generator_without(parts):
    """Without weights for tokens, the law is the same after every prefix; with them it is not."""
    made = parts.generator
    alone, fed = made.Generator(4, 3), made.Generator(4, 3, feedback=True)
    noise = jax.random.normal(jax.random.key(1), (3, 2))
    params = alone.init(jax.random.key(0), noise)
    unroll = jax.jit(fed.apply)
    without = jax.jit(alone.apply)(params, noise).log_laws
    for own, other in zip(without, unroll(made.without_tokens(params, 2), noise).log_laws, strict=True):
        np.testing.assert_allclose(np.broadcast_to(own, other.shape), other, atol=1e-6)
    laws = unroll(params, noise).log_laws
    assert laws[-1].shape == (9, 3) and float(laws[-1].std(0).max()) > 1e-3
    # Words and prefixes are in one order: the word 2, 1, 0 goes through prefix 0 of 1, 2 of 3, 7 of 9.
    along = sum(float(law[at, token]) for law, at, token in zip(laws, (0, 2, 7), (2, 1, 0), strict=True))
    assert float(made.word_log_probabilities(laws)[2 * 9 + 1 * 3]) == pytest.approx(along, abs=1e-5)


def test_near_three_points(parts):
    near = parts.measures.near
    corners = np.repeat(np.eye(3), 5, 0)
    assert near(corners) == pytest.approx(1)
    # Four equal clusters at the corners of a square: three points leave two of them at half a side.
    square = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 5, 0)
    assert near(square) == pytest.approx(1 - 0.5 * 0.25 / 0.5)
    assert np.isnan(near(np.ones((6, 2))))


def test_the_verdict_asks_the_whole_interval(parts):
    def found(noise, feedback, learnt=0.01):
        divergence = Seeds(np.full(len(noise), learnt))
        value = lambda excess: {"trained": {"value": SimpleNamespace(excess=Seeds(excess), divergence=divergence)}}
        return {"noise only": value(np.array(noise)), "feedback": value(np.array(feedback))}

    verdict = parts.claims.verdict
    assert verdict(found([0.305, 0.306], [0.03, 0.031])) == {"noise only": "holds", "feedback": "holds"}
    # The means pass, but Student's interval of two seeds is wide.
    assert verdict(found([0.27, 0.31], [0.01, 0.06])) == {"noise only": "fails", "feedback": "fails"}
    assert verdict(found([0.305, 0.306], [0.03, 0.031], learnt=0.5))["feedback"] == "not learnt: KL 0.500"
    assert verdict(found([0.30], [0.03]))["noise only"] == "one seed has no interval"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["quick", "--length", "1"], "error: length must be 2 to 7 tokens, as the first has no past"),
        (["quick", "--evaluation", "100"], "error: evaluation must be a multiple of 1024 noise paths; got 100"),
        (["quick", "--width", "0"], "error: width must be 1 or more; got 0"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("generators", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "networks").exists()


def test_a_state_that_does_not_decide_the_token(parts):
    with pytest.raises(ValueError, match="the new state must decide the law of the token.*take one like mess3"):
        parts.by_hand.state_form(bg.even())


@pytest.mark.slow
def test_quick(tmp_path):
    done = start("generators", "quick", "--seeds", "2", "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (tmp_path / "generators").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"states", "knowledge"}
    found = json.loads((home / "results.json").read_text())
    assert (
        found["noise only"]["trained"]["value"]["divergence"]["mean"]
        < found["noise only"]["untrained"]["value"]["divergence"]["mean"]
    )
    assert found["three states"]["value"]["excess"] == pytest.approx(found["exact"]["three states"], abs=0.02)
