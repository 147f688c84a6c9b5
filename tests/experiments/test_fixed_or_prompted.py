"""Fixed or prompted: exact laws beside sums over all HMMs, the judge, mistakes, and the claim as it is started."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from beliefgeo.reading import Seeds
from tests.cases import some_slow
from tests.experiments.command import modules, refusal, start


@pytest.fixture(scope="module")
def parts():
    with modules("fixed_or_prompted", "tasks", "learners", "rates", "exams", "measures", "claims") as found:
        yield found


@pytest.fixture(scope="module")
def prior(parts):
    return parts.tasks.prior(jax.random.key(3))


def chance(hmms, word):
    """P(word) for each HMM, in float64."""
    beliefs = np.asarray(hmms.initial, np.float64)
    for token in word:
        beliefs = np.einsum("mi,mij->mj", beliefs, np.asarray(hmms.transitions, np.float64)[:, token])
    return beliefs.sum(1)


def law(hmms, word, weights=None):
    """The law of the token after the word, if the HMMs have these weights before it, or are equally likely."""
    after = np.stack([chance(hmms, [*word, token]) for token in range(3)], 1)
    if weights is not None:
        return weights @ (after / chance(hmms, word)[:, None])
    return after.sum(0) / after.sum()


def test_the_head_names_the_rows_of_an_hmm_that_is_stationary(parts, prior):
    matrices, head = np.asarray(prior.hmms.transitions, np.float64), np.asarray(prior.head)
    assert len({*map(tuple, head)}) == len(matrices) == 4096 and {*head.ravel()} == {4, 5, 6, 7}
    moves, emissions = matrices.sum(1), matrices.sum(3).swapaxes(1, 2)
    for state in range(3):
        for rows, name in ((moves, head[:, state]), (emissions, head[:, 3 + state])):
            every = [rows[name == choice, state] for choice in range(4, 8)]
            assert all(np.ptp(one, axis=0).max() < 1e-6 for one in every)
            assert len(np.unique([one[0].round(4) for one in every], axis=0)) == 4
    assert moves[:, range(3), range(3)].min() >= parts.tasks.STAY - 1e-6
    initial = np.asarray(prior.hmms.initial, np.float64)
    np.testing.assert_allclose(np.einsum("mi,mij->mj", initial, moves), initial, atol=1e-6)


@pytest.fixture(scope="module")
def drawn(parts, prior):
    """Five HMMs, and words of them."""
    known = parts.tasks.pick(prior, np.array([7, 100, 1000, 2000, 4000]))
    return known, parts.exams.draw(jax.random.key(1), known, SimpleNamespace(words=6, length=7))


@pytest.mark.parametrize("name", some_slow(["fixed", "told", "inferred"], ["fixed"]))
def test_rows_hold_the_law_of_the_next_token_where_the_network_has_read_the_prefix(parts, drawn, name):
    known, words = drawn
    rows = parts.exams.rows_of(name, known, words)
    tokens = np.asarray(words.tokens)
    assert len(rows.word) == 6 * 7 and rows.tokens.shape == (6, 7 + 6 * (name == "told"))
    for row in range(len(rows.word)):
        word, length = rows.word[row], rows.length[row]
        past = tokens[word, :length]
        read = rows.tokens[word, : rows.position[row] + 1]
        head = np.asarray(words.chosen.head)[word] if name == "told" else []
        assert read.tolist() == [3, *head, *past]
        hmms = known.hmms if name == "inferred" else parts.tasks.pick(words.chosen.hmms, np.array([word]))
        np.testing.assert_allclose(rows.laws[row], law(hmms, past), atol=2e-6)
    if name == "inferred":
        last = rows.beliefs[-1].reshape(6, 4)
        chances = chance(known.hmms, tokens[-1, :6])
        choices = np.asarray(known.head) - 4
        expected = [[chances[choices[:, row] == one].sum() for one in range(4)] for row in range(6)]
        np.testing.assert_allclose(last, expected / chances.sum(), atol=1e-5)


def test_simpler_observers(parts, drawn):
    known, words = drawn
    tokens = np.asarray(words.tokens)
    rows = parts.exams.rows_of("inferred", known, words)
    short = parts.exams.forgetful("inferred", known, words, (0, 2, 6))
    never = parts.exams.never_infers(known, words)
    for row in range(0, len(rows.word), 5):
        past = tokens[rows.word[row], : rows.length[row]]
        np.testing.assert_allclose(short[row, 0], law(known.hmms, []), atol=2e-6)
        np.testing.assert_allclose(short[row, 1], law(known.hmms, past[-2:]), atol=2e-6)
        np.testing.assert_allclose(short[row, 2], rows.laws[row], atol=2e-6)
        np.testing.assert_allclose(never[row], law(known.hmms, past, np.full(5, 0.2)), atol=2e-6)
    own = parts.exams.forgetful("told", known, words, (2,))
    hmm = parts.tasks.pick(words.chosen.hmms, np.array([rows.word[-1]]))
    np.testing.assert_allclose(own[-1, 0], law(hmm, tokens[rows.word[-1], 4:6]), atol=2e-6)
    assert parts.exams.gap(rows, rows.laws) == pytest.approx(0, abs=1e-12)
    few = parts.exams.first_words(rows, 2)
    assert parts.exams.gap(few, np.full((14, 3), 1 / 3)) == pytest.approx(
        np.log(3) + np.mean((few.laws * np.log(few.laws)).sum(1)), abs=1e-12
    )


def test_windows(parts):
    windows = np.array([1e-1, 1e-2, 1e-3, 1e-5])
    found = [parts.exams.window_of(lost, windows) for lost in (1.0, 1e-2, 1e-4, 1e-9)]
    assert found == pytest.approx([0, 1, 3, 4])


def test_learners_are_of_equal_size(parts):
    sizes = [parts.learners.parameters(parts.learners.network_of(one, 32)) for one in parts.learners.LEARNERS]
    assert max(sizes) / min(sizes) < 1.05


@pytest.mark.slow
def test_batches_read_what_the_task_shows(parts, drawn):
    known, _ = drawn
    for name, head in (("told", 6), ("inferred", 0)):
        batch = parts.tasks.batches(name, 4, 5)(jax.random.key(0), known)
        tokens = np.asarray(batch.tokens)
        assert tokens.shape == (4, 1 + head + 5) and (tokens[:, 0] == 3).all() and (tokens[:, 1 + head :] < 3).all()
        if head:
            assert {*map(tuple, tokens[:, 1:7])} <= {*map(tuple, np.asarray(known.head).tolist())}
            assert 6 / 11 * np.log(4) < batch.floor < (6 * np.log(4) + 5 * np.log(3)) / 11 + 0.3


def test_the_judge(parts):
    claims = parts.claims
    ratio = lambda *values: claims.log_ratio(Seeds(np.array(values)[:, None]), Seeds(np.ones((len(values), 1))))
    assert claims.winner(ratio(0.5, 0.51, 0.49), "LSTM") == "transformer"
    assert claims.winner(ratio(2.0, 2.1, 1.9), "LSTM") == "LSTM"
    assert claims.winner(ratio(0.5, 2.0, 1.0), "LSTM") == "open"
    assert claims.winner(ratio(0.5), "LSTM") == "one seed has no interval"
    pooled = claims.log_ratio(Seeds(np.array([[1.0, 4.0]])), Seeds(np.array([[2.0, 2.0]])))
    assert pooled.values == pytest.approx([0])
    said = lambda *winners: claims.contradiction(*winners, "GRU")
    assert said("GRU", "transformer").startswith("confirmed")
    assert said("transformer", "GRU").startswith("reversed")
    assert said("GRU", "GRU") == "not confirmed: GRU on both"
    assert said("open", "GRU") == "open: open on fixed HMMs, GRU on fresh ones"
    tasks = {
        name: {"verdict": {"GRU long": {"winner": one}}} for name, one in (("fixed", "GRU"), ("told", "transformer"))
    }
    assert claims.judge(tasks) == {"told GRU": "confirmed: GRU on fixed HMMs, transformer on fresh ones"}


def test_the_judge_of_a_task(parts):
    of = lambda gap, new: SimpleNamespace(gap=Seeds(np.array(gap)[:, None, None]), new=Seeds(np.array(new)[:, None]))
    nan, two = [np.nan] * 2, [0.2, 0.21]
    learnt = {
        "transformer": {"short": of(two, nan), "long": of(two, two)},
        "LSTM": {"short": of([0.1, 0.2], nan), "long": of([0.1, 0.105], [0.4, 0.42])},
    }
    found = parts.claims.judge_task(learnt)
    said = {name: one["winner"] for name, one in found.items()}
    assert said == {"LSTM short": "open", "LSTM long": "LSTM", "LSTM long new": "transformer"}
    assert found["LSTM long"]["ratio"].mean == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--pool", "0"], "pool must be 1 to 4095 of the 4096 HMMs, so that some are seen and others are new; got 0"),
        (["--hmms", "0"], "hmms must be 1 to the pool's 64; got 0"),
        (["--length", "3"], "length must be 6 or more"),
        (["--tasks", "prompted"], "inferred"),
    ],
)
def test_mistakes(args, message, tmp_path):
    assert message in refusal("fixed_or_prompted", "quick", *args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "networks").exists()


@pytest.mark.slow
def test_quick(tmp_path):
    done = start("fixed_or_prompted", "quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (home,) = (tmp_path / "fixed_or_prompted").iterdir()
    assert {path.stem for path in home.iterdir() if path.suffix == ".png"} == {"training", "positions"}
    found = json.loads((home / "results.json").read_text())
    assert found["verdict"] == {}  # one task alone
    learnt = found["fixed"]["learners"]["GRU"]["long"]
    assert np.mean(learnt["gap"]["values"], (0, 1))[-1] < np.mean(learnt["gap"]["values"], (0, 1))[0]
