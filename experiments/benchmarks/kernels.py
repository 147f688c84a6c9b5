"""How fast the kernels are, as ratios to common alternatives, measured side by side in one run.

Baselines: a scan with `jax.random.choice` per step, under vmap and jit, that carries the belief, as in today's
toolkits. dynamax's `hmm_filter`, given `transitions[tokens]` as time-varying matrices and zero log-likelihoods, which
makes its filtered probabilities our beliefs; it is asked for these and the log-likelihood alone, as we give them (its
full output stands beside). hmmlearn's `score`, in C++, for a process whose state emits and then moves, the only kind it
supports. scikit-learn's `LinearRegression`. A floor for sampling: a program that writes as many bytes of the same
shapes and computes nothing. B = 1024 sequences of L = 128 tokens; probes of 590,490 rows x 64 or 256 -> 3. Repetitions
are interleaved, so that a slow moment of the machine hits all alike; medians are compared.

    pip install -e ".[bench]" && python experiments/benchmarks/kernels.py
"""

import importlib.metadata
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import report
import tyro
from dynamax.hidden_markov_model import hmm_filter
from hmmlearn.hmm import CategoricalHMM
from sklearn.linear_model import LinearRegression

import beliefgeo as bg
from beliefgeo.probes.least_squares import solve_probe
from beliefgeo.probes.statistic import merge_statistics, probe_statistic

BATCH, LENGTH, ROWS, WIDE, REPETITIONS = 1024, 128, 590_490, 256, 100
# Each measurement has its own key.
SAMPLING, FILTERING, SCORING, STREAMING = jax.random.split(jax.random.key(0), 4)


def choice_per_step(key, process):
    """Tokens and beliefs, by a categorical draw at every step."""

    def step(belief, key):
        law = process.transitions.sum(2) @ belief
        token = jax.random.choice(key, process.vocab_size, p=law)
        joint = belief @ process.transitions[token]
        belief = joint / joint.sum()
        return belief, (token, belief)

    return jax.lax.scan(step, process.initial, jax.random.split(key, LENGTH))[1]


def writing(shapes) -> Callable[[float], jax.Array]:
    """A program that fills arrays of these shapes with one number; a program that returns them writes as many bytes."""
    return jax.jit(lambda number: jax.tree.map(lambda leaf: jnp.full(leaf.shape, number, leaf.dtype), shapes))


def sampling(process) -> report.Compared:
    """The times to sample BATCH sequences."""
    keys = jax.random.split(SAMPLING, BATCH)
    batched = lambda function: jax.jit(jax.vmap(lambda key: function(key, process)))
    everything = batched(lambda key, process: bg.sample(key, process, LENGTH))
    floor = writing(jax.eval_shape(everything, keys))
    choice = batched(choice_per_step)
    alone = batched(lambda key, process: bg.sample(key, process, LENGTH).tokens)
    return report.compare(
        {
            "choice per step (tokens, beliefs)": lambda: choice(keys),
            "floor: writing tokens, beliefs, log-probabilities": lambda: floor(0.5),
        },
        {
            "sample (tokens, beliefs, log-probabilities)": lambda: everything(keys),
            "sample (tokens alone)": lambda: alone(keys),
        },
        REPETITIONS,
    )


def filtering(process) -> report.Compared:
    """The times to filter BATCH sequences; checks that both give the same beliefs."""
    keys = jax.random.split(FILTERING, BATCH)
    tokens = jax.vmap(bg.sample, (0, None, None))(keys, process, LENGTH).tokens

    def dynamax(tokens):
        zeros = jnp.zeros((LENGTH + 1, process.n_states))
        return hmm_filter(process.initial, process.transitions[tokens], zeros)

    def dynamax_without_predictions(tokens):
        posterior = dynamax(tokens)
        return posterior.filtered_probs, posterior.marginal_loglik

    ours = jax.jit(jax.vmap(lambda word: bg.filter_beliefs(process, word)))
    theirs = jax.jit(jax.vmap(dynamax))
    trimmed = jax.jit(jax.vmap(dynamax_without_predictions))
    mine, posterior = ours(tokens), theirs(tokens)
    np.testing.assert_allclose(mine.beliefs, posterior.filtered_probs, atol=1e-5)
    np.testing.assert_allclose(mine.log_probabilities.sum(1), posterior.marginal_loglik, rtol=1e-5)
    return report.compare(
        {
            "dynamax hmm_filter (filtered and log-likelihood only)": lambda: trimmed(tokens),
            "dynamax hmm_filter (all it gives)": lambda: theirs(tokens),
        },
        {"filter_beliefs": lambda: ours(tokens)},
        REPETITIONS,
    )


