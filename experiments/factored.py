"""Transformers learn factored representations: one subspace a factor, not one for the joint belief.

Source: Shai et al. 2026 (2602.02385). Five independent factors, three mess3(.15, .6) and two bloch_walk(1, 3), are
seen as one of 432 tokens. The belief about all of them at once needs 242 dimensions (95% of its variance: 140), the
factors' own beliefs side by side 10. The network is asked which of the two it keeps.
Published: principal components for 95% of the variance about 62 at the start, 3 near step 200, 11 at step 5,000; RMSE
of the factors' beliefs from .203 to .06 (mess3), .167 to .075 (bloch_walk); dimensions found by varying one factor
330 in all and 70 of their union at the start, 14 (2, 2, 2, 4, 4) and 12 at the end; overlap of two factors' leading
directions from .5 to 6e-4. Tokens replaced at random with probability 0, .1, .2, .3, .5: 11, 13, 19, 24, 38 dimensions.
Factors in a chain: 11 dimensions, where the joint belief needs 148.
Expected from `default`: see docs/pages/results/factored.md.

    python experiments/factored.py                    the default preset
    python experiments/factored.py quick              a smoke run of two factors, under a minute
    python experiments/factored.py paper              the published budget, 1.1e9 tokens (days on two cores)
    python experiments/factored.py default --noise 0.2
    python experiments/factored.py default --chain

432^8 words cannot be listed: 1,500 sampled ones stand for them, with standard errors where they are means over words.
Interrupt it and start it again with the same command: it continues. A finished run is drawn again without training.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial, reduce
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

import beliefgeo as bg
from beliefgeo import cli, runs
from beliefgeo.analysis import report
from beliefgeo.analysis.controls import shuffle_beliefs
from beliefgeo.analysis.cross_validation import cross_validate_probe
from beliefgeo.analysis.evaluation import Evaluation, Prefixes, evaluate, prefixes
from beliefgeo.analysis.geometry import simplex_coordinates, simplex_vertices
from beliefgeo.analysis.held_out import held_out_folds
from beliefgeo.analysis.sampled import sampled_loss_gap, words_or_sample
from beliefgeo.analysis.subspaces import deviations, effective_dimension, principal_subspace, subspace_overlap
from beliefgeo.learning import Budget, Learned, learn
from beliefgeo.networks.transformer import TransformerConfig
from beliefgeo.plots import factored as plots
from beliefgeo.processes.chain import Chain
from beliefgeo.processes.factored import Product, product
from beliefgeo.processes.process import Observer, contract, vocabulary

FactorName = Literal["mess3", "bloch_walk"]
PUBLISHED = {
    "dimensions": (62, 11),
    "joint dimensions": 140,
    "factored dimensions": 10,
    "rmse": {"mess3": (0.203, 0.06), "bloch_walk": (0.167, 0.075)},
    "vary-one sum": (330, 14),
    "vary-one union": (70, 12),
    "overlap": (0.5, 6e-4),
}


@dataclass(frozen=True)
class Config:
    """Factors, a transformer, how to train it and how to look at it."""

    factors: tuple[FactorName, ...] = ("mess3", "mess3", "mess3", "bloch_walk", "bloch_walk")
    """mess3(.15, .6), 3 tokens each, and bloch_walk(1, 3), 4 tokens each."""
    noise: float = 0.0
    """Probability that the token seen, of all factors together, is replaced by a uniform one."""
    chain: bool = False
    """The token of each factor chooses how the next one moves; else they are independent."""
    network: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(
            vocab_size=433, context=9, layers=4, width=120, heads=3, head_width=40, mlp_width=480
        )
    )
    """It reads BOS and context - 1 tokens; vocab_size: the product of the factors' tokens, and BOS."""
    budget: Budget = field(default_factory=lambda: Budget(steps=30_000, batch=32, data="laws", chunk=100, snapshots=14))
    """How long to train, and how."""
    words: int = 1500
    """Sampled words on which the network is read."""
    contexts: int = 16
    """Words in each of which all factors but one are frozen, at every position."""
    varied: int = 64
    """Words of the factor that varies, in each of them."""


