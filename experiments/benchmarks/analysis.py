"""How long the analyses take that a user waits for, and how much memory, each in a process of its own.

Beside each: for mixed states a queue of nodes, one matrix product per node and token (`theory.py`); for the others the
part that cannot be left out, the network's laws of all words that are asked, or a plain run over the words. The network
is the published one (4 layers of width 64), untrained. *First* includes compiling, with an empty compilation cache;
*again* is the median of three later calls; the peak is that of the whole program, jax and all.

    python experiments/benchmarks/analysis.py
    python experiments/benchmarks/analysis.py "mixed states of mess3 to depth 12"      one of them alone
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import report
import tyro

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.discovery.futures import future_laws
from beliefgeo.discovery.models import network_laws
from beliefgeo.discovery.operators import discover_process
from beliefgeo.mechanisms import donors
from beliefgeo.mechanisms.interventions import covariance_least, effect, encode
from beliefgeo.networks import Transformer, TransformerConfig
from beliefgeo.runs.run import named_key

DEPTH, PREFIXES, FUTURE = 12, 6, 4
LAYER, LENGTH, PAIRS = "layer 3", 6, 4
SIDES = ("ours", "beside")


class Taken(NamedTuple):
    """Seconds of the first call and of a later one, and the program's peak memory (MiB)."""

    first: float
    again: float
    peak: float


def untrained(vocab_size: int) -> tuple[Any, Any]:
    """The published network and its first params."""
    network = Transformer(TransformerConfig(vocab_size=vocab_size))
    return network, network.init(named_key(0, "network"), jnp.zeros(10, int))


def plain_run(network: Any, params: Any) -> Callable[[Any], jax.Array]:
    """Words to the network's laws, and nothing else."""
    return jax.jit(jax.vmap(lambda word: jax.nn.log_softmax(network.apply(params, word)[0])))


def mixed_states(side: str) -> Callable[[], Any]:
    """The 797,161 beliefs that Mess3 reaches within DEPTH tokens."""
    if side == "ours":
        return lambda: bg.mixed_state_presentation(bg.mess3(), DEPTH)
    from theory import presentation_by_queue  # it needs the extra bench

    return lambda: presentation_by_queue(bg.mess3(), DEPTH)


def discovery(side: str) -> Callable[[], Any]:
    """A process read off a network of Mess3, from its laws after all prefixes of up to PREFIXES tokens."""
    network, params = untrained(3)
    asked = lambda: future_laws(network_laws(network, params), PREFIXES, FUTURE)
    if side == "ours":
        return lambda: discover_process(asked())
    words = np.indices((3,) * (PREFIXES + FUTURE)).reshape(PREFIXES + FUTURE, -1).T
    plain = plain_run(network, params)
    batches = np.split(words, range(4096, len(words), 4096))
    return lambda: [np.asarray(plain(some)) for some in batches]


def intervention(side: str) -> Callable[[], Any]:
    """Beliefs written at LAYER after every prefix of LENGTH tokens of Mess3, PAIRS each, and the network run on."""
    process, (network, params) = bg.mess3(), untrained(3)
    rows = reading.rows(named_key(0, "words"), process, 10)
    pairs = donors.reachable(named_key(0, "donors"), rows, LENGTH, PAIRS)
    if side == "beside":
        tokens = jnp.asarray(rows.tokens[pairs.word])
        plain = plain_run(network, params)
        return lambda: np.asarray(plain(tokens))
    held = encode(reading.read(network, params, rows).features[LAYER], rows, rows.counts)
    site = reading.site_of(network, params, LAYER)
    return lambda: effect(process, network, params, rows, site, pairs, covariance_least(held, pairs))


MEASURES: dict[str, Callable[[str], Callable[[], Any]]] = {
    f"mixed states of mess3 to depth {DEPTH}": mixed_states,
    f"a process read off a network, {PREFIXES} tokens and {FUTURE} ahead": discovery,
    f"beliefs written into a network, {PAIRS} after each of {3**LENGTH} prefixes": intervention,
}


def take(call: Callable[[], Any]) -> Taken:
    """The times of a call, and this program's peak."""
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - began)
    return Taken(seconds[0], float(np.median(seconds[1:])), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def apart(name: str, side: str) -> Taken:
    """`take` in a program of its own, with nothing compiled before."""
    with tempfile.TemporaryDirectory() as empty:
        surroundings = os.environ | {"JAX_COMPILATION_CACHE_DIR": empty}
        command = [sys.executable, __file__, name, "--side", side]
        told = subprocess.run(command, env=surroundings, check=True, capture_output=True, text=True).stdout
    return Taken(**json.loads(told.splitlines()[-1]))


def main(
    only: tyro.conf.Positional[str | None] = None, side: str | None = None, history: Path = report.HISTORY
) -> None:
    """Measure all, print a table, and keep it.

    Args:
        only: the name of one measurement, to measure it alone.
        side: of that measurement, ours or beside: measured here, printed as JSON, and not kept.
        history: the file that gets a new line.
    """
    if only is not None and only not in MEASURES:
        raise SystemExit(f"no measurement {only!r}: choose one of {', '.join(map(repr, MEASURES))}")
    if only is not None and side is not None:
        print(json.dumps(take(MEASURES[only](side))._asdict()))
        return
    names = [*MEASURES] if only is None else [only]
    found = {name: {one: apart(name, one) for one in SIDES} for name in names}
    cells = lambda taken: (f"{taken.first:.2f}", f"{taken.again:.2f}", f"{taken.peak:,.0f}")
    rows = [(f"{name}: {one}", *cells(taken)) for name, sides in found.items() for one, taken in sides.items()]
    report.print_table("analyses", ("", "first (s)", "again (s)", "peak (MiB)"), rows)
    compared = {
        name: report.Compared({"beside": 1e3 * sides["beside"].again}, {"ours": 1e3 * sides["ours"].again})
        for name, sides in found.items()
    }
    each = {name: {one: taken._asdict() for one, taken in sides.items()} for name, sides in found.items()}
    report.append(history, "analysis", {**report.numbers(compared), "seconds and MiB": each}, {})


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