def scoring() -> report.Compared:
    """The times for the log-likelihood of BATCH sequences; checks that hmmlearn, which gives no beliefs, agrees."""
    moves = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    parts = np.array([0.4, 0.3, 0.3]), moves, moves[::-1]
    process = bg.from_moore(*parts)
    ours = jax.jit(jax.vmap(lambda word: bg.filter_beliefs(process, word)))
    keys = jax.random.split(SCORING, BATCH)
    tokens = jax.vmap(bg.sample, (0, None, None))(keys, process, LENGTH).tokens
    column, lengths = np.asarray(tokens).reshape(-1, 1), [LENGTH] * BATCH
    by_logarithms, by_scaling = (CategoricalHMM(3, implementation=name) for name in ("log", "scaling"))
    for model in (by_logarithms, by_scaling):
        model.startprob_, model.transmat_, model.emissionprob_ = parts
    np.testing.assert_allclose(ours(tokens).log_probabilities.sum(), by_scaling.score(column, lengths), rtol=1e-5)
    return report.compare(
        {
            "hmmlearn score (log)": lambda: by_logarithms.score(column, lengths),
            "hmmlearn score (scaling)": lambda: by_scaling.score(column, lengths),
        },
        {"filter_beliefs (with beliefs)": lambda: ours(tokens)},
        REPETITIONS,
    )


def probing(width: int, repetitions: int) -> report.Compared:
    """The times to fit a probe to ROWS rows of this width; checks that both probes agree."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((ROWS, width), np.float32)
    targets = features[:, :3] + rng.standard_normal((ROWS, 3), np.float32)
    on_device = jnp.asarray(features), jnp.asarray(targets)
    theirs = lambda: LinearRegression().fit(features, targets).coef_
    ours = lambda: bg.fit_probe(*on_device)
    np.testing.assert_allclose(ours().kernel.T, theirs(), atol=1e-3)
    return report.compare({"scikit-learn LinearRegression": theirs}, {"fit_probe": ours}, repetitions)


@partial(jax.jit, static_argnums=1)
def streamed_probe(key, chunks: int) -> bg.Probe:
    """A probe of chunks of ROWS / 10 rows; they are drawn one after the other and never in memory together."""

    def statistic(key):
        features = jax.random.normal(key, (ROWS // 10, WIDE))
        targets = features[:, :3] + jax.random.normal(jax.random.fold_in(key, 1), (ROWS // 10, 3))
        return probe_statistic(features, targets, jnp.ones(ROWS // 10))

    def add(total, key):
        both = jax.tree.map(lambda *parts: jnp.stack(parts), total, statistic(key))
        return merge_statistics(both), None

    keys = jax.random.split(key, chunks)
    total, _ = jax.lax.scan(add, statistic(keys[0]), keys[1:])
    return solve_probe(total, WIDE, offset=True, rcond=1e-6)


def streaming() -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of streamed probes, including the drawing of rows, and the program's peak memory so far (MiB)."""
    milliseconds, peaks = {}, {}
    for chunks in (10, 100):
        began = time.perf_counter()
        probe = jax.block_until_ready(streamed_probe(jax.random.fold_in(STREAMING, chunks), chunks))
        seconds = time.perf_counter() - began
        np.testing.assert_allclose(probe.kernel[:3], np.eye(3), atol=0.01)
        size = f"{chunks * (ROWS // 10):,} x {WIDE}"
        milliseconds[size] = 1e3 * seconds
        peaks[size] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return milliseconds, peaks


def importing() -> report.Compared:
    """The times to start Python and import the package, beside the packages it depends on."""
    start = lambda code: partial(subprocess.check_call, [sys.executable, "-c", code])
    theirs, ours = "import jax, flax, optax, equinox", "import beliefgeo"
    return report.compare({theirs: start(theirs)}, {ours: start(ours)}, repetitions=7)


def main(history: Path = report.HISTORY) -> None:
    """Measure, print the ratios to the first baseline of each group, and keep them.

    Args:
        history: the file that gets a new line.
    """
    streamed, peaks = streaming()  # first, because it reports the highest memory so far
    rows = [(size, f"{streamed[size] / 1e3:.1f}", f"{peaks[size]:.0f}") for size in streamed]
    report.print_table("streamed probe", ("", "seconds", "peak of memory (MiB)"), rows)
    groups = {}
    for group, measure in {
        f"sampling mess3, {BATCH} x {LENGTH}": lambda: sampling(bg.mess3()),
        f"sampling rrxor, {BATCH} x {LENGTH}": lambda: sampling(bg.rrxor()),
        f"filtering mess3, {BATCH} x {LENGTH}": lambda: filtering(bg.mess3()),
        f"filtering rrxor, {BATCH} x {LENGTH}": lambda: filtering(bg.rrxor()),
        f"hmmlearn, {BATCH} x {LENGTH}": scoring,
        f"probe, {ROWS:,} x 64 -> 3": lambda: probing(64, 7),
        f"probe, {ROWS:,} x {WIDE} -> 3": lambda: probing(WIDE, 3),
        "import": importing,
    }.items():
        groups[group] = measure()
        report.print_compared(group, groups[group])
    measured = report.numbers(groups)
    measured["medians"]["streamed probe"] = streamed
    versions = {name: importlib.metadata.version(name) for name in ("dynamax", "hmmlearn", "scikit-learn")}
    report.append(history, "kernels", {**measured, "peak of memory (MiB)": peaks}, versions)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