SMALL = TransformerConfig(vocab_size=13, context=6, layers=2, width=32, heads=2, head_width=16, mlp_width=64)
PRESETS = {
    "quick": Config(
        ("mess3", "bloch_walk"),
        network=SMALL,
        budget=Budget(steps=200, data="laws", chunk=50, snapshots=3),
        words=200,
        contexts=4,
        varied=32,
    ),
    "default": Config(),
    "paper": Config(
        budget=Budget(steps=5000, batch=25_000, learning_rate=5e-4, optimizer="adamw", chunk=10, snapshots=30)
    ),
}


class NoisyProduct(eqx.Module):
    """Independent factors whose joint token is, with probability eps, replaced by a uniform one.

    `bg.noisy(product.joint(), eps)`, which the noise makes one process: nobody knows which tokens to believe, so the
    factors' beliefs no longer are independent. Its matrices, 432 x 243 x 243 entries for five factors, are never built:
    the joint belief is a tensor with an axis a factor.
    """

    clean: Product
    eps: Array

    @property
    def initial(self) -> Float[Array, " state"]:
        """The joint belief before any token."""
        return reduce(jnp.kron, [factor.initial for factor in self.clean.factors])

    def predict(self, belief: Float[Array, " state"]) -> Float[Array, " token"]:
        """(1 - eps) P(x) + eps / V."""
        emit = [contract("xij,j->xi", factor.transitions, factor.readout) for factor in self.clean.factors]
        law = self._along(belief, emit).ravel()
        return (1 - self.eps) * law + self.eps * law.sum() / len(law)

    def update(self, belief: Float[Array, " state"], token: Int[Array, ""]) -> Float[Array, " state"]:
        """Bayes: the token was kept, and every factor moved by its own part of it, or says nothing."""
        digits = self.clean.split_token(token)
        factors = self.clean.factors
        kept = self._along(belief, [f.transitions[digit].T for f, digit in zip(factors, digits, strict=True)])
        lost = self._along(belief, [f.transitions.sum(0).T for f in factors]) / self.clean.vocab_size
        moved = (1 - self.eps) * kept.ravel() + self.eps * lost.ravel()
        moved = jnp.where(digits[0] < 0, jnp.nan, moved)
        return moved / (moved @ reduce(jnp.kron, [factor.readout for factor in factors]))

    def marginals(self, belief: Float[Array, " state"]) -> list[Float[Array, " _"]]:
        """What it believes of each factor alone."""
        factors = self.clean.factors
        whole = [jnp.eye(len(factor.initial)) for factor in factors]
        rest = [factor.readout[None] for factor in factors]
        return [self._along(belief, [*rest[:n], whole[n], *rest[n + 1 :]]).ravel() for n in range(len(factors))]

    def _along(self, belief: Array, matrices: Sequence[Array]) -> Array:
        """Matrix n `[out, state]` applied to axis n of the joint belief."""
        tensor = belief.reshape([len(factor.initial) for factor in self.clean.factors])
        for axis, matrix in enumerate(matrices):
            tensor = jnp.moveaxis(jnp.tensordot(matrix, tensor, (1, axis), precision="highest"), 0, axis)
        return tensor


class Source(NamedTuple):
    """What is predicted, how to split its tokens, and each factor's belief within its own."""

    process: Observer
    parts: Product | Chain
    beliefs: Callable[[Float[np.ndarray, "row state"]], list[Float[np.ndarray, "row _"]]]


def source(config: Config) -> Source:
    """The process that the configuration names.

    Raises:
        ValueError: fewer than two factors; noise outside 0 to 1; noise in a chain.
    """
    if len(config.factors) < 2:
        raise ValueError(f"factors must be two or more, else nothing is factored; got {len(config.factors)}")
    if not 0 <= config.noise < 1:
        raise ValueError(f"noise must be a probability, 0 <= noise < 1; got {config.noise}")
    if config.noise and config.chain:
        raise ValueError(f"noise in a chain is not offered: choose --chain or --noise {config.noise}")
    parts = chained(config.factors) if config.chain else product([factor(name) for name in config.factors])
    if not config.noise:
        return Source(
            parts, parts, lambda beliefs: [np.asarray(part) for part in parts.split_belief(jnp.asarray(beliefs))]
        )
    noisy = NoisyProduct(parts, jnp.asarray(config.noise))
    return Source(
        noisy, parts, lambda beliefs: [np.asarray(part) for part in jax.vmap(noisy.marginals)(jnp.asarray(beliefs))]
    )


