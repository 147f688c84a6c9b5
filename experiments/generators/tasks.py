"""The generators of the claim, and their training, which continues where it was stopped."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import generator
import jax
import jax.numpy as jnp
import measures
import numpy as np
from generator import Critic, Generator, Task

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import digest, open_run
from beliefgeo.runs.identity import identity

if TYPE_CHECKING:
    from __main__ import Config

# Chosen in pilots on other seeds.
RATE, ADVERSARIAL_RATE, CRITIC, PENALTY = 1e-2, 3e-3, 64, 0.1
CHUNK = 100
# With feedback a generator has a state for each of its own prefixes.
LONGEST = 7


class Shots(NamedTuple):
    """Generators of one kind before and after training, a list over seeds."""

    unroll: generator.Unroll
    untrained: list[Any]
    trained: list[Any]


def words(config: "Config") -> tuple[bg.Process, Task]:
    """Mess3, and the task of learning its words from noise alone.

    Raises:
        ValueError: words without a past, or too many of them; no width, noise or paths; paths that make no groups.
    """
    if not 2 <= config.length <= LONGEST:
        raise ValueError(
            f"length must be 2 to {LONGEST} tokens, as the first has no past and feedback needs a state for each "
            f"prefix; got {config.length}"
        )
    for name in ("width", "noise", "paths"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be 1 or more; got {getattr(config, name)}")
    together = measures.GROUPS * measures.AT_ONCE
    if config.evaluation < 1 or config.evaluation % together:
        raise ValueError(
            f"evaluation must be a multiple of {together} noise paths; got {config.evaluation}: try {together}"
        )
    process = bg.mess3()
    law = jnp.asarray(bg.word_tree(process, config.length).probabilities)
    made = Generator(config.width, process.vocab_size)
    return process, Task(made, law, config.length, config.noise, config.paths, RATE, config.steps, CHUNK)


def learn(run: runs.Run, kind: str, task: Task, config: "Config", start: list[Any] | None = None) -> Shots:
    """Train generators of a kind, or load what was trained before; from given parameters if there are any.

    All begin with the same random numbers, so that generators with and without feedback start from equal weights.
    """
    critic = Critic(CRITIC) if kind == "adversarial" else None
    task = task._replace(generator=task.generator.clone(feedback=kind.startswith("feedback")))
    if critic is not None:
        task = task._replace(rate=ADVERSARIAL_RATE, steps=config.adversarial_steps)
    training = generator.likelihood(task) if critic is None else generator.adversarial(task, critic, PENALTY)
    key, sources = jax.random.key(run.seed), None
    if start is not None:
        sources = jax.tree.map(lambda *each: np.stack(each), *start)  # arrays of NumPy lie on no device yet
        sources = generator.without_tokens(sources, task.noise)
    record = {name: repr(value) for name, value in task._replace(probabilities=None)._asdict().items()}
    record |= {
        "law": identity(task.probabilities),
        "critic": repr(critic),
        "penalty": PENALTY,
        "start": identity(sources),
    }
    record |= {"code": hashlib.sha256(Path(generator.__file__).read_bytes()).hexdigest()[:16]}
    record |= {"seeds": config.seeds, "key": identity(key)}
    folder = open_run(run.root / "networks" / f"generators-{digest(record)}", record)
    plan = resumable.Plan(task.steps, CHUNK, task.paths * task.length, 1, config.seeds)
    with run.stage("train"):
        resumable.train(folder, training, key, plan, sources)
        shots = [params for _, params in resumable.snapshots(folder, training, key, plan, sources)]
    if critic is not None:
        shots = [params["generator"] for params in shots]
    seeds = range(config.seeds)
    untrained, trained = ([jax.tree.map(lambda leaf, seed=seed: leaf[seed], one) for seed in seeds] for one in shots)
    return Shots(task.generator.apply, untrained, trained)  # pyright: ignore[reportArgumentType]
