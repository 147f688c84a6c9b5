"""Extrapolation: measures on cases known by hand, mistakes, and the claim as it is started."""

import json
from fractions import Fraction
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo import discovery
from beliefgeo.reading import Seeds
from tests.experiments.command import modules, refusal, start


@pytest.fixture(scope="module")
def parts():
    with modules("extrapolation", "tasks", "pairs", "tables", "futures", "bias", "left_out", "claims") as found:
        yield found


@pytest.fixture(scope="module")
def task(parts):
    return parts.tasks.task_of("rrxor", 8)


def test_equal_beliefs_are_equal_fractions(task):
    """The beliefs of all prefixes of RRXOR in exact arithmetic: they are equal where the labels are."""
    move = [[[Fraction(float(one)) for one in row] for row in matrix] for matrix in task.process.transitions]
    exact = []
    for word, length in zip(task.rows.word, task.rows.length, strict=True):
        belief = [Fraction(1, 3)] + [Fraction(1, 6)] * 4
        for token in task.rows.words[word, :length]:
            belief = [sum(belief[i] * move[token][i][j] for i in range(5)) for j in range(5)]
            belief = [one / sum(belief) for one in belief]
        exact.append(tuple(belief))
    pairs = {*zip(exact, task.classes.tolist(), strict=True)}
    assert len(pairs) == len({*exact}) == task.classes.max() + 1 == 36
    np.testing.assert_array_equal(task.rows.word[task.places[:, -1]], range(92))
    np.testing.assert_allclose(task.chances.sum(), 1)


def test_exact_laws_are_functions_of_the_belief(parts, task):
    study = parts.futures.Study(jax.random.key(0), task)
    future = study.future(discovery.process_laws(task.process))
    found = study.found(future)
    for words in ("process", "own"):
        assert found[words].distances.equal == pytest.approx(0, abs=1e-12) and found[words].distances.unequal > 0.3
        assert found[words].beyond == pytest.approx(0, abs=1e-12)
    assert found["shuffled"].distances.ratio > 0.8 and found["shuffled"].beyond > 0.1
    assert found["impossible"] == pytest.approx(0, abs=1e-12)
    # Futures of three tokens tell all beliefs apart.
    laws = [future.laws[study.classes == one][0] for one in np.unique(study.classes)]
    assert min(abs(one - two).sum() for i, one in enumerate(laws) for two in laws[:i]) > 0.05


def test_distances_by_hand(parts):
    """Four words of two tokens, two beliefs: one stratum has pairs of both kinds, another pairs of one kind."""
    words = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    rows = SimpleNamespace(length=np.full(4, 2), word=np.arange(4), words=words)
    found = parts.pairs.pairs_of(rows, np.array([0, 1, 0, 0]), 2)
    # Last tokens in common: 00 and 10; 01 and 11. No last token in common: the other four pairs.
    laws = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.2], [0.5, 0.5]])
    measured = parts.pairs.distances(found, laws, np.array([1.0, 1.0, 1.0, 2.0]))
    # No token in common, equal: 00-11 (.5), 10-11 (.3), each of weight 2; unequal: 00-01 (1), 01-10 (.8).
    # A token in common, equal: 00-10 (.2) has no partner among others of that stratum but 01-11 (.5), of weight 2.
    assert measured.equal == pytest.approx((4 * 0.4 + 1 * 0.2) / 5)
    assert measured.unequal == pytest.approx((4 * 0.9 + 1 * 0.5) / 5)
    assert measured.ratio == pytest.approx(measured.equal / measured.unequal)
    with pytest.raises(ValueError, match="raise the context, or take a process with several causal states"):
        parts.pairs.pairs_of(rows, np.zeros(4, int), 2)


def test_beyond_belief_by_hand(parts):
    rows = SimpleNamespace(length=np.ones(4, int))
    laws = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    known = lambda classes: parts.pairs.beyond_belief(rows, np.array(classes), laws, np.ones(4))
    assert known([0, 0, 1, 1]) == pytest.approx(0) and known([0, 1, 0, 1]) == pytest.approx(1)
    # The first class has laws 0, 0, 1: entropy of a third in three quarters of the words.
    third = -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    assert known([0, 0, 0, 1]) == pytest.approx(0.75 * third / np.log(2))


def test_tables_by_hand(parts):
    rows = SimpleNamespace(word=np.arange(4), words=np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), length=np.full(4, 2))
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    none, one, two, *_ = parts.tables.by_suffixes(rows, values, np.array([1.0, 1.0, 0.0, 0.0]))
    assert none.ravel().tolist() == [1.5] * 4 and one.ravel().tolist() == [1, 2, 1, 2]
    assert two.ravel().tolist() == [1, 2, 1, 2]  # not shown: as the last token has it
    never = np.array([0, 0, 0.5, 0.5])
    assert parts.tables.explained(values, one, never) == pytest.approx(1 - 4 / 0.25)
    laws = np.array([[1.0, 0.0], [0.5, 0.5]])
    guess = np.array([[0.0, 1.0], [0.5, 0.5]])
    assert parts.tables.mean_kl(laws, guess, np.ones(2)) == np.inf
    least = min(-np.log(share / 2) / 2 + 0 for share in parts.tables.SMOOTH if share)
    assert parts.tables.least_kl(laws, [guess], np.ones(2)) == pytest.approx(least)


