"""The settings along each axis: what networks learn, their sizes, and how long they train."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.processes.process import Process

Axis = Literal[
    "tokens",
    "drawn tokens",
    "along one training",
    "width",
    "depth",
    "states",
    "vocabulary",
    "entropy",
    "memory",
    "clocks",
]
"""What is changed, all else being equal."""

Name = Literal["mess3", "two clocks"]
"""What is learnt while the network or its training changes."""

X, ALPHA = 0.05, 0.85
"""Mess3's moves, and its emission."""

RATE = 0.95
"""The entropy rate at which the second eigenvalue alone is moved, in nats."""

STAY, SHOWN = 0.85, 0.9
"""The fast clock, a hidden coin: it stays, in the other mode moves, with this probability, and is shown with that."""

RATIO = 4
"""How many times longer the slow clock remembers where this does not change."""

STATES, TOKENS = 8, 4
"""The size of a random HMM where it does not change."""

ENTRIES = 3.2
"""The concentration of its rows, summed over their entries: so rows have as many likely entries at every size."""


CONTEXT = 10
"""The number of tokens that all networks read."""

WORDS = {2: 10, 3: 7}
"""How many tokens words have on which networks are judged, by vocabulary, so that all can be listed; default 10."""


class Setting(NamedTuple):
    """One point of an axis.

    Attributes:
        value: Where on the axis it lies.
        processes: What the networks learn: one process, or several draws of it with a network each.
        network: Their sizes.
        budget: How they are trained.
        context: The number of tokens that they read.
        words: The number of tokens of the words on which they are judged.
        clocks: The numbers of states of slow and fast clock, if there are two.
    """

    value: float
    processes: tuple[Process, ...]
    network: TransformerConfig
    budget: runs.Budget
    context: int
    words: int
    clocks: tuple[int, int] | None = None


def settings_of(axis: Axis, config: Any) -> dict[str, list[Setting]]:
    """The settings of an axis, by the name of what is learnt; values increase."""
    if axis in ("states", "vocabulary"):
        return {"": list(_random(axis, config))}
    if axis in ("entropy", "memory"):
        return {"": list(_mess3(axis, config))}
    if axis == "clocks":
        return {"": [_setting(ratio, (two_clocks(ratio),), config, clocks=(2, 2)) for ratio in config.ratios]}
    return {name: list(_of_network(axis, _base(name), config)) for name in config.processes}


def _base(name: Name) -> Process:
    return {"mess3": lambda: bg.mess3(X, ALPHA), "two clocks": lambda: two_clocks(RATIO)}[name]()


def _of_network(axis: Axis, process: Process, config: Any) -> Iterator[Setting]:
    """One process, while the network or its training changes."""
    base = _setting(0, (process,), config)
    if axis in ("tokens", "drawn tokens"):
        data = "laws" if axis == "tokens" else "samples"
        for steps in config.lengths:
            budget = replace(config.budget, steps=steps, data=data)
            yield base._replace(value=steps * budget.batch * CONTEXT, budget=budget)
    elif axis == "width":
        for width in config.widths:
            yield base._replace(value=width, network=replace(base.network, width=width, mlp_width=2 * width))
    elif axis == "depth":
        for layers in config.depths:
            yield base._replace(value=layers, network=replace(base.network, layers=layers))
    else:
        yield base._replace(budget=replace(config.budget, steps=max(config.lengths)))


def _random(axis: Axis, config: Any) -> Iterator[Setting]:
    """Random HMMs, a network for each. Their rows have the same number of likely entries, whatever their size."""
    for size in config.states if axis == "states" else config.vocabularies:
        states, tokens = (size, TOKENS) if axis == "states" else (STATES, size)
        keys = jax.random.split(jax.random.key(1000 * states + tokens), config.budget.seeds)
        drawn = tuple(bg.random_hmm(key, states, tokens, ENTRIES / (states * tokens)) for key in keys)
        yield _setting(size, drawn, config)._replace(budget=replace(config.budget, seeds=1))


def _mess3(axis: Axis, config: Any) -> Iterator[Setting]:
    """Mess3 whose emission alone changes h; or whose moves change the second eigenvalue 1 - 3x, at one h."""
    if axis == "entropy":
        found = sorted((rate(bg.mess3(X, alpha)), X, alpha) for alpha in config.emissions)
    else:
        found = sorted((length(1 - 3 * x), x, emission_of(x)) for x in config.moves)
    for value, x, alpha in found:
        yield _setting(value, (bg.mess3(x, alpha),), config)


def _setting(
    value: float, processes: tuple[Process, ...], config: Any, *, clocks: tuple[int, int] | None = None
) -> Setting:
    tokens = processes[0].vocab_size
    # The clocks have two tokens and Mess3 three; the networks of all know three, to be one program.
    known = tokens if len(processes) > 1 else max(tokens, 3)
    network = replace(config.network, vocab_size=known, context=CONTEXT)
    return Setting(value, processes, network, config.budget, CONTEXT, WORDS.get(tokens, CONTEXT), clocks)


def two_clocks(ratio: float) -> Process:
    """The process on (mode, coin) whose mode remembers `ratio` times as long as its coin; 1: one clock."""
    fast = abs(2 * STAY - 1)
    move = (1 - fast ** (1 / ratio)) / 2
    coins = [_coin(STAY), _coin(1 - STAY)]
    return bg.switching(coins, [[1 - move, move], [move, 1 - move]]).joint()


def _coin(stay: float) -> Process:
    moves, shown = np.array([[stay, 1 - stay], [1 - stay, stay]]), np.array([[SHOWN, 1 - SHOWN], [1 - SHOWN, SHOWN]])
    return bg.from_moore(np.full(2, 0.5), moves, shown)


def length(eigenvalue: float) -> float:
    """The correlation length of a mode that fades as eigenvalue^time: 1 / -ln |eigenvalue|, in tokens."""
    return float(1 / -np.log(abs(eigenvalue)))


def rate(process: Process) -> float:
    """The entropy rate in nats, the middle of its bounds."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), process)
        return float(np.mean(bg.entropy_rate_bounds(wide, 10)))


def emission_of(x: float) -> float:
    """Mess3's emission at which these moves have the entropy rate `RATE`."""
    found: Any = brentq(lambda alpha: rate(bg.mess3(x, alpha)) - RATE, 0.4, 0.9999, xtol=1e-6)
    return float(found)
