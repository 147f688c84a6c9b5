"""Places in a network, and networks that run on from given activations; parents and suffixes of prefixes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import Recurrent, RecurrentConfig, Transformer, TransformerConfig
from beliefgeo.reading import Site, resume, site_of
from tests import oracle

NETWORKS = {
    "transformer": Transformer(TransformerConfig(3, context=5, layers=2, width=8, heads=2, head_width=4, mlp_width=8)),
    "lstm": Recurrent(RecurrentConfig(3, layers=2, width=8)),
}
TOKENS = jnp.array([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])


@pytest.fixture(scope="module", params=NETWORKS)
def made(request):
    network = NETWORKS[request.param]
    return network, network.init(jax.random.key(0), TOKENS[0])


@pytest.mark.parametrize("name", ["embed", "layer 1", "layer 2", "final norm"])
def test_own_activations_change_nothing_and_others_take_over(made, name):
    network, params = made
    site = site_of(network, params, name)
    held = reading.read_words(network, params, TOKENS, site)
    laws = jax.nn.log_softmax(jnp.stack([network.apply(params, word)[0] for word in TOKENS]))
    np.testing.assert_allclose(resume(network, params, TOKENS, site, held), laws, atol=1e-6)
    # Each word with the activations of the other: at the embedding it becomes the other word.
    swapped = resume(network, params, TOKENS, site, held[::-1])
    np.testing.assert_allclose(swapped, laws[::-1], atol=1e-6)
    # Where nothing is chosen the network holds its own; a change at a position reaches no earlier one.
    chosen = np.zeros(TOKENS.shape, bool)
    np.testing.assert_allclose(resume(network, params, TOKENS, site, held[::-1], where=chosen), laws, atol=1e-6)
    chosen[:, 2] = True
    late = resume(network, params, TOKENS, site, held[::-1], where=chosen)
    np.testing.assert_allclose(late[:, :2], laws[:, :2], atol=1e-6)
    assert abs(late[:, 2] - laws[:, 2]).max() > 1e-3


def test_a_place_is_what_a_reading_calls_by_its_name():
    network = NETWORKS["transformer"]
    params = network.init(jax.random.key(0), TOKENS[0])
    activations = network.apply(params, TOKENS[0])[1]
    named = reading.by_layer(activations, ("resid_pre", "resid_mid", "resid_post"))
    assert list(named) == [f"layer {layer}{after}" for after in (" pre", " mid", "") for layer in (1, 2)]
    for name, value in {**reading.by_layer(activations), **named}.items():
        np.testing.assert_array_equal(site_of(network, params, name)(activations), value)
    assert site_of(network, params, "layer 2 mid") == Site("resid_mid", 1)


def test_mistakes():
    network = NETWORKS["lstm"]
    params = network.init(jax.random.key(0), TOKENS[0])
    with pytest.raises(ValueError, match=r"no site 'layer 3': choose one of .*layer 2"):
        site_of(network, params, "layer 3")
    with pytest.raises(ValueError, match="values must have width 8, as the network holds at resid_post; got 7"):
        resume(network, params, TOKENS, Site("resid_post", 0), np.zeros((2, 5, 7)))
    with pytest.raises(ValueError, match=r"for tokens \(2, 5\); got shapes \(2, 4, 8\)"):
        resume(network, params, TOKENS, Site("resid_post", 0), np.zeros((2, 4, 8)))


@pytest.mark.parametrize("bos", [None, 2])
def test_parents_and_last_tokens(bos):
    rows = reading.rows(jax.random.key(0), bg.rrxor(), 5, bos=bos)
    prefix = [tuple(rows.words[word, :length]) for word, length in zip(rows.word, rows.length, strict=True)]
    for row, parent in enumerate(rows.parent):
        if len(prefix[row]) == rows.length.min():
            assert parent == -1
        else:
            assert prefix[parent] == prefix[row][:-1]
        assert rows.last_token[row] == (prefix[row][-1] if prefix[row] else -1)
    drawn = reading.rows(jax.random.key(1), bg.mess3(), 8, most=20, bos=bos and 3)
    child = drawn.parent >= 0
    assert (drawn.length[drawn.parent[child]] == drawn.length[child] - 1).all()


@pytest.mark.parametrize("length", [0, 2, 9])
def test_suffix_beliefs_against_the_oracle(length):
    process = bg.mess3(0.1, 0.7)
    rows = reading.rows(jax.random.key(0), process, 4)
    found = reading.suffix_beliefs(process, rows, length)
    for row in range(len(rows.word)):
        prefix = rows.words[rows.word[row], : rows.length[row]].tolist()
        suffix = prefix[max(0, len(prefix) - length) :] if length else []
        np.testing.assert_allclose(found[row], oracle.belief(process, suffix), atol=1e-6)
    with pytest.raises(ValueError, match="0 or more"):
        reading.suffix_beliefs(process, rows, -1)


def test_a_suffix_that_cannot_begin_has_no_belief():
    started = bg.hmm(bg.even().transitions, [0.0, 1.0])  # it begins with a 1
    rows = reading.rows(jax.random.key(0), started, 3)
    found = reading.suffix_beliefs(started, rows, 1)
    assert np.isnan(found[rows.last_token == 0]).all() and np.isfinite(found[rows.last_token == 1]).all()