@pytest.mark.parametrize("left", ["subtrees", "pattern", "seven eighths"])
def test_what_is_left_out(parts, task, left):
    shown = parts.tasks.shown_words(jax.random.key(1), task, left)
    texts = ["".join(map(str, word)) for word in task.rows.words]
    seen, gone = ([text for text, one in zip(texts, shown, strict=True) if one is np.bool_(kept)] for kept in (1, 0))
    if left == "subtrees":
        roots = {text[:4] for text in gone}
        assert len(roots) == 4 and not any(text[:4] in roots for text in seen)
    if left == "pattern":
        inside = lambda text: {text[at : at + 5] for at in range(3)}
        everywhere = set.intersection(*map(inside, gone))
        assert len(everywhere - set.union(*map(inside, seen))) == 1 and task.chances[shown].sum() >= 0.5
    if left == "seven eighths":
        assert len(seen) == round(92 / 8)
    prefixes = {text[:length] for text in seen for length in range(8)}
    rows = parts.tasks.shown_rows(task, shown)
    own = [texts[word][:length] for word, length in zip(task.rows.word, task.rows.length, strict=True)]
    assert [text in prefixes for text in own] == rows.tolist()


def test_lessons(parts, task):
    bias = parts.bias
    one = bias.lesson(jax.random.key(2), task, "belief", 12)
    rows = np.zeros(len(task.classes), bool)
    rows[task.places[one.shown]] = True
    assert one.scored.sum() == pytest.approx(1) and not one.scored[rows].any() and (one.seen[rows] > 0).all()
    assert {*task.classes[one.scored > 0]} <= {*task.classes[rows]}
    assert len(np.unique(one.laws[:, 0])) <= 36
    tables = bias.tabulated(task, one)
    assert tables["belief"] == pytest.approx(1) and tables["next law"] < 0.9 and tables["last 0"] < 0.3
    other = bias.lesson(jax.random.key(2), task, "last tokens", 12)
    assert bias.tabulated(task, other)["last 3"] == pytest.approx(1) and bias.tabulated(task, other)["belief"] < 0.9
    # Features that are the belief's label learn the law; constant ones learn its mean.
    features = jnp.stack([jax.nn.one_hot(task.classes, 36) * 6, jnp.ones((len(task.classes), 36))])
    twice = lambda values: jnp.asarray(np.stack([values] * 2), jnp.float32)
    places = np.stack([task.places[one.shown].ravel()] * 2)
    laws = np.exp(bias.learn_unembedding(features, places, twice(one.laws)))
    label, constant = (parts.tables.explained(one.laws, np.asarray(said), one.scored) for said in laws)
    assert label > 0.99 and constant < 0.1


def test_everything_learns_each_lesson(parts):
    apply = lambda params, tokens: (params[tokens], {})
    tokens, words = jnp.array([[0, 1], [1, 0], [1, 1]]), jnp.array([[0], [1]])
    laws = jnp.array([[[[1.0, 0.0], [0.0, 1.0]]], [[[0.0, 1.0], [0.0, 1.0]]]])
    said = np.exp(parts.bias.learn_everything(apply, jnp.zeros((2, 2, 2)), words, tokens, laws))
    moved = said[..., 1] - 0.5  # Adam at 1e-3: .2 in each logit at most
    np.testing.assert_allclose(moved[0], 0.095 * np.array([[-1, 1], [1, -1], [1, 1]]), atol=5e-3)
    np.testing.assert_allclose(moved[1], 0.095 * np.ones((3, 2)), atol=5e-3)


def test_answers(parts):
    claims = parts.claims
    pair = lambda ratio: {"process": SimpleNamespace(distances=SimpleNamespace(ratio=Seeds(np.array(ratio))))}
    of = lambda own, other: claims.equal({"trained": pair(own), "untrained": pair(other)}, "process")
    assert of([0.05, 0.051], [0.9, 0.91]) == "yes" and of([0.3, 0.31], [0.9, 0.91]) == "no"
    assert of([0.05, 0.2], [0.9, 0.91]) == "open" and of([0.05], [0.9]) == "one seed has no interval"
    assert of([0.05, 0.051], [0.4, 0.41]) == "open: untrained networks may do as well"

    one = lambda r2: {"everything": SimpleNamespace(explained=Seeds(np.array([r2, r2 + 0.01])))}
    said = lambda own, other, neither=0.0: claims.extrapolates(
        {
            "trained": {"belief": one(own), "neither": one(neither)},
            "untrained": {"belief": one(other)},
            "tables": {"belief": {"belief": 1.0}},
        },
        "everything",
    )
    assert said(0.8, 0.2) == "yes" and said(0.4, 0.2) == "partly: above every control"
    assert said(0.8, 0.75) == said(0.8, 0.2, 0.75) == "no"

    net = lambda r2, known=0.95: {"known": Seeds(np.full(2, known)), "r2": {"never": Seeds(np.full(2, r2))}}
    after = lambda own, whole, known=0.95, other=0.3: claims.right(
        {"trained": net(own, known), "shown all": net(whole), "untrained": net(other), "shuffled": net(0.0)}
    )
    assert after(0.85, 0.9) == "law yes, belief yes" and after(0.7, 0.9, 0.5) == "law no, belief no"
    assert after(0.85, 0.9, 0.95, 0.8) == "law yes, belief no"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--context", "6"],
            "context must be 8 or more, as words of 4 tokens are the roots of what is left out; got 6",
        ),
        (["--processes", "mess3"], "rrxor"),
        (["--width", "0"], "width must be 1 or more; got 0"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("extrapolation", "quick", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "networks").exists()


@pytest.mark.slow
def test_quick(tmp_path):
    done = start("extrapolation", "quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr  # the words that training draws from are a constant of its program
    (home,) = (tmp_path / "extrapolation").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"laws", "bias", "left_out"}
    found = json.loads((home / "results.json").read_text())["rrxor"]
    assert found["laws"]["gaps"][-1]["mean"] < found["laws"]["gaps"][0]["mean"]
    assert found["bias"]["tables"]["belief"]["belief"] == pytest.approx(1)
