import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.trees import word_chunks
from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.probes.least_squares import fit_probe, score_probe, score_statistic, solve_probe
from beliefgeo.probes.streamed import stream_words
from beliefgeo.reading import loss_gap, optimal_loss, read, rows_of
from tests.cases import ALL

LENGTH = 6


@pytest.mark.parametrize("depth", [0, 2, 6])
@pytest.mark.parametrize("name", ["mess3", "rrxor", "signed_golden_mean"])
def test_chunks_are_all_words_in_order(name, depth):
    process = ALL[name]()
    whole, chunks = bg.words(process, LENGTH), list(word_chunks(process, LENGTH, depth))
    assert len(chunks) == len(bg.words(process, depth).tokens)
    assert all((chunk.tokens[:, :depth] == chunk.tokens[:1, :depth]).all() for chunk in chunks)
    tokens, probabilities, beliefs = (np.concatenate(column) for column in zip(*chunks, strict=True))
    np.testing.assert_array_equal(tokens, whole.tokens)
    # Matrix products of other shapes sum in another order: the last bits of float64.
    np.testing.assert_allclose(probabilities, whole.probabilities, rtol=1e-13)
    np.testing.assert_allclose(beliefs, whole.beliefs, atol=1e-13)


@pytest.mark.parametrize("depth", [-1, 7])
def test_chunks_that_cannot_be(depth):
    with pytest.raises(ValueError, match=f"depth must be from 0 to the length of the words, 6; got {depth}"):
        list(word_chunks(bg.rrxor(), LENGTH, depth))


@pytest.fixture(scope="module", params=[("mess3", None), ("rrxor", None), ("golden_mean", 2)], ids=str)
def both(request):
    """All words at once, and the same in chunks."""
    name, bos = request.param
    process, select = ALL[name](), lambda sites: {"last": sites["resid_post"][-1], "embed": sites["embed"]}
    vocab_size = process.vocab_size + (bos is not None)
    network = Transformer(
        TransformerConfig(vocab_size, context=7, layers=2, width=8, heads=1, head_width=4, mlp_width=16)
    )
    params = network.init(jax.random.key(0), jnp.zeros(7, int))
    rows = rows_of(process, bg.words(process, LENGTH), bos=bos)
    return (
        rows,
        read(network, params, rows, select),
        stream_words(network, params, process, LENGTH, depth=2, bos=bos, select=select),
    )


def test_losses_add_up(both):
    rows, whole, totals = both
    assert totals.words == len(rows.tokens)
    # Sums in float64 of predictions in float32, whose last bits depend on how XLA fuses them.
    np.testing.assert_allclose(totals.gap, loss_gap(rows, whole.log_laws), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(totals.optimal, optimal_loss(rows), rtol=1e-12)


@pytest.mark.parametrize("weighting", ["counts", "probabilities"])
def test_probes_of_streamed_words_are_those_of_all_words(both, weighting):
    rows, whole, totals = both
    statistics = totals.by_count if weighting == "counts" else totals.by_probability
    weights = getattr(rows, weighting)
    for site, features in whole.features.items():
        rcond = 1e-4  # above rounding: features of an untrained network are nearly dependent
        probe = fit_probe(features, rows.beliefs, weights, rcond=rcond)
        expected = score_probe(probe, features, rows.beliefs, weights)
        streamed = solve_probe(statistics[site], features.shape[1], offset=True, rcond=rcond)
        # Both are the one minimum: its value is insensitive to the rounding of where it lies.
        chex.assert_trees_all_close(score_statistic(streamed, statistics[site]), expected, rtol=1e-3, atol=1e-5)
        chex.assert_trees_all_close(score_statistic(probe, statistics[site]), expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(streamed(features), probe(features), atol=1e-4)


def test_a_probe_that_is_not_the_best_is_scored_too(both):
    rows, whole, totals = both
    features = whole.features["last"]
    probe = fit_probe(features, rows.beliefs, rows.counts, offset=False, rcond=1e-4)
    expected = score_probe(probe, features, rows.beliefs, rows.counts)
    found = score_statistic(probe, totals.by_count["last"])
    chex.assert_trees_all_close(found, expected, rtol=1e-3, atol=1e-5)
