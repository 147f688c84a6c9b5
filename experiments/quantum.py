"""Transformers and recurrent networks alike hold the beliefs of the minimal generator, be it quantum or post-quantum.

Source: Riechers, Elliott, Shai 2025 (2507.07432). Some processes need infinitely many classical states, and three or
four dimensions otherwise: bloch_walk and frdn are quantum, moon is post-quantum; mess3 is classical.
Published: R2 between the cosines of probed and of true beliefs .99 to 1.00 for the minimal generator, every process,
transformer and LSTM; for an order-3 Markov approximation .5 to .88 (mess3), .42 to .56 (quantum), .36 (moon). The
error of the probe falls by more than 80% within the first fifth of training.
Expected from `default`: R2 of the probed beliefs .98 to 1.00 but for bloch_walk by the transformer (.45) and the RNN
(.84), which need more training; 96% or more of the gain in loss but for these two (40%, 81%); cosine R2 about the mean
.95 to 1.00 on frdn, moon and mess3. Markov-3 is clearly below in transformers only. 20 minutes of training and 8 of
analysis on half a core.

    python experiments/quantum.py                    the default preset
    python experiments/quantum.py quick              a smoke run, two processes, under a minute
    python experiments/quantum.py paper              the published settings: Adam 1e-4, 4M steps (days)
    python experiments/quantum.py default --processes moon frdn --networks gru --seeds 3

Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import beliefgeo as bg
from beliefgeo import cli, runs
from beliefgeo.analysis import report
from beliefgeo.analysis.controls import shuffle_beliefs
from beliefgeo.analysis.cross_validation import RCONDS
from beliefgeo.analysis.evaluation import (
    Evaluation,
    Prefixes,
    beliefs_after,
    layerwise,
    loss_gap,
    optimal_loss,
    prefixes,
)
from beliefgeo.analysis.geometry import compare_cosines, principal_components, simplex_coordinates, simplex_vertices
from beliefgeo.analysis.held_out import held_out_score
from beliefgeo.analysis.probes import ProbeStatistic, merge_statistics, probe_statistic, score_predictions, solve_probe
from beliefgeo.analysis.sampled import sampled_loss_gap, words_or_sample
from beliefgeo.learning import Budget, Learned, learn, read_networks
from beliefgeo.networks.recurrent import RecurrentConfig
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import architectures

ProcessName = Literal["bloch_walk", "frdn", "moon", "mess3"]
NetworkName = Literal["transformer", "lstm", "gru", "rnn"]
PROCESSES: dict[ProcessName, Callable[[], bg.Process]] = {
    "bloch_walk": bg.bloch_walk,
    "frdn": bg.frdn,
    "moon": bg.moon,
    "mess3": bg.mess3,
}
MINIMAL, MARKOV = "minimal generator", "Markov order 3"
# Cosine R2 over all networks, lowest and highest.
PUBLISHED = {
    "bloch_walk": {MINIMAL: (0.99, 1.0), MARKOV: (0.42, 0.56)},
    "frdn": {MINIMAL: (0.99, 1.0), MARKOV: (0.42, 0.56)},
    "moon": {MINIMAL: (0.99, 1.0), MARKOV: (0.36, 0.36)},
    "mess3": {MINIMAL: (0.99, 1.0), MARKOV: (0.5, 0.88)},
}
# Folds of the published cross-validation; pairs of prefixes for the cosines; words listed before they are sampled.
FOLDS, PAIRS, LISTED = 10, 200_000, 100_000


@dataclass(frozen=True)
class Config:
    """Which processes and networks, their sizes, and how to train them."""

    processes: tuple[ProcessName, ...] = ("bloch_walk", "frdn", "moon", "mess3")
    """What the networks are trained on."""
    networks: tuple[NetworkName, ...] = ("transformer", "lstm", "gru", "rnn")
    """What is trained."""
    context: int = 8
    """Tokens that a network reads."""
    layers: int = 4
    """Blocks of the transformer, layers of the recurrent networks."""
    width: int = 64
    """Of the residual stream, and of each recurrent layer."""
    heads: int = 4
    """Attention heads in a block, each of width / heads."""
    mlp_width: int = 256
    """Of the transformer's MLPs."""
    budget: Budget = field(
        default_factory=lambda: Budget(steps=5000, batch=128, learning_rate=2e-3, data="laws", snapshots=7, seeds=2)
    )
    """How long to train, and how: of what the past of bloch_walk tells, .005 nats, drawn tokens teach little."""
    recurrent_learning_rate: float = 5e-3
    """Peak learning rate of the recurrent networks; the transformer has `learning_rate`."""


