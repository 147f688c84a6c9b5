"""What the page of a trained network shows, read and probed: see `plots.explorer`, which makes the page."""

import io
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from beliefgeo import probes, reading
from beliefgeo.networks.network import Network
from beliefgeo.networks.recurrent import RecurrentConfig
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots.explorer import Cloud, Scene, Space, bloch_space, component_space, simplex_space
from beliefgeo.probes.geometry import simplex_vertices
from beliefgeo.processes.float64 import as_float64, initial_float64
from beliefgeo.processes.process import Observer, vocabulary
from beliefgeo.reading.each import Checkpoint

# A site whose R2 is this close to the best is as good: the first of them is probed at every snapshot.
_AS_GOOD = 0.001
# All sites side by side have more features, and are taken only where they explain this much more.
_BETTER = 0.02
# The cut-off of probes, as in a scorecard.
_RCOND = 1e-5

ALL = "all sites"


def scene_of(
    key: PRNGKeyArray,
    process: Observer,
    checkpoints: Sequence[Checkpoint],
    context: int,
    *,
    title: str,
    bos: bool = False,
    words: int = 66_000,
) -> Scene:
    """What a page shows: rows, exact beliefs and laws, and probes of the first seed at every site and snapshot.

    Args:
        key: draws words, where there are too many, and the shuffle of beliefs.
        process: what the networks learnt.
        checkpoints: the snapshots of one training, the untrained network first, as in `Learned.checkpoints`.
        context: the number of tokens that the networks read in training, a BOS included.
        title: the title of the page.
        bos: whether the networks read a BOS.
        words: see `Options`.

    Raises:
        ValueError: beliefs that do not vary.
    """
    rows = _rows(key, process, context, vocabulary(process) if bos else None, words)
    space = space_of(rows)
    network = checkpoints[-1].network
    last, first = (_read(shot, rows) for shot in (checkpoints[-1], checkpoints[0]))
    sites = [_probed(site, features, rows) for site, features in last.features.items()]
    site = _best(sites)
    name = sites[site].label
    between = [_probed(_counted(shot.tokens), _read(shot, rows).features[name], rows) for shot in checkpoints[1:-1]]
    untrained = [_probed(other, features, rows) for other, features in first.features.items()]
    snapshots = [untrained[site]._replace(label="untrained"), *between]
    snapshots += [sites[site]._replace(label=_counted(checkpoints[-1].tokens))]
    return Scene(
        title=title,
        about=f"{_named(network)}, trained on {_counted(checkpoints[-1].tokens)} in contexts of {context}",
        notes=_notes(rows, name),
        space=space,
        parent=rows.parent,
        last_token=rows.last_token,
        length=rows.length,
        log_probabilities=_log_probabilities(process, rows),
        beliefs=rows.beliefs,
        laws=rows.laws,
        predictions=np.exp(np.asarray(last.log_laws, float))[:, : rows.laws.shape[1]],
        initial=np.asarray(initial_float64(as_float64(process)), float),
        state_names=_state_names(process, space, rows.beliefs.shape[1]),
        token_names=[str(token) for token in getattr(process, "token_names", None) or range(vocabulary(process))],
        drawn=rows.sampled,
        site=site,
        snapshots=snapshots,
        sites=sites,
        untrained=untrained,
        shuffled=_shuffled(key, last.features[name], rows),
        still=_still(rows, sites[site], untrained[site]),
    )


def space_of(rows: reading.Rows) -> Space:
    """The simplex of up to four states, the disc or ball of Bloch vectors, else the principal components.

    Raises:
        ValueError: beliefs that do not vary.
    """
    beliefs, states = rows.beliefs, rows.beliefs.shape[1]
    if np.ptp(beliefs, axis=0).max() < 1e-6 * abs(beliefs).max():
        raise ValueError("the beliefs do not vary: this process has no memory, and there is nothing to explore")
    if (
        states in (3, 4)
        and abs(beliefs[:, 0] - 1).max() < 1e-6
        and np.linalg.norm(beliefs[:, 1:], axis=1).max() < 1.001
    ):
        return bloch_space(states - 1)
    if 2 <= states <= 4 and beliefs.min() > -1e-6 and abs(beliefs.sum(1) - 1).max() < 1e-6:
        return simplex_space(np.asarray(simplex_vertices(states), float))
    components = probes.principal_components(beliefs, rows.counts)
    spread = np.sqrt(np.asarray(components.variances, float))
    varies = spread > 1e-5 * spread[0]
    return component_space(np.asarray(components.mean, float), np.asarray(components.directions, float)[varies])


