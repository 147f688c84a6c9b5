"""More dimensions of belief than width: what does a network keep, and is it the best that could be kept?

A network of width k predicts by an affine map of k numbers. Two exact yardsticks say what k numbers can do. For the
loss: the best laws softmax(code @ readout + bias) with any code of k numbers of the past, found by optimisation. For
R2 of the belief: its first k principal components. They disagree about what to keep, and the processes are made so
that one sees which of them a network follows: in the unlike pair the belief about one factor (loud) varies most and
tells little of the next token, and the belief about the other (telling) varies less and tells more.
The curve of predictive rate-distortion bounds no width: a single real number holds any number of nats.
Source: the question is a reader's; the softmax bottleneck is that of Yang et al. 1711.03953; networks that hold more
features than they have dimensions are those of Elhage et al. 2209.10652; the yardsticks of width are ours.

    python experiments/compression                  the default preset
    python experiments/compression quick            a smoke run, under a minute
    python experiments/compression default --processes "four like"

Found: with three numbers for the unlike pair, networks keep R2 .96 of the telling factor and .43 of the loud one. Time:
21 minutes of two cores.

The networks have no LayerNorm: it would take away one of the k numbers, and the length of their vector.
"""

from dataclasses import dataclass, replace
from typing import get_args

import figures
import jax
import measures
import tasks
from claims import CLAIMS, WIDTHS

from beliefgeo import reading, runs
from beliefgeo.networks import TransformerConfig


@dataclass(frozen=True)
class Config:
    """Processes, widths, networks and how to train them."""

    processes: tuple[tasks.Name, ...] = get_args(tasks.Name)
    """What networks learn."""
    widths: tuple[int, ...] = WIDTHS
    """The widths of the residual stream."""
    network: TransformerConfig = TransformerConfig(layers=2, mlp_width=64, layer_norm=False)
    """Its other sizes; vocab_size, context and width follow."""
    budget: runs.Budget = runs.Budget(3000, 16, 1e-2, "muon", data="laws", chunk=200, snapshots=1, seeds=5)
    """How long to train, and how. Other networks learn from drawn tokens, as long and in the same way."""
    starts: int = 3
    """The number of random starts of the search for the best code."""
    seed: int = 0
    """The seed of the whole run."""


SHORT = runs.Budget(200, 16, 1e-2, "muon", data="laws", chunk=100, snapshots=1, seeds=2)
PRESETS = {"quick": Config(("unlike pair",), (3,), budget=SHORT, starts=1), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """For each process: the best of every width, and networks of every width beside it."""
    if not config.widths or min(config.widths) < 1 or len(set(config.widths)) < len(config.widths):
        raise ValueError(f"widths must be different numbers, 1 or more; got {config.widths}: leave the others out")
    return {name: of_process(run, name, config) for name in config.processes}


def of_process(run: runs.Run, name: tasks.Name, config: Config) -> dict:
    """Rows, optima, networks of every width, controls."""
    task = tasks.TASKS[name]
    process, key = task.process(), run.key(f"{name}, shuffle")
    rows = reading.rows(run.key(name), process, task.context, most=task.most)
    truth = measures.truth_of(task, process, rows)
    nothing = measures.optima.best_codes(rows.laws, rows.probabilities, (0,))[0].gap
    with run.stage("optima"):
        optima, searches = measures.best(truth, config.widths, config.starts)
    study = lambda shot, measure: reading.each(shot, rows, measure, last_block)
    kept = lambda shot: study(shot, lambda network: measures.of_network(network, truth))
    found = {}
    for width in config.widths:
        network = replace(config.network, vocab_size=process.vocab_size, context=task.context, width=width)
        laws, samples = (
            run.learn(process, network, replace(config.budget, data=data), context=task.context)
            for data in ("laws", "samples")
        )
        trained, drawn = kept(laws.trained), kept(samples.trained)
        found[width] = optima[width] | {
            "trained": trained,
            "drawn": drawn,
            "untrained": kept(laws.untrained),
            "shuffled": study(laws.trained, lambda network: measures.shuffled(key, network, truth)),
            "verdicts": measures.verdicts(trained, optima[width], nothing),
            "verdicts on draws": measures.verdicts(drawn, optima[width], nothing),
            "searches": searches[width],
        }
    return {"nothing": nothing, "parts": list(truth.parts), "variances": truth.variances, "widths": found}


def last_block(activations: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The numbers that the unembedding reads."""
    return {"last block": activations["final_norm"]}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