PRESETS = {
    "quick": Config(
        processes=("frdn", "mess3"),
        networks=("transformer", "lstm"),
        context=6,
        layers=2,
        budget=Budget(steps=300, batch=64, data="laws", chunk=50, snapshots=4),
    ),
    "default": Config(),
    # The published rate is halved where the loss stalls; here it stays.
    "paper": Config(
        budget=Budget(steps=4_000_000, batch=128, learning_rate=1e-4, optimizer="adam", chunk=1000, snapshots=24),
        recurrent_learning_rate=1e-4,
    ),
}


def main(preset: str, config: Config, out: Path) -> None:
    """For each process and each network: train, read activations, probe both kinds of belief; compare, draw."""
    began = time.perf_counter()
    if config.width % config.heads:
        raise ValueError(f"width must be a multiple of heads ({config.heads}); got {config.width}")
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    found, clouds, weights, seconds = {}, {}, {}, 0.0
    for name in config.processes:
        process = PROCESSES[name]()
        words, sampled = words_or_sample(jax.random.key(0), process, config.context, LISTED)
        rows = prefixes(process, words)
        markov = beliefs_after(bg.markov_approximation(process, 3), rows)
        found[name], seen, weights[name] = {}, {"exact beliefs": rows.beliefs}, rows.probabilities
        for kind in config.networks:
            network, budget = sizes(kind, process.vocab_size, config), budget_of(kind, config)
            learned = learn(folder / f"{name}-{kind}", process, network, budget, context=config.context, data=name)
            seconds += learned.history["seconds"].sum()
            found[name][kind], probed = study(learned, process, rows, markov, sampled=sampled)
            seen |= {kind: probed["trained"], f"untrained {kind}": probed["untrained"]}
        clouds[name] = plane(name, rows, {title: seen[title] for title in shown(seen)})
    figures(folder, found, clouds, weights)
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "published": {name: PUBLISHED[name] for name in found},
        "processes": found,
        "device": runs.device(),
        "versions": runs.versions(),
        "seconds": {"training": seconds, "all": time.perf_counter() - began},
    }
    runs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def sizes(kind: NetworkName, vocab_size: int, config: Config) -> TransformerConfig | RecurrentConfig:
    """The network of that kind."""
    if kind != "transformer":
        return RecurrentConfig(vocab_size, kind, config.layers, config.width)
    head_width = config.width // config.heads
    return TransformerConfig(
        vocab_size, config.context, config.layers, config.width, config.heads, head_width, config.mlp_width
    )


def budget_of(kind: NetworkName, config: Config) -> Budget:
    """Recurrent networks train at their own rate."""
    if kind == "transformer":
        return config.budget
    return replace(config.budget, learning_rate=config.recurrent_learning_rate)


def every_layer(activations: dict[str, Array]) -> Array:
    """All layers side by side, `[time, layer * width]`."""
    return layerwise(activations, ("resid_post",))["concatenated"]


def study(
    learned: Learned, process: bg.Process, rows: Prefixes, markov: np.ndarray, *, sampled: bool
) -> tuple[dict, dict]:
    """All numbers of one network on one process; and the beliefs that the probes of the first seed see."""
    params = {str(tokens): one for tokens, one in learned.snapshots.items()}
    shots = read_networks(learned.network, params, rows, every_layer)
    first, last = list(shots)[0], list(shots)[-1]
    nets = {"trained": shots[last], "untrained": shots[first]}
    probed = {tokens: probe_as_published(shot.features, rows.beliefs, rows) for tokens, shot in shots.items()}
    minimal = {tokens: scores(seen, rows.beliefs, rows) for tokens, seen in probed.items()}
    permuted = np.asarray(shuffle_beliefs(jax.random.key(0), rows.beliefs, rows.length))
    other = lambda one, beliefs: scores(probe_as_published(one.features, beliefs, rows), beliefs, rows)
    found = {
        "tokens": int(last),
        "loss": loss_and_gain(nets, rows, process, sampled=sampled),
        "published scoring": {
            MINIMAL: {"trained": minimal[last], "untrained": minimal[first]},
            MARKOV: {net: other(one, markov) for net, one in nets.items()},
            "shuffled": {"trained": other(nets["trained"], permuted)},
        },
        "held out by subtree": {net: held_out(one.features, rows) for net, one in nets.items()},
        "emergence": emergence([*learned.snapshots], [score["rmse"]["seeds"] for score in minimal.values()]),
    }
    return found, {"trained": probed[last][0], "untrained": probed[first][0]}


def held_out(features: Array, rows: Prefixes) -> dict:
    """R2 of the beliefs, by probability, over subtrees of prefixes that the probe never saw."""
    return report.over_seeds(np.array([held_out_score(one, rows, rows.probabilities).r2 for one in features]))


