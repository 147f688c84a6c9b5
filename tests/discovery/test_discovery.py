"""A process read off a perfect model is the process; a wrong or noisy model gives what it must."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import discovery
from beliefgeo.beliefs.causal_states import linear_dimension
from tests import oracle
from tests.discovery.models import PROCESSES, found, futures, process


@pytest.mark.parametrize("name", PROCESSES)
def test_a_perfect_model_gives_its_process(name):
    one, read = process(name), found(name)
    assert read.dimension == linear_dimension(one) - 1
    compared = discovery.compare_processes(one, read.process, 6)
    assert compared.divergence < 1e-7 and compared.total_variation < 1e-5 and compared.most_negative > -1e-6
    assert compared.operators < 1e-4
    np.testing.assert_allclose(abs(compared.eigenvalues), abs(compared.true_eigenvalues), atol=1e-4)


def test_points_are_affine_in_beliefs():
    read, one = found("mess3"), futures("mess3")
    beliefs = np.stack([oracle.belief(process("mess3"), word[word >= 0]) for word in one.words])
    score = bg.probes.score_probe(bg.fit_probe(read.points, beliefs), read.points, beliefs)
    assert score.mse < 1e-12


def test_a_noisy_model_keeps_its_dimension():
    # Errors of a network have as many dimensions as there are futures: they do not count.
    exact = discovery.process_laws(process("mess3"))
    noise = np.random.default_rng(0).normal(size=(3**7,))

    def laws(words):
        given = exact(words)
        code = np.stack([words[:, : size + 1] @ 3.0 ** np.arange(size + 1) for size in range(words.shape[1])], 1)
        tilt = noise[code.astype(int) % len(noise)][..., None] * np.array([0.02, -0.01, -0.01])
        moved = given[:, 1:] * np.exp(tilt)
        return moved / moved.sum(-1, keepdims=True)

    read = discovery.discover_process(discovery.future_laws(laws, 4, 3))
    assert read.dimension == 2 and (read.subspace.singular_values > 1e-4).sum() > 10
    assert discovery.compare_processes(process("mess3"), read.process, 6).divergence < 1e-3


def test_independent_tokens_have_no_dimension():
    read = discovery.discover_process(discovery.future_laws(discovery.process_laws(bg.coin(0.3)), 4, 3))
    assert read.dimension == 0
    np.testing.assert_allclose(np.asarray(read.process.transitions)[:, 0, 0], [0.3, 0.7], atol=1e-6)


def shaken(size):
    """Golden mean whose coin is shaken by a hidden bit that stays 9 times of 10."""
    heads = np.array([0.5 + size, 0.5 - size])
    bit = np.array([[0.9, 0.1], [0.1, 0.9]])
    free, none = heads[:, None] * bit, np.zeros((2, 2))
    zero = np.block([[none, bit - free], [none, none]])  # a 0 is followed by a 1
    return bg.hmm(np.stack([zero, np.block([[free, none], [bit, none]])]))


def test_what_is_too_small_to_be_told_from_errors_is_no_dimension():
    # All three are exact: the bit is a dimension if it leaves more than a ten-thousandth of what the past tells.
    for size, dimension in [(0.2, 3), (0.01, 1)]:
        read = discovery.discover_process(discovery.future_laws(discovery.process_laws(shaken(size)), 6, 4))
        assert read.dimension == dimension, size
    one = discovery.future_laws(discovery.process_laws(shaken(0.01)), 6, 4)
    assert discovery.discover_process(one, resolution=0).dimension == 3


def test_a_model_almost_without_memory_has_no_dimension():
    heads, moves = np.array([0.6, 0.4])[:, None], np.array([[0.9, 0.1], [0.1, 0.9]])
    faint = bg.hmm(np.stack([heads * moves, (1 - heads) * moves]))
    one = discovery.future_laws(discovery.process_laws(faint), 6, 4)
    read = discovery.discover_process(one)
    assert 1e-4 < read.divergences[0] < 1e-3 and read.dimension == 0
    assert discovery.discover_process(one, memory=1e-5).dimension == 1


@pytest.mark.parametrize(
    ("divergences", "dimension"),
    [
        ([0.29, 0.38, 9.3e-5, 6e-5], 2),
        ([0.107, 0.077, 0.019, 0.0023, 6e-6, 5e-6], 4),
        ([0.03, 0.02, 0.01, 0.005], 0),
        ([0.03], 0),
        ([0.1, 1e-13, 1e-16], 1),  # below 1e-12 a divergence is rounding
        ([1.0, 0.1, 0.3, 0.021, 0.019], 1),
    ],
)
def test_choose_dimension(divergences, dimension):
    assert discovery.choose_dimension(divergences) == dimension


def test_activations_that_hold_beliefs_give_the_process():
    one, read = futures("z1r"), process("z1r")
    words = [word[word >= 0] for word in one.words]
    belief = lambda word: oracle.belief(read, word)
    turn = np.random.default_rng(0).normal(size=(3, 12))
    held = np.stack([belief(word) for word in words]) @ turn
    after = np.zeros((len(words), 2, 12))
    for row, word in enumerate(words):
        for token in range(2):
            if one.laws[row, token] > 0:
                after[row, token] = belief([*word, token]) @ turn
    inside = discovery.discover_process(one, activations=held, after=after)
    assert inside.dimension == 2
    assert discovery.compare_processes(read, inside.process, 6).divergence < 1e-7


def test_compare_processes_by_hand():
    one, other = bg.golden_mean(0.5), bg.golden_mean(0.6)
    words = list(itertools.product(range(2), repeat=3))
    p, q = (np.array([oracle.joint_probability(each, word) for word in words]) for each in (one, other))
    compared = discovery.compare_processes(one, other, 3)
    seen = p > 0
    assert compared.divergence == pytest.approx(p[seen] @ np.log(p[seen] / q[seen]) / 3, rel=1e-5)
    assert compared.total_variation == pytest.approx(abs(p - q).sum() / 2, rel=1e-5)
    # A change of coordinates changes no error of operators.
    turn = np.array([[2.0, 1.0], [-0.5, 1.0]])
    turned = bg.Process(
        jnp.asarray(turn @ other.transitions @ np.linalg.inv(turn), float),
        jnp.asarray(other.initial @ np.linalg.inv(turn), float),
        jnp.asarray(turn @ other.readout, float),
    )
    assert compared.operators > 0.05
    assert discovery.compare_processes(one, turned, 3).operators == pytest.approx(compared.operators, rel=1e-4)
    assert discovery.compare_processes(process("rrxor"), found("z1r").process, 4).operators is None


def test_the_moore_form_of_mess3():
    form = discovery.moore_form(found("mess3").process)
    assert form.commutator < 1e-5
    np.testing.assert_allclose(form.transition_matrix, 0.05 + 0.85 * np.eye(3), atol=1e-5)
    np.testing.assert_allclose(np.sort(form.emission_probs, 1), [[0.075, 0.075, 0.85]] * 3, atol=1e-5)
    assert discovery.compare_processes(process("mess3"), form.process, 5).divergence < 1e-9
    # The states of the HMM are the corners of a simplex around the points.
    corners = np.linalg.inv(np.c_[np.ones(3), form.vertices[:, 1:]])
    points = found("mess3").points
    assert (np.c_[np.ones(len(points)), points] @ corners).min() > 0


def test_no_moore_form():
    assert discovery.moore_form(found("bloch_walk").process).commutator > 0.5
    assert discovery.moore_form(found("bloch_walk").process).process is None
    singular = discovery.moore_form(found("rrxor").process)
    assert singular.process is None and singular.condition > 1e6 and np.isnan(singular.commutator)


@pytest.mark.parametrize(("name", "counts"), [("golden_mean", (3, 2)), ("z1r", (7, 3)), ("rrxor", (36, 5))])
def test_causal_states_settle(name, counts):
    one = process(name)
    wide = futures(name) if name != "rrxor" else discovery.future_laws(discovery.process_laws(one), 8, 4)
    assert discovery.state_plateau(wide).settled == counts
    states = discovery.merge_states(wide, 0.01)
    assert states.counts == counts
    assert bg.beliefs.causal_states.is_same_process(states.process, one)


@pytest.mark.parametrize("name", ["mess3", "bloch_walk"])
def test_infinitely_many_states_do_not_settle(name):
    plateau = discovery.state_plateau(futures(name), np.geomspace(1e-3, 0.2, 9))
    assert plateau.settled is None and plateau.between is None
    assert (np.diff(plateau.counts[:, 0]) <= 0).all() and plateau.counts[0, 0] > 20


def test_the_smallest_simplex():
    corners = np.array([[0.0, 0.0], [2.0, 0.0], [0.5, 1.0]])
    shares = np.random.default_rng(0).dirichlet([0.3] * 3, 400)
    shares[:3] = np.eye(3)
    found_ = discovery.enclosing_simplex(jax.random.key(0), shares @ corners)
    assert found_.fill == pytest.approx(1, abs=1e-6)
    nearest = abs(found_.vertices[:, None] - corners).sum(-1).min(0)
    np.testing.assert_allclose(nearest, 0, atol=1e-6)
    assert found_.mixture(shares @ corners).min() > -1e-9
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    disc = discovery.enclosing_simplex(jax.random.key(0), np.stack([np.cos(angle), np.sin(angle)], 1))
    assert disc.fill == pytest.approx(np.pi / (3 * np.sqrt(3)), rel=1e-3)
    line = discovery.enclosing_simplex(jax.random.key(0), [[0.3], [0.1], [0.2]])
    assert line.vertices.tolist() == [[0.1], [0.3]]


@pytest.mark.parametrize(
    ("make", "dimension"),
    [
        (lambda: bg.mixture([bg.coin(0.2), bg.coin(0.7)], [0.5, 0.5]), 1),
        (lambda: bg.mixture([bg.coin(0.2), bg.golden_mean()], [0.1, 0.9]), 2),
        (lambda: bg.hmm(bg.mess3().transitions, [1.0, 0.0, 0.0]), 2),
    ],
)
def test_models_that_are_not_stationary_or_not_ergodic(make, dimension):
    model = make()
    read = discovery.discover_process(discovery.future_laws(discovery.process_laws(model), 5, 3))
    assert read.dimension == dimension and read.unexplained < 1e-9
    assert discovery.compare_processes(model, read.process, 6).divergence < 1e-7


def test_sampled_prefixes_give_the_same_process():
    drawn = np.asarray(bg.sample(jax.random.key(0), bg.mess3(), 30 * 12).tokens).reshape(30, 12)
    read = discovery.discover_process(discovery.future_laws(discovery.process_laws(bg.mess3()), drawn, 2))
    assert read.dimension == 2
    # Nats a token, whatever the length of the sample: as of all words.
    assert read.divergences[0] == pytest.approx(found("mess3").divergences[0], rel=0.2)
    assert discovery.compare_processes(bg.mess3(), read.process, 5).divergence < 1e-7
    # A sample without a first token leaves the empty word as it is.
    some = discovery.future_laws(discovery.process_laws(bg.mess3()), [[0, 1, 2], [0, 2, 2]], 2)
    np.testing.assert_allclose(some.laws[0], 1 / 3, atol=1e-6)


def test_a_moore_form_in_spite_of_a_coincidence():
    # In the mixture of tokens with weights 1, sqrt 2, sqrt 3 two states have the same eigenvalue.
    normal = np.cross(np.sqrt([1, 2, 3]), np.ones(3))
    normal, mean = normal / abs(normal).max(), np.array([0.3, 0.4, 0.3])
    moves = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    emissions = np.stack([mean + 0.25 * normal, mean - 0.25 * normal, [0.1, 0.1, 0.8]])
    form = discovery.moore_form(bg.from_moore([1.0, 0.0, 0.0], moves, emissions))
    order = np.argsort(-emissions[:, 0])
    np.testing.assert_allclose(form.emission_probs, emissions[order], atol=1e-5)
    np.testing.assert_allclose(form.transition_matrix, moves[order][:, order], atol=1e-5)
    # The start is kept as well: the first token comes from state 0 alone.
    again = discovery.compare_processes(bg.from_moore([1.0, 0.0, 0.0], moves, emissions), form.process, 4)
    assert again.divergence < 1e-6


def test_states_that_emit_alike_are_not_told_apart():
    moves = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.3, 0.1, 0.6]]
    form = discovery.moore_form(bg.from_moore(None, moves, [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]]))
    assert form.process is None and form.transition_matrix is None


def test_operators_of_many_states_fit_into_memory():
    pair = bg.product([bg.mess3(), bg.mess3(0.15, 0.6)])
    assert discovery.compare_processes(pair, pair, 2).operators < 1e-5


def test_what_is_asked_wrongly():
    one = futures("golden_mean")
    with pytest.raises(ValueError, match=r"dimension must lie in 0..1, fewer than there are prefixes"):
        discovery.discover_process(one, 60)
    with pytest.raises(ValueError, match=r"activations need `after`"):
        discovery.discover_process(one, activations=np.ones((len(one.words), 3)))
    with pytest.raises(ValueError, match=r"activations must be \[row, width\] for the \d+ prefixes"):
        discovery.predictive_subspace(one, np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"need more prefixes"):
        discovery.predictive_subspace(one, np.ones((len(one.words), len(one.words))))
    with pytest.raises(ValueError, match=r"finite"):
        discovery.predictive_subspace(one, np.full((len(one.words), 3), np.nan))
    with pytest.raises(ValueError, match=r"divergences must be finite"):
        discovery.choose_dimension([0.1, np.nan])
    with pytest.raises(ValueError, match=r"one vocabulary"):
        discovery.compare_processes(bg.mess3(), bg.golden_mean(), 4)
    with pytest.raises(ValueError, match=r"above 0"):
        discovery.merge_states(one, 0.0)
    for wrong in ([0.1, 0.01], [0.1, np.nan]):
        with pytest.raises(ValueError, match=r"positive and increase"):
            discovery.state_plateau(one, wrong)
    with pytest.raises(ValueError, match=r"got shape \(2, 3\)"):
        discovery.enclosing_simplex(jax.random.key(0), [[0.0], [1.0]]).mixture(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"all words of 40 tokens would take"):
        discovery.compare_processes(bg.mess3(), bg.mess3(), 40)
    with pytest.raises(ValueError, match=r"fill their 2 dimensions"):
        discovery.enclosing_simplex(jax.random.key(0), np.ones((10, 2)))
