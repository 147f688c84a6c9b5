"""`beliefgeo run my_process.json` trains a network on your process, scores and draws it; `sweep`; `explore`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tyro

from beliefgeo import probes, reading
from beliefgeo.learning.budget import Budget
from beliefgeo.networks import RecurrentConfig, TransformerConfig
from beliefgeo.probes.scorecard import Scorecard, Weighted
from beliefgeo.processes.loaded import load_process
from beliefgeo.processes.process import vocabulary
from beliefgeo.reading import Seeds
from beliefgeo.runs.claims import Claim, tell
from beliefgeo.runs.explore import Options, explore
from beliefgeo.runs.run import Run
from beliefgeo.runs.start import print_claims, start

_USAGE = """beliefgeo run PROCESS [--network transformer] [--width 32] [--steps 3000] ...
beliefgeo sweep PROCESS --width 16 32 --learning-rate 1e-3 2e-3 ...
beliefgeo explore RUN [--seed 0] [--words 66000] [--title ...] [--out page.html]

PROCESS is a file of process.save: my_process.json or my_process.npz. `beliefgeo run PROCESS --help` lists all fields.
run trains networks on it, scores them with all controls and draws; the same command later continues, or draws again.
sweep does so for every combination of the values that are listed, and prints one table.
explore writes one HTML file of a trained network beside the exact beliefs, to open in a browser without a server. RUN
is the folder of a network, or the folder that an experiment or `beliefgeo run` printed last.
"""

CLAIMS = [
    Claim("rank of the map from belief to next-token law", "rank"),
    Claim("loss above the optimum (nats)", "trained/losses/gap", form=".2e"),
    Claim("held out, best site: R2", "best", form=".4f"),
    Claim("  untrained network", "best_untrained", form=".4f"),
    Claim("  equivalent window (tokens)", "window", form=".2f"),
    Claim("next-token law alone: R2", "law", form=".4f"),
    Claim("shuffled beliefs: R2", "trained/shuffled/r2", form=".4f"),
    Claim("more than the next-token law: p", "trained/unseen/p_value", form=".3g"),
]


@dataclass(frozen=True)
class Config:
    """A process, a network, and how to train and read it.

    Attributes:
        process: The file of the process.
        network: The kind of network.
        context: The number of tokens that the network reads, a BOS included.
        bos: Whether the network reads a BOS before the first token, and so predicts the first token too.
        layers: The number of blocks or recurrent layers.
        width: The width of the residual stream, or of a recurrent layer.
        heads: The number of attention heads in a block; each has width / heads.
        budget: How long to train, and how.
        words: The largest number of words to read: all words, or, if there are more, drawn words.
        shuffles: The number of permutations in each control.
        seed: The seed of the whole run.
    """

    process: str
    network: Literal["transformer", "rnn", "gru", "lstm"] = "transformer"
    context: int = 8
    bos: bool = False
    layers: int = 2
    width: int = 32
    heads: int = 1
    budget: Budget = Budget(snapshots=8)
    words: int = 10_000
    shuffles: int = 20
    seed: int = 0


class Results(NamedTuple):
    """What `beliefgeo run` finds; the clouds are of the first seed.

    Attributes:
        rank: That of the map from belief to next-token law.
        tokens: The training tokens at each snapshot.
        gap_while_training: The loss above the optimum at each snapshot.
        trained: Every score of the trained networks.
        untrained: The scores of the untrained networks, by site.
        best: Held-out R2 of the beliefs at the site where it is largest.
        best_untrained: The same of the untrained networks, at that site.
        window: The equivalent window at that site.
        law: Held-out R2 of the law alone.
        beliefs: The exact belief after each prefix.
        counts: What each prefix counts.
        seen: The beliefs as the probe of the trained network sees them.
        seen_untrained: The same of the untrained network.
    """

    rank: probes.Rank
    tokens: list[int]
    gap_while_training: Seeds
    trained: Scorecard
    untrained: dict[str, Weighted]
    best: Seeds
    best_untrained: Seeds
    window: Seeds
    law: Seeds
    beliefs: np.ndarray
    counts: np.ndarray
    seen: np.ndarray
    seen_untrained: np.ndarray


def main(run: Run, config: Config) -> Results:
    """Process, learn, rows, read, measure."""
    process = load_process(config.process)
    size = vocabulary(process)
    bos = size if config.bos else None
    rows = reading.rows(run.key("words"), process, config.context, most=config.words, bos=bos)
    learned = run.learn(
        process, network_of(config, size + config.bos), config.budget, context=config.context, bos=config.bos
    )
    score = partial(probes.scorecard, rows=rows, key=run.key("shuffles"), shuffles=config.shuffles)
    trained = reading.each(learned.trained, rows, score)
    untrained = reading.each(learned.untrained, rows, partial(probes.score_sites, rows=rows))
    site = max(trained.sites, key=lambda name: trained.sites[name].by_count.held_out.mean)
    seen = lambda shot: _seen(next(reading.readings(shot, rows)), site, rows)
    return Results(
        probes.law_rank(rows),
        [shot.tokens for shot in learned.checkpoints],
        reading.each(learned.checkpoints, rows, lambda network: reading.losses(network, rows).gap),
        trained,
        untrained,
        trained.sites[site].by_count.held_out,
        untrained[site].by_count.held_out,
        trained.sites[site].by_count.held_out_window,
        trained.law.scores.by_count.held_out,
        rows.beliefs,
        rows.counts,
        seen(learned.trained),
        seen(learned.untrained),
    )


def network_of(config: Config, vocab_size: int) -> TransformerConfig | RecurrentConfig:
    """The sizes of the network that the config asks for.

    Raises:
        ValueError: a width that the heads do not divide.
    """
    if config.network != "transformer":
        return RecurrentConfig(vocab_size, config.network, config.layers, config.width)
    if config.width % config.heads:
        raise ValueError(f"width must be a multiple of heads ({config.heads}); got {config.width}")
    sizes = (config.layers, config.width, config.heads, config.width // config.heads, 4 * config.width)
    return TransformerConfig(vocab_size, config.context, *sizes)


def _seen(network: reading.Reading, site: str, rows: reading.Rows) -> np.ndarray:
    """The beliefs that an affine probe sees at a site, or at all sites together."""
    features = network.features[site] if site in network.features else reading.concatenated(network.features)
    return np.asarray(probes.fit_probe(features, rows.beliefs, rows.counts, rcond=1e-5)(features))


def draw(results: Results) -> dict[str, Any]:
    """Draw the scorecard, the exact and the probed beliefs, and the loss over training."""
    from beliefgeo.plots import clouds, curves, scores

    card = results.trained._replace(untrained=results.untrained)
    exact_and_probed = {
        "exact beliefs": results.beliefs,
        f"probe, trained: R2 = {results.best.values[0]:.3f}": results.seen,
        f"untrained: R2 = {results.best_untrained.values[0]:.3f}": results.seen_untrained,
    }
    tokens, gap = np.array(results.tokens[1:]), results.gap_while_training.values[:, 1:]
    return {
        "scorecard": scores.scorecard(card),
        "beliefs": clouds.belief_panels(exact_and_probed, results.counts),
        "training": curves.learning_curve(tokens, gap),
    }


def command(args: Sequence[str] | None = None) -> None:
    """Run the console script.

    Raises:
        SystemExit: an unknown command, no process, or a mistake in a field.
    """
    words = list(sys.argv[1:] if args is None else args)
    if words[:1] not in (["run"], ["sweep"], ["explore"]) or len(words) < 2 or words[1].startswith("-"):
        asked_for_help = words[:1] in ([], ["-h"], ["--help"])
        raise SystemExit(_USAGE if asked_for_help else f"error: got {' '.join(words) or 'nothing'}; usage:\n{_USAGE}")
    what, process, *fields = words
    if what == "run":
        _run(process, fields)
    elif what == "explore":
        _explore(process, fields)
    else:
        sweep(process, fields)


def _run(process: str, fields: Sequence[str]) -> Results:
    name = Path(process).stem
    said = " ".join(["beliefgeo run", process, *fields])
    presets = {"default": Config(process)}
    return start(main, presets, claims=CLAIMS, draw=draw, args=fields, name=name, said=said)


def _explore(run: str, fields: Sequence[str]) -> None:
    options = tyro.cli(
        Options, args=fields, prog="beliefgeo explore RUN", description="Write one HTML file of a network."
    )
    try:
        written = explore(run, options)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB, to open in a browser", flush=True)


def sweep(process: str, fields: Sequence[str]) -> None:
    """Run every combination of the listed values, and print a table of all runs.

    Raises:
        SystemExit: values without a field before them; or as `run`.
    """
    listed = _listed(fields)
    varied = [name for name, values in listed.items() if len(values) > 1]
    rows = []
    for values in product(*listed.values()):
        chosen = dict(zip(listed, values, strict=True))
        results = _run(process, [word for pair in chosen.items() for word in pair])
        told = " ".join(f"{name} {chosen[name]}" for name in varied) or "default"
        rows += [{**line, "label": f"{told}: {line['label']}"} for line in tell(CLAIMS[1:5], results)]
    print_claims(f"beliefgeo sweep {process} {' '.join(fields)}", rows)


def _listed(fields: Sequence[str]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for word in fields:
        if word.startswith("--"):
            listed[word] = []
        elif not listed:
            raise SystemExit(f"error: {word} is the value of no field; usage:\n{_USAGE}")
        else:
            listed[[*listed][-1]].append(word)
    if bare := [name for name, values in listed.items() if not values]:
        raise SystemExit(f"error: {bare[0]} has no value; list one or more, such as {bare[0]} 16 32")
    return listed