def loss_and_gain(nets: dict[str, Evaluation], rows: Prefixes, process: bg.Process, *, sampled: bool = False) -> dict:
    """Nats above the optimum, and the share of what the past can tell: 0 who forgets it, 1 who knows all of it."""
    first, optimal = float(bg.myopic_entropies(process, 1)[0]), optimal_loss(rows).mean()
    gaps = {net: np.array([loss_gap(rows, laws).mean() for laws in one.log_laws]) for net, one in nets.items()}
    return {
        "first token": first,
        "optimal": optimal,
        "gap": {net: report.over_seeds(gap) for net, gap in gaps.items()},
        "gained": {net: report.over_seeds(1 - gap / (first - optimal)) for net, gap in gaps.items()},
        # None where all words were listed and the gap is exact.
        "standard error": {
            net: sampled_loss_gap(rows, one.log_laws[0]).mean_error if sampled else None for net, one in nets.items()
        },
    }


def probe_as_published(features: Array, beliefs: np.ndarray, rows: Prefixes) -> Array:
    """What the paper's probe sees, `[seed, row, state]`: fitted by probability to the very rows it is scored on.

    Its cut-off is chosen by cross-validation over random prefixes, so each is predicted by a probe that saw its kin.
    """
    targets, weights = (jnp.asarray(array, features.dtype) for array in (beliefs, rows.probabilities))
    folds = np.array_split(np.random.default_rng(0).permutation(len(beliefs)), FOLDS)

    def probe(one):
        data = [(one[fold], targets[fold], weights[fold]) for fold in folds]
        parts = [probe_statistic(*fold) for fold in data]
        # The mean over folds of each fold's mean: a sum would let the fold of the likeliest prefix decide alone.
        others = lambda out: stacked(parts[:out] + parts[out + 1 :])
        error = sum(errors_by_cutoff(others(out), *fold) / fold[2].sum() for out, fold in enumerate(data))
        return fit(stacked(parts), one.shape[1], RCONDS[int(jnp.argmin(error))])(one)

    return jnp.stack([probe(one) for one in features])


def stacked(parts: list[ProbeStatistic]) -> ProbeStatistic:
    """Several statistics as one, the parts on a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)


@partial(jax.jit, static_argnums=1)
def fit(parts: ProbeStatistic, n_features: int, rcond: float) -> bg.Probe:
    """The affine probe of all the rows in these parts."""
    return solve_probe(merge_statistics(parts), n_features, offset=True, rcond=rcond)


@jax.jit
def errors_by_cutoff(others: ProbeStatistic, features: Array, targets: Array, weights: Array) -> Array:
    """Squared error on the left-out rows of the probe of all others, for each cut-off."""
    statistic = merge_statistics(others)
    probe = lambda rcond: solve_probe(statistic, features.shape[1], offset=True, rcond=rcond)
    return jax.vmap(lambda rcond: weights @ ((probe(rcond)(features) - targets) ** 2).sum(1))(jnp.array(RCONDS))


def scores(seen: Array, beliefs: np.ndarray, rows: Prefixes) -> dict:
    """RMSE, R2 and cosine R2 of probed beliefs, by probability."""
    targets, weights = (jnp.asarray(array, seen.dtype) for array in (beliefs, rows.probabilities))
    each = [score_predictions(one, targets, weights) for one in seen]
    values = {
        "rmse": [np.sqrt(score.mse) for score in each],
        "r2": [score.r2 for score in each],
        "cosine r2": [cosine_r2(one, targets, weights) for one in seen],
        "centred cosine r2": [centred_cosine_r2(one, targets, weights) for one in seen],
    }
    return {name: report.over_seeds(np.array(value)) for name, value in values.items()}


def cosine_r2(seen: Array, beliefs: Array, weights: Array) -> float:
    """r2 between the cosines of pairs of probed and of true belief vectors, both of a pair drawn by probability.

    About zero, in the coordinates of the generator: the beliefs of bloch_walk are (1, b_x, b_z).
    """
    one, other = jax.random.choice(jax.random.key(0), len(seen), (2, PAIRS), p=weights / weights.sum())
    unit = lambda cloud: cloud / jnp.linalg.norm(cloud, axis=1, keepdims=True)
    left, right = ((unit(cloud)[one] * unit(cloud)[other]).sum(1) for cloud in (seen, beliefs))
    # A probe that sees the mean everywhere has no cosines to correlate.
    return float(jnp.corrcoef(left, right)[0, 1] ** 2) if left.std() > 1e-6 else 0.0


def centred_cosine_r2(seen: Array, beliefs: Array, weights: Array) -> float:
    """The same about the means, where a belief near the mean has hardly a direction."""
    r2 = float(compare_cosines(jax.random.key(0), seen, beliefs, pairs=PAIRS, weights=weights))
    return 0.0 if np.isnan(r2) else r2


def emergence(tokens: list[int], rmse: list[np.ndarray]) -> dict:
    """The error of the published probe at each snapshot, and how far it has fallen by a fifth of training."""
    seen, error = np.array(tokens), np.array(rmse).T
    fifth = np.flatnonzero(seen <= seen[-1] / 5)[-1]
    start, then, end = error[:, 0], error[:, fifth], error[:, -1]
    return {
        "tokens": seen,
        "rmse": error,
        "by the first fifth": {
            "tokens": seen[fifth],
            "share of the fall": report.over_seeds((start - then) / (start - end)),
            "fall": report.over_seeds(1 - then / start),
        },
        "fall by the end": report.over_seeds(1 - end / start),
    }


def shown(clouds: dict[str, np.ndarray]) -> list[str]:
    """The exact beliefs, up to two trained networks, and the first of these untrained."""
    trained = [title for title in clouds if title in get_args(NetworkName)][:2]
    return ["exact beliefs", *trained, f"untrained {trained[0]}"]


def plane(name: ProcessName, rows: Prefixes, clouds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each cloud in the plane: the triangle, the Bloch disc, else the two principal components of the exact beliefs."""
    components = principal_components(rows.beliefs, rows.probabilities)
    views = {"mess3": simplex_coordinates, "bloch_walk": lambda beliefs: beliefs[:, 1:]}
    view = views.get(name, lambda beliefs: components(beliefs)[:, :2])
    return {title: np.asarray(view(cloud)) for title, cloud in clouds.items()}


