"""Models of other packages: the same probability of every word; theirs where they are installed, the oracle always."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import beliefgeo as bg
from tests import oracle

RNG = np.random.default_rng(0)
STARTS, MOVES = RNG.dirichlet(np.ones(3)), RNG.dirichlet(np.ones(3), 3)
EMISSIONS = RNG.dirichlet(np.ones(4), 3)
WORD = RNG.integers(0, 4, 50)
ENDS = np.array([0.1, 0.0, 0.3])


def part(**fields):
    return SimpleNamespace(**fields)


def hmmlearn_parts(**more):
    return part(startprob_=STARTS, transmat_=MOVES, emissionprob_=EMISSIONS, **more)


def dynamax_parts(emissions=EMISSIONS[:, None]):
    return part(initial=part(probs=STARTS), transitions=part(transition_matrix=MOVES), emissions=part(probs=emissions))


@np.errstate(divide="ignore")
def pomegranate_parts(moves=MOVES, ends=(1 / 3, 1 / 3, 1 / 3)):
    logs = {"starts": np.log(STARTS), "edges": np.log(moves), "ends": np.log(ends)}
    return part(distributions=[part(probs=law[None]) for law in EMISSIONS], **logs)


def forward(word, moves=MOVES):
    """The joint law of a word and of the state that emitted its last token: emit, then move."""
    law = STARTS * EMISSIONS[:, word[0]]
    for token in word[1:]:
        law = (law @ moves) * EMISSIONS[:, token]
    return law


@pytest.mark.parametrize(
    "process",
    [bg.from_hmmlearn(hmmlearn_parts()), bg.from_dynamax(dynamax_parts()), bg.from_pomegranate(pomegranate_parts())],
    ids=["hmmlearn", "dynamax", "pomegranate"],
)
def test_every_word_has_its_probability(process):
    for word in oracle.all_words(4, 3):
        np.testing.assert_allclose(oracle.joint_probability(process, word), forward(word).sum(), rtol=1e-5)
    np.testing.assert_allclose(bg.log_probability(process, WORD), np.log(forward(WORD).sum()), rtol=1e-6)


def test_a_sequence_of_pomegranate_ends_in_a_token():
    moves = MOVES * (1 - ENDS)[:, None]
    process = bg.from_pomegranate(pomegranate_parts(moves, ENDS))
    assert process.vocab_size == 5
    for word in [(0,), (3, 1), (2, 2, 0)]:
        expected = forward(word, moves) @ ENDS
        np.testing.assert_allclose(oracle.joint_probability(process, (*word, 4)), expected, rtol=1e-5)
        np.testing.assert_allclose(oracle.joint_probability(process, (*word, 4, 4)), expected, rtol=1e-5)
        assert oracle.joint_probability(process, (*word, 4, 0)) == 0
    total = sum(oracle.joint_probability(process, word) for word in oracle.all_words(5, 3))
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_what_is_no_such_model_is_refused():
    with pytest.raises(ValueError, match="needs a fitted CategoricalHMM, which emits a token at a time"):
        bg.from_hmmlearn(part(startprob_=STARTS, transmat_=MOVES, means_=np.zeros((3, 1))))
    with pytest.raises(ValueError, match="CategoricalHMM"):
        bg.from_hmmlearn(hmmlearn_parts(n_trials=None))
    with pytest.raises(ValueError, match=r"emission_dim=1.*shape \(3, 2, 4\)"):
        bg.from_dynamax(dynamax_parts(np.repeat(EMISSIONS[:, None], 2, 1)))
    with pytest.raises(ValueError, match="needs a DenseHMM"):
        bg.from_pomegranate(part(edges=None, starts=None, distributions=None))
    with pytest.raises(ValueError, match="row . sums to 0.9"):
        bg.from_pomegranate(pomegranate_parts(0.9 * MOVES, np.zeros(3)))


@pytest.mark.filterwarnings("ignore")
def test_hmmlearn_scores_alike():
    model = pytest.importorskip("hmmlearn.hmm").CategoricalHMM(2, random_state=0, n_iter=5)
    tokens = np.asarray(bg.sample(jax.random.key(0), bg.golden_mean(), 400).tokens)
    model.fit(tokens[:, None])
    assert bg.log_probability(bg.from_hmmlearn(model), tokens) == pytest.approx(model.score(tokens[:, None]), rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_dynamax_scores_alike():
    dynamax = pytest.importorskip("dynamax.hidden_markov_model")
    hmm = dynamax.CategoricalHMM(3, 1, 4)
    with jax.numpy_rank_promotion("allow"):
        params, _ = hmm.initialize(jax.random.key(1))
        theirs = float(hmm.marginal_log_prob(params, WORD[:, None]))
    assert bg.log_probability(bg.from_dynamax(params), WORD) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_pomegranate_scores_alike():
    pomegranate, torch = pytest.importorskip("pomegranate.hmm"), pytest.importorskip("torch")
    from pomegranate.distributions import Categorical  # pyright: ignore[reportMissingImports]

    laws = lambda: [Categorical(law[None].astype(np.float32).tolist()) for law in EMISSIONS]
    words = torch.as_tensor(RNG.integers(0, 4, (20, 30))[..., None])
    endless = pomegranate.DenseHMM(laws(), edges=MOVES.tolist(), starts=STARTS.tolist(), ends=[1 / 3] * 3)
    theirs = endless.log_probability(words).detach().numpy() + np.log(3)
    ours = [bg.log_probability(bg.from_pomegranate(endless), word) for word in words[..., 0].numpy()]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    fitted = pomegranate.DenseHMM(laws(), edges=MOVES.tolist(), starts=STARTS.tolist(), max_iter=3).fit(words)
    theirs = fitted.log_probability(words).detach().numpy()
    ours = [bg.log_probability(bg.from_pomegranate(fitted), [*word, 4]) for word in words[..., 0].numpy()]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
