"""The claim as a user runs it, its mistakes, and its parts on cases with known answers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import TransformerConfig
from beliefgeo.networks.transformer import Transformer
from beliefgeo.reading import Seeds
from tests.experiments.command import modules, refusal, start


@pytest.fixture(scope="module")
def parts():
    with modules("optimiser", "soap", "descent", "properties", "measures") as found:
        yield found


def soap_of(gradients):
    """Algorithm 3 of 2409.11321 with a new basis in every step, in float64."""
    rows, columns = gradients[0].shape
    m, v = np.zeros((rows, columns)), np.zeros((rows, columns))
    left, right, ql, qr = np.zeros((rows, rows)), np.zeros((columns, columns)), np.eye(rows), np.eye(columns)
    for count, g in enumerate(gradients, 1):
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * (ql.T @ g @ qr) ** 2
        adam = (ql.T @ m @ qr) / (1 - 0.95**count) / (np.sqrt(v / (1 - 0.95**count)) + 1e-8)
        direction = ql @ adam @ qr.T
        left, right = 0.95 * left + 0.05 * g @ g.T, 0.95 * right + 0.05 * g.T @ g
        ql, qr = np.linalg.qr(left @ ql)[0], np.linalg.qr(right @ qr)[0]
    return direction


def test_soap_is_its_algorithm(parts):
    gradients = np.random.default_rng(0).normal(size=(7, 4, 3))
    soap = parts.soap.scale_by_soap()
    state = soap.init({"one": jnp.zeros((4, 3))})
    for gradient in gradients:
        directions, state = soap.update({"one": jnp.asarray(gradient, jnp.float32)}, state)
    np.testing.assert_allclose(directions["one"], soap_of(gradients), atol=2e-4)


def test_soap_reads_maps_into_and_out_of_heads_as_matrices(parts):
    as_matrix = parts.soap.as_matrix
    assert as_matrix(jnp.zeros((32, 2, 8))).shape == (32, 16)
    assert as_matrix(jnp.zeros((2, 8, 32))).shape == (16, 32)
    assert as_matrix(jnp.zeros((5, 7))).shape == (5, 7)


@pytest.fixture(scope="module")
def network():
    network = Transformer(TransformerConfig(vocab_size=3, context=4, layers=1, width=8, mlp_width=8))
    return network, network.init(jax.random.key(0), jnp.zeros(4, int))


def test_matrices_are_maps_between_layers(parts, network):
    params = network[1]["params"]
    kinds = parts.descent.kinds(network[1])["params"]
    assert kinds["block_0"]["mlp_in"] == {"kernel": "matrix", "bias": "other"}
    assert kinds["block_0"]["attention"]["output"]["kernel"] == "matrix"
    assert {*jax.tree.leaves(kinds["unembed"]), *jax.tree.leaves(kinds["embed"])} == {"other"}
    assert jax.tree.structure(kinds) == jax.tree.structure(params)


def test_decay_shrinks_matrices_alone_by_its_share_of_the_schedule(parts, network):
    shrink = parts.descent.shrinking(0.1, lambda count: 1.0 / (count + 1))
    params, state = network[1], shrink.init(network[1])
    for _ in range(2):
        updates, state = shrink.update(jax.tree.map(jnp.zeros_like, params), state, params)
        params = optax.apply_updates(params, updates)
    for kind, before, after in zip(
        *(jax.tree.leaves(tree) for tree in (parts.descent.kinds(params), network[1], params)), strict=True
    ):
        np.testing.assert_allclose(after, before * (0.9 * 0.95 if kind == "matrix" else 1), rtol=1e-6)


def test_participation_counts_equal_variances(parts):
    participation = parts.properties.participation
    assert participation(np.diag([2.0, 2.0, 0.0])) == 2
    assert participation(np.diag([3.0, 1.0])) == pytest.approx(16 / 10)


class Constant:
    """A network that knows a law of its own and reads nothing."""

    def init(self, key, tokens):
        return jnp.zeros(2)

    def apply(self, params, tokens, edit=None):
        return jnp.tile(params, (len(tokens), 1)), {}


def test_sharpness_is_the_largest_curvature(parts):
    rows = reading.rows(jax.random.key(0), bg.golden_mean(), 3)
    found = parts.properties._sharpness(Constant(), jnp.array([0.5, -0.3]), *parts.properties._targets(rows))
    law = np.exp([0.5, -0.3]) / np.exp([0.5, -0.3]).sum()
    assert found == pytest.approx(np.linalg.eigvalsh(np.diag(law) - np.outer(law, law)).max(), rel=1e-5)


def path(parts, gap, left, **more):
    """A path of properties [seed, moment], the others random."""
    random = np.random.default_rng(3)
    names = parts.properties.Properties._fields
    given = {name: random.uniform(size=np.shape(gap)) for name in names} | {"gap": gap, "unexplained": left} | more
    return parts.properties.Properties(*(Seeds(np.asarray(given[name], float)) for name in names))


def test_at_equal_loss_lines_are_straight_in_logarithms(parts):
    one = path(parts, [[1, 0.1, 0.01], [0.5, 0.1, 0.001]], [[0.5, 0.2, 0.1], [0.5, 0.4, 0.1]])
    at_level = parts.measures.at_level
    np.testing.assert_allclose(np.exp(at_level(one, 0.1**1.5).values), [np.sqrt(0.02), 0.4 * 0.25**0.25])
    assert at_level(one, 0.005) is None  # one of the two seeds never gets there
    np.testing.assert_allclose(np.exp(at_level(one, 2.0).values), [0.5, 0.5])  # from the beginning


def test_a_comparison_is_at_the_lowest_loss_that_both_reach(parts):
    compare = parts.measures.compare
    one = path(parts, [[1, 0.1, 0.01]] * 3, [[0.8, 0.4, 0.1], [0.8, 0.4, 0.2], [0.8, 0.4, 0.3]])
    other = path(parts, [[1, 0.1], [1, 0.1], [1, 0.01]], [[0.8, 0.2], [0.8, 0.2], [0.8, 0.15]])
    np.testing.assert_allclose(compare([(one, other)])["ratio"].values, [2, 2, 2])  # .1, .1 and .01 nats
    assert compare([(one, other)])["differs"] == "yes"
    assert compare([(one, one)])["differs"] == "no"
    np.testing.assert_allclose(compare([(one, other), (one, one)])["ratio"].values, np.sqrt([2, 2, 2]))
    little = one._replace(unexplained=Seeds(1.1 * one.unexplained.values))
    assert compare([(little, one)])["differs"] == "no"  # sure, and too small


def test_partial_rank_finds_what_the_loss_does_not_tell(parts):
    random = np.random.default_rng(0)
    gap, own = random.uniform(size=200), random.uniform(size=200)
    partial = parts.measures.partial_rank
    assert partial(gap, gap + own, own) > 0.95
    assert abs(partial(gap, gap + own, gap**2 + 1e-3 * random.uniform(size=200))) < 0.2


def test_a_property_predicts_where_all_processes_agree(parts):
    predicts = parts.measures.predicts
    strong, weak, other = (Seeds(np.array([a, a + 0.01, a - 0.01])) for a in (0.7, 0.3, -0.7))
    assert predicts([strong, strong]) == "yes"
    assert predicts([strong, weak]) == predicts([strong, other]) == "no"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--optimizers", "adam", "adam"), "optimizers must be one or more, each once; got adam adam"),
        (("--duration", "0"), "duration must be at least a tenth"),
        (("--batch", "0"), "batch must be 1 or more; got 0"),
    ],
)
def test_mistakes_end_in_one_sentence(args, said):
    assert said in " ".join(refusal("optimiser", "quick", *args).split())


@pytest.mark.slow
def test_quick_from_the_command_line(tmp_path):
    args = ("--optimizers", "adam", "soap", "--targets", "laws", "samples", "--decays", "none", "decay")
    done = start("optimiser", "quick", *args, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("optimiser/*/results.json")
    found = json.loads(results.read_text())["processes"]["mess3"]
    assert len(found["trainings"]) == 8
    assert {path.stem for path in results.parent.rglob("*.png")} >= {"curves", "ratios", "correlations"}