def figures(folder: Path, found: dict, clouds: dict, weights: dict) -> None:
    """Draw beliefs, scores and the fall of the error."""
    save = lambda name, figure: figure.savefig(folder / f"{name}.png")
    angle = np.linspace(0, 2 * np.pi, 200)
    outlines = {
        "mess3": np.asarray(simplex_vertices(3))[[0, 1, 2, 0]],
        "bloch_walk": np.stack([np.cos(angle), np.sin(angle)], 1),
    }
    save("beliefs", architectures.belief_rows(clouds, weights, outlines))
    score = lambda run, target, net: run["published scoring"][target][net]["cosine r2"]["seeds"]
    scores = {
        name: {
            kind: {
                MINIMAL: score(run, MINIMAL, "trained"),
                MARKOV: score(run, MARKOV, "trained"),
                f"{MINIMAL}, untrained": score(run, MINIMAL, "untrained"),
                f"{MARKOV}, untrained": score(run, MARKOV, "untrained"),
            }
            for kind, run in kinds.items()
        }
        for name, kinds in found.items()
    }
    bands = {name: list(PUBLISHED[name].values()) for name in found}
    save("scores", architectures.score_dots(scores, bands, "cosine R$^2$ (published scoring)"))
    curve = lambda run: (run["emergence"]["tokens"], run["emergence"]["rmse"])
    curves = {name: {kind: curve(run) for kind, run in kinds.items()} for name, kinds in found.items()}
    save("emergence", architectures.fall_curves(curves, "RMSE of the probed beliefs", share=0.2))


def summary(folder: Path, metrics: dict) -> None:
    """Ours beside the published, on the terminal."""
    show = lambda value, form: format(float(value["mean"]), form)
    lines = []
    for name, kinds in metrics["processes"].items():
        for kind, found in kinds.items():
            cosine = lambda target, net, run=found: show(run["published scoring"][target][net]["cosine r2"], ".3f")
            numbers = (cosine(MINIMAL, "trained"), cosine(MARKOV, "trained"), cosine(MINIMAL, "untrained"))
            loss, held = found["loss"], show(found["held out by subtree"]["trained"], ".3f")
            fall = show(found["emergence"]["by the first fifth"]["share of the fall"], ".0%")
            gap, gained = show(loss["gap"]["trained"], ".1e"), show(loss["gained"]["trained"], ".1%")
            lines.append((f"{name} {kind}", gap, gained, *numbers, held, fall))
        span = [" to ".join(f"{end:.2f}" for end in dict.fromkeys(ends)) for ends in PUBLISHED[name].values()]
        lines.append((f"{name}, published", "", "", *span, "", "", "> 80%"))
    columns = ("", "gap", "gain", "minimal", "Markov", "untr.", "held", "fifth")
    seconds = " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())
    title = f"""{folder}: metrics.json, figures; {seconds} s training / all
gap: nats above the optimum; gain: share of what the past tells; minimal, Markov, untr.: cosine R2 of the beliefs of
the minimal generator, of the Markov approximation, and of the former untrained; held: R2 held out by subtree; fifth:
share of the fall of the probe's error by the first fifth of training"""
    runs.print_table(title, columns, lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/quantum", description=__doc__)