def factor(name: FactorName, place: int = 1) -> bg.Process:
    """The published factor (place 1), or its slower or faster neighbours in a chain: they keep their stationary law."""
    if name == "mess3":
        return bg.mess3((0.05, 0.15, 0.3, 0.4)[place], 0.6)
    return bg.bloch_walk(1, (2, 3, 4, 5)[place])


def chained(names: Sequence[FactorName]) -> Chain:
    """Each token of a factor chooses another member of the next factor's family (the paper's choice is not ours)."""
    sizes = [factor(name).vocab_size for name in names]
    later = [[factor(name, token) for token in range(size)] for name, size in zip(names[1:], sizes, strict=False)]
    return bg.chain([factor(names[0]), *later])


def main(preset: str, config: Config, out: Path) -> None:
    """Process, train; at every snapshot loss, dimensions, factors' beliefs, vary-one subspaces; draw."""
    began = time.perf_counter()
    origin, context = source(config), config.network.context
    bos = vocabulary(origin.process)
    folder = runs.open_run(runs.run_folder(out, preset, config), config)
    data = f"{'chain of ' * config.chain}{' '.join(config.factors)}, noise {config.noise}"
    learned = learn(
        folder / "network", origin.process, config.network, config.budget, context=context, data=data, bos=True
    )
    drawn, sampled = words_or_sample(jax.random.key(1), origin.process, context - 1, config.words)
    rows = prefixes(origin.process, drawn, bos=bos)
    beliefs = origin.beliefs(rows.beliefs)
    frozen = vary_one(jax.random.key(2), origin.parts, drawn.tokens, config)
    look = looks(learned, rows)
    nets = {"trained": learned.trained, "untrained": learned.untrained}
    features = {net: [look.read(one).features for one in seeds_of(params)] for net, params in nets.items()}
    permuted = split(shuffle_beliefs(jax.random.key(3), jnp.asarray(targets_of(beliefs)), rows.length), beliefs)
    held = lambda net, truth: over_seeds([rmse_held_out(one, rows, truth) for one in features[net]])
    shots = {
        tokens: over_seeds([study(look, one, rows, beliefs, frozen) for one in seeds_of(params)])
        for tokens, params in learned.snapshots.items()
    }
    metrics = {
        "preset": preset,
        "config": asdict(config),
        "site": "output of the last block; all positions, every word and position equally",
        "sampled words": sampled,
        "training_tokens": max(shots),
        "optimum": optimum(config, origin, rows),
        "exact dimensions": exact_dimensions(rows, beliefs),
        "spread": spread(beliefs, rows),
        "rmse held out": {
            **{net: held(net, beliefs) for net in nets},
            "shuffled beliefs": held("trained", permuted),
        },
        "snapshots": shots,
        "published": PUBLISHED,
        "device": runs.device(),
        "versions": runs.versions(),
    }
    figures(folder, metrics, {net: probe_all(features[net][0], rows, beliefs) for net in nets}, beliefs, rows)
    metrics["seconds"] = {"training": learned.history["seconds"].sum(), "all": time.perf_counter() - began}
    runs.write_json(folder / "metrics.json", metrics)
    summary(folder, metrics)


def vary_one(key: Array, parts: Product | Chain, words: np.ndarray, config: Config) -> Int[np.ndarray, "..."]:
    """Words `[factor, context, varied, time]`: those of a context, but for one factor, which reads another word.

    The other word is drawn like the context, so the factor that varies does so as it does by itself.
    """
    chosen = jax.random.choice(key, len(words), (config.contexts + config.varied,), replace=False)
    digits = np.stack(parts.split_token(jnp.asarray(words[np.asarray(chosen)])))
    held, moving = digits[:, : config.contexts, None], digits[:, None, config.contexts :]
    index = np.arange(len(digits))[:, None, None, None]
    mixed = [jnp.asarray(np.where(index == n, moving, held)) for n in range(len(digits))]
    return np.stack([np.asarray(parts.join_tokens(list(one))) for one in mixed])


