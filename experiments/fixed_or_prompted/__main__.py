"""An HMM learnt in the weights, told in the prompt, or inferred from it: does a transformer or an RNN predict it best?

Two published answers seem to contradict each other: on fixed HMMs recurrent networks beat transformers (2406.04089); on
a fresh HMM for each sequence transformers beat LSTMs (2512.22471). The second paper writes the HMM's probabilities at
the head of the prompt, and asks for the belief about the state. Here are three tasks with one prior, one vocabulary,
the same learners and the same loss, of the next token: a fixed HMM; a fresh HMM for each sequence, told in the head of
its prompt; and a fresh HMM that must be inferred from its tokens. The exact optimum of each is known: an observer
who must infer the HMM filters all 1,024 that it may meet, side by side.
Sources: Hu, Liu, Jin 2406.04089; Agarwal, Dalal, Misra 2512.22471. The tasks are ours, and far smaller.
Found by `default`, nats above the optimum of transformer, LSTM, GRU: fixed 9.9e-4, 2.0e-4, 1.7e-4; told 3.4e-3, 3.6e-3,
2.3e-3; inferred 9.6e-4, 6.0e-4, 3.4e-4. 16 minutes of two cores.

    python experiments/fixed_or_prompted                     the default preset
    python experiments/fixed_or_prompted quick               a smoke run, under a minute
    python experiments/fixed_or_prompted rates               the learning rates tried before, on other HMMs
    python experiments/fixed_or_prompted default --tasks told
"""

import itertools
from dataclasses import dataclass

import exams
import figures
import jax
import jax.numpy as jnp
import learners
import measures
import numpy as np
import tasks
from claims import BUDGETS, CLAIMS, check, judge, judge_task
from learners import LEARNERS, Learner
from rates import LONGER, RATES, TRIED
from tasks import NAMES, Name

from beliefgeo import runs


@dataclass(frozen=True)
class Config:
    """Tasks, learners, and how to train them."""

    tasks: tuple[Name, ...] = NAMES
    """A fixed HMM, a fresh HMM told in the prompt, a fresh HMM to be inferred."""
    learners: tuple[Learner, ...] = LEARNERS
    """Who learns."""
    hmms: int = 3
    """The number of fixed HMMs; each has networks of its own."""
    pool: int = 1024
    """The number of HMMs that are told, or to be inferred, in training; the others are new."""
    length: int = 32
    """The number of tokens of the HMM in a sequence."""
    words: int = 1000
    """The number of words that judge the networks."""
    steps: int = 1000
    """The number of steps in the task of a fixed HMM, a multiple of 200; see `LONGER` for the others."""
    batch: int = 32
    """The number of sequences of a step."""
    rates: tuple[float, ...] = ()
    """Learning rates to try, and nothing else; none for a run with those chosen."""
    seeds: int = 5
    """The number of networks of a kind."""
    seed: int = 0
    """The seed of the whole run."""


QUICK = Config(("fixed",), ("GRU",), 1, 64, length=12, words=50, steps=200, batch=8, seeds=2)
PRESETS = {
    "quick": QUICK,
    "rates": Config(hmms=1, words=300, steps=500, rates=TRIED, seeds=1, seed=7),
    "default": Config(),
}


def main(run: runs.Run, config: Config) -> dict:
    """The prior, its HMMs, each task, and whether the winner changes from task to task."""
    check(config)
    prior = tasks.prior(run.key("rows"))
    shuffled = jax.random.permutation(run.key("pool"), tasks.COUNT)
    seen, new = (tasks.pick(prior, part) for part in jnp.split(shuffled, [config.pool]))
    found = {name: of_task(run, config, name, seen, new) for name in config.tasks}
    return found if config.rates else found | {"verdict": judge(found)}


def of_task(run: runs.Run, config: Config, name: Name, seen: tasks.Prior, new: tasks.Prior) -> dict:
    """Words and optima; then every learner, for a quarter of the steps and for all, or with all rates to try."""
    groups = [tasks.pick(seen, np.array([one])) for one in range(config.hmms)] if name == "fixed" else [seen]
    keys = jax.random.split(run.key(f"words of {name}"), len(groups))
    with run.stage("optima"):
        sat = [exams.exam(key, name, one, new, config) for key, one in zip(keys, groups, strict=True)]
    steps, repeat = config.steps * LONGER[name], len(config.rates) or config.seeds
    sources = jax.tree.map(lambda *leaves: jnp.repeat(jnp.stack(leaves), repeat, 0), *groups)
    if config.rates:
        shape = (steps, config.batch, config.length)
        rated = lambda learner: learners.try_rates(run, name, learner, *shape, sources, config.rates)
        return {"rates": {one: measures.by_rate(rated(one), sat[0], config.rates) for one in config.learners}}
    size = lambda learner: learners.parameters(learners.network_of(learner, config.length))
    learnt: dict = {one: {"rate": RATES[name][one], "parameters": size(one)} for one in config.learners}
    for one, (budget, part) in itertools.product(config.learners, BUDGETS.items()):
        plan = learners.budget(steps // part, config.batch, RATES[name][one])
        shots = learners.learn(run, name, one, plan, config.length, sources)
        learnt[one][budget] = measures.measure(shots if budget == "long" else [shots[0], shots[-1]], sat)
    return exams.told(sat) | {"learners": learnt, "verdict": judge_task(learnt)}


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