def _rows(key: PRNGKeyArray, process: Observer, context: int, bos: int | None, most: int) -> reading.Rows:
    """All words of the context, or of a shorter length down to half of it, if they are few enough; else drawn words."""
    for shown in range(context, context // 2, -1):
        if reading.count(process, shown - (bos is not None)) <= most:
            return reading.rows(key, process, shown, bos=bos)
    return reading.rows(key, process, context, most=max(2, most // context), bos=bos)


def _read(shot: Checkpoint, rows: reading.Rows) -> reading.Reading:
    """The first seed at every site, and at all sites side by side if there are several."""
    found = next(reading.readings(shot, rows))
    features = {site: one for site, one in found.features.items() if one.ndim == 2}
    if len(features) > 1:
        features[ALL] = reading.concatenated(features)
    return found._replace(features=features)


def _best(sites: Sequence[Cloud]) -> int:
    """The number of the site to probe over training."""
    alone = [cloud.r2 for cloud in sites if cloud.label != ALL]
    if sites[-1].label == ALL and sites[-1].r2 > max(alone) + _BETTER:
        return len(sites) - 1
    return next(number for number, r2 in enumerate(alone) if r2 >= max(alone) - _AS_GOOD)


def _probed(label: str, features: Any, rows: reading.Rows) -> Cloud:
    seen = np.asarray(probes.fit_probe(features, rows.beliefs, rows.counts, rcond=_RCOND)(features))
    return Cloud(label, seen, float(probes.score_predictions(seen, rows.beliefs, rows.counts).r2))


def _shuffled(key: PRNGKeyArray, features: Any, rows: reading.Rows) -> Cloud:
    """A probe of beliefs that are permuted among all words at each position, as in Shai et al. 2405.15943.

    The mean of the beliefs that a prefix is given leads to the same probe as all of them.
    """
    _, beliefs = probes.shuffle_words(key, rows)
    starts = np.cumsum(rows.counts) - rows.counts
    means = np.add.reduceat(np.asarray(beliefs, float), starts) / rows.counts[:, None]
    seen = np.asarray(probes.fit_probe(features, means, rows.counts, rcond=_RCOND)(features))
    # In the sample of its fit, a probe explains as much of the variance as its predictions vary.
    varies = lambda values: np.cov(values.T, aweights=rows.counts, ddof=0).trace()
    return Cloud("shuffled beliefs", seen, float(varies(seen) / varies(rows.beliefs)))


def _log_probabilities(process: Observer, rows: reading.Rows) -> Float[np.ndarray, " row"]:
    """The logarithm of the probability of each prefix, exact even where words were drawn."""
    wide, parent, token = as_float64(process), rows.parent, rows.last_token
    with jax.enable_x64(True):
        initial = np.asarray(wide.predict(wide.initial))
    laws = np.where((parent >= 0)[:, None], rows.laws[parent], initial)
    steps = np.where(token >= 0, np.log(laws[np.arange(len(token)), token]), 0)
    total = steps.copy()
    for length in range(int(rows.length[0]) + 1, int(rows.length[-1]) + 1):
        here = rows.length == length
        total[here] += total[parent[here]]
    return total


def _named(network: Network) -> str:
    config = getattr(network, "config", None)
    if isinstance(config, TransformerConfig):
        return f"Transformer with {_layers(config)}"
    if isinstance(config, RecurrentConfig):
        return f"{config.cell.upper()} with {_layers(config)}"
    return f"Network ({type(network).__name__})"


def _layers(config: TransformerConfig | RecurrentConfig) -> str:
    return f"{config.layers} layer{'s' * (config.layers > 1)} of width {config.width}"


def _state_names(process: Observer, space: Space, states: int) -> list[str]:
    if space.kind in ("disc", "ball"):
        return ["1", "x", "z"] if states == 3 else ["1", "x", "y", "z"]
    return [str(name) for name in getattr(process, "state_names", None) or range(states)]


def _counted(tokens: int) -> str:
    """A number of tokens in two or three digits.

    >>> _counted(3_974_400), _counted(64_000), _counted(640)
    ('4.0M tokens', '64k tokens', '640 tokens')
    """
    if tokens >= 999_500:
        return f"{tokens / 1e6:.1f}M tokens"
    return f"{tokens / 1e3:.0f}k tokens" if tokens >= 9_950 else f"{tokens:,} tokens"


def _notes(rows: reading.Rows, site: str) -> list[str]:
    count, longest = len(rows.length), rows.length[-1]
    shown = (
        f"{len(rows.tokens):,} drawn words of {longest} tokens" if rows.sampled else f"all words of {longest} tokens"
    )
    return [
        f"A point is a prefix of a word: the {count:,} prefixes of {shown}.",
        "A probe is affine and fitted by least squares to the exact beliefs, where every word and position counts "
        "equally. Its R² is of the rows of the fit: compare it with the untrained network and with shuffled beliefs.",
        f"Over training, the probe reads the site “{site}”; at the end and before training, every site.",
        "Exact beliefs are stored with 16 bits. What a probe reads is rounded at a 32nd of its typical error.",
        "The network's next-token law, and the loss, are those at the end of training.",
    ]


def _still(rows: reading.Rows, trained: Cloud, untrained: Cloud) -> bytes:
    """The picture for browsers that cannot draw the page."""
    from beliefgeo.plots.clouds import belief_panels

    clouds = {
        "exact beliefs": rows.beliefs,
        f"probe, trained: R2 = {trained.r2:.3f}": trained.beliefs,
        f"untrained: R2 = {untrained.r2:.3f}": untrained.beliefs,
    }
    file = io.BytesIO()
    belief_panels(clouds, rows.counts).savefig(file, format="png", dpi=100)
    return file.getvalue()