class Looks(NamedTuple):
    """Two compiled views of the network with any params."""

    read: Callable[[Any], Evaluation]
    """Predictions and last block's output after each prefix."""
    last: Callable[[Any, Int[np.ndarray, "word time"]], Float[Array, "word position width"]]
    """Last block's output at every position of some words."""


def looks(learned: Learned, rows: Prefixes) -> Looks:
    """The trained network's architecture, to be looked at with the params of a snapshot."""
    bos = rows.tokens[0, 0]

    def last(params, words):
        tokens = jnp.pad(words, ((0, 0), (1, 0)), constant_values=bos)
        return jax.lax.map(lambda one: learned.network.apply(params, one)[1]["resid_post"][-1], tokens, batch_size=256)

    return Looks(jax.jit(lambda params: evaluate(partial(learned.network.apply, params), rows)), jax.jit(last))


def seeds_of(params: Any) -> list[Any]:
    """The params of each seed."""
    leaves, tree = jax.tree.flatten(params)
    return [jax.tree.unflatten(tree, one) for one in zip(*leaves, strict=True)]


def over_seeds(each: list[Any]) -> Any:
    """`report.over_seeds` of every number of a nested report."""
    is_list = lambda part: isinstance(part, list)
    return jax.tree.map(lambda *values: report.over_seeds(np.array(values)), *each, is_leaf=is_list)


def study(look: Looks, params: Any, rows: Prefixes, beliefs: list[np.ndarray], frozen: np.ndarray) -> dict:
    """All numbers of one network."""
    read = look.read(params)
    gap = sampled_loss_gap(rows, read.log_laws)
    return {
        "gap": {"mean": gap.mean, "standard error": gap.mean_error, "per_position": gap.gap},
        "dimensions": effective_dimension(read.features, rows.counts),
        "rmse": rmse(probe_all(read.features, rows, beliefs), beliefs, rows.counts),
        "vary-one": subspaces(partial(look.last, params), frozen),
    }


def targets_of(beliefs: list[np.ndarray]) -> Float[np.ndarray, "row target"]:
    """The factors' beliefs side by side."""
    return np.concatenate(beliefs, 1)


def split(targets: np.ndarray, beliefs: list[np.ndarray]) -> list[np.ndarray]:
    """The factors' columns of what was side by side."""
    return np.split(np.asarray(targets, np.float64), np.cumsum([part.shape[1] for part in beliefs])[:-1], 1)


def probe_all(features: Array, rows: Prefixes, beliefs: list[np.ndarray]) -> list[np.ndarray]:
    """The factors' beliefs as one affine probe sees them, fitted to all these prefixes."""
    probe = bg.fit_probe(features, targets_of(beliefs), rows.counts)
    return split(probe(features), beliefs)


def rmse(seen: list[np.ndarray], beliefs: list[np.ndarray], weights: np.ndarray) -> list[float]:
    """Root of the mean squared error of an entry of each factor's belief; the trace of a Bloch vector is no entry."""
    shares = weights / weights.sum()
    errors = [((one - truth) ** 2)[:, truth.std(0) > 1e-9].mean(1) for one, truth in zip(seen, beliefs, strict=True)]
    return [float(np.sqrt(shares @ error)) for error in errors]


def rmse_held_out(features: Array, rows: Prefixes, beliefs: list[np.ndarray]) -> list[float]:
    """The same after three tokens or more, of probes that never saw a word with these first three tokens."""
    folds = held_out_folds(rows)
    predictions = cross_validate_probe(features, targets_of(beliefs), folds, rows.counts).predictions
    judged = folds >= 0
    parts = [part[judged] for part in split(predictions, beliefs)]
    return rmse(parts, [part[judged] for part in beliefs], rows.counts[judged])


def subspaces(last: Callable[[np.ndarray], Array], frozen: np.ndarray) -> dict:
    """Dimensions of what each factor moves alone, of all of it, and the overlaps of factors."""
    contexts, varied, length = frozen.shape[1:]
    moved = []
    for words in frozen:
        # A context is a frozen word up to a position: its mean over the factor that varies is taken at each.
        each = np.asarray(last(words.reshape(-1, length))).reshape(contexts, varied, length + 1, -1).swapaxes(1, 2)
        moved.append(deviations(each.reshape(-1, varied, each.shape[-1])))
    spaces = [principal_subspace(one) for one in moved]
    leading = [space[:1] for space in spaces]
    pairs = [*combinations(range(len(spaces)), 2)]
    overlap = lambda spaces: np.array([[float(subspace_overlap(a, b)) for b in spaces] for a in spaces])
    mean = lambda matrix: float(np.mean([matrix[pair] for pair in pairs]))
    first, whole = overlap(leading), overlap(spaces)
    return {
        "dimensions": [len(space) for space in spaces],
        "sum": sum(len(space) for space in spaces),
        "union": effective_dimension(jnp.concatenate(moved)),
        "overlap of leading directions": {"mean": mean(first), "matrix": first},
        "overlap of subspaces": {"mean": mean(whole), "matrix": whole},
    }


def optimum(config: Config, origin: Source, rows: Prefixes) -> dict:
    """The least possible loss: exact where factors are independent, for entropies add; over the sampled words. Nats."""
    context = config.network.context
    over_words = np.average(-(rows.laws * np.log(rows.laws)).sum(1), weights=rows.counts)
    if config.noise or config.chain:
        return {"over the sampled words": over_words}
    exact = sum(np.asarray(bg.myopic_entropies(part, context)) for part in origin.parts.factors)
    return {
        "after 0..7 tokens, exact": exact[: context - 1].mean(),
        "after 0..8 tokens, exact": exact.mean(),
        "per_position": exact,
        "over the sampled words": over_words,
    }


def exact_dimensions(rows: Prefixes, beliefs: list[np.ndarray]) -> dict:
    """Components for 95% of the variance of the joint belief, and of the factors' beliefs side by side."""
    joint = rows.beliefs  # noise makes them one process, whose belief is the joint one
    if joint.shape[1] == targets_of(beliefs).shape[1]:
        joint = reduce(lambda left, right: (left[:, :, None] * right[:, None]).reshape(len(left), -1), beliefs)
    return {
        "joint": effective_dimension(joint, rows.counts),
        "factored": effective_dimension(targets_of(beliefs), rows.counts),
    }


def spread(beliefs: list[np.ndarray], rows: Prefixes) -> list[float]:
    """RMSE of who knows nothing but the mean belief of each factor."""
    shares = rows.counts / rows.counts.sum()
    return rmse([np.broadcast_to(shares @ part, part.shape) for part in beliefs], beliefs, rows.counts)


def figures(folder: Path, metrics: dict, seen: dict, beliefs: list[np.ndarray], rows: Prefixes) -> None:
    """Draw dimensions and errors over training, the vary-one subspaces, and the probed beliefs."""
    save = lambda name, figure: figure.savefig(folder / f"{name}.png")
    shots, names = metrics["snapshots"], metrics["config"]["factors"]
    tokens = np.array([*shots])
    curve = lambda *path: np.array([mean_of(shot, *path) for shot in shots.values()])
    numbered = [f"{name} {1 + names[:n].count(name)}" for n, name in enumerate(names)]
    shown = {
        "dimensions": curve("dimensions"),
        "gap": curve("gap", "mean"),
        "rmse": dict(zip(numbered, curve("rmse").T, strict=True)),
    }
    save("training", plots.training_panels(tokens, shown, metrics["exact dimensions"]))
    last = shots[tokens[-1]]["vary-one"]
    space = {
        "each": dict(zip(numbered, curve("vary-one", "dimensions").T, strict=True)),
        "union": curve("vary-one", "union"),
        "leading": curve("vary-one", "overlap of leading directions", "mean"),
        "whole": curve("vary-one", "overlap of subspaces", "mean"),
        "matrix": mean_of(last, "overlap of subspaces", "matrix"),
    }
    save("subspaces", plots.subspace_panels(tokens, space))
    angle = np.linspace(0, 2 * np.pi, 200)
    disc, triangle = np.stack([np.cos(angle), np.sin(angle)], 1), np.asarray(simplex_vertices(3))[[0, 1, 2, 0]]
    flat = lambda name, part: np.asarray(simplex_coordinates(part)) if name == "mess3" else part[:, 1:]
    kinds = {"exact": beliefs, "trained": seen["trained"], "untrained": seen["untrained"]}
    clouds = {
        title: {kind: flat(name, parts[n]) for kind, parts in kinds.items()}
        for n, (name, title) in enumerate(zip(names, numbered, strict=True))
    }
    outlines = {title: triangle if name == "mess3" else disc for name, title in zip(names, numbered, strict=True)}
    save("beliefs", plots.belief_columns(clouds, rows.counts, outlines))


def mean_of(shot: dict, *path: str) -> np.ndarray:
    """The mean over seeds of one entry of a report."""
    return reduce(lambda found, key: found[key], path, shot)["mean"]


def summary(folder: Path, metrics: dict) -> None:
    """Ours beside the published, on the terminal."""
    shots, names = metrics["snapshots"], metrics["config"]["factors"]
    first, last = shots[min(shots)], shots[max(shots)]
    exact = metrics["exact dimensions"]
    low = min(shots, key=lambda tokens: mean_of(shots[tokens], "dimensions"))
    pair = lambda values: " -> ".join(f"{value:.3g}" for value in values)
    both = lambda *path: pair([mean_of(shot, *path) for shot in (first, last)])
    held = metrics["rmse held out"]
    lines = [
        ("components for 95%: joint / factored beliefs", "140 / 10", f"{exact['joint']} / {exact['factored']}"),
        ("components for 95%, network", pair(PUBLISHED["dimensions"]), both("dimensions")),
        ("  fewest (after how many tokens)", "3", f"{mean_of(shots[low], 'dimensions'):.3g} ({low:,})"),
    ]
    for name in dict.fromkeys(names):
        mean = partial(np.mean, where=np.array(names) == name)
        errors = pair([mean(mean_of(shot, "rmse")) for shot in (first, last)])
        lines.append((f"RMSE {name}", pair(PUBLISHED["rmse"][name]), errors))
        errors = pair([mean(held[net]["mean"]) for net in ("untrained", "trained")])
        lines.append(("  held out, after 3 tokens or more", "", errors))
        lines.append(("  held out, shuffled beliefs", "", pair([mean(held["shuffled beliefs"]["mean"])])))
        lines.append(("  of the mean belief", "", pair([mean(metrics["spread"])])))
    each = ", ".join(f"{value:.3g}" for value in mean_of(last, "vary-one", "dimensions"))
    lines += [
        ("vary-one dimensions, sum", pair(PUBLISHED["vary-one sum"]), both("vary-one", "sum")),
        ("  of each factor", "2, 2, 2, 4, 4", each),
        ("  of their union", pair(PUBLISHED["vary-one union"]), both("vary-one", "union")),
        (
            "overlap of leading directions",
            pair(PUBLISHED["overlap"]),
            both("vary-one", "overlap of leading directions", "mean"),
        ),
        ("optimal loss (nats)", "5.9256", f"{next(iter(metrics['optimum'].values())):.4f}"),
        ("loss above the optimum (nats)", "", both("gap", "mean")),
    ]
    seconds = " / ".join(f"{value:.0f}" for value in metrics["seconds"].values())
    title = f"{folder}: metrics.json, figures; {seconds} s training / all; {max(shots):,} tokens"
    runs.print_table(title, ("", "published", "ours"), lines)


if __name__ == "__main__":
    cli.run_experiment(main, PRESETS, out="runs/factored", description=__doc__)
