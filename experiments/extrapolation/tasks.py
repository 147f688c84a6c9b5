"""The words, which of them are shown in training, and the networks that learn the laws after the shown words."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

import beliefgeo as bg
from beliefgeo import learning, reading, runs
from beliefgeo.beliefs.merging import group_close
from beliefgeo.learning.optimizers import optimizer_of
from beliefgeo.networks import Network, TransformerConfig
from beliefgeo.networks.transformer import Transformer
from beliefgeo.reading import Checkpoint, Rows
from beliefgeo.runs import resumable
from beliefgeo.runs.folder import digest, open_run
from beliefgeo.runs.identity import identity

if TYPE_CHECKING:
    from __main__ import Config

Name = Literal["z1r", "rrxor"]
Left = Literal["nothing", "subtrees", "pattern", "seven eighths"]
"""What is left out of training: nothing; all words that begin with a quarter of the words of `ROOT` tokens; all words
that have a certain word of `PATTERN` tokens in them; or seven eighths of the words, drawn at random."""
LEFT_OUT: tuple[Left, ...] = get_args(Left)[1:]
PROCESSES = {"z1r": bg.z1r, "rrxor": bg.rrxor}
LONGER = {"z1r": 1, "rrxor": 2}
"""How many times the number of steps each process is learnt for."""
KEPT = 1 / 8
BOS = 2
PATTERN = 5
ROOT = 4
"""The number of tokens at which a subtree begins."""
CHUNK = 100


class Task(NamedTuple):
    """A process, all its words as a network reads them, and what is known after each prefix."""

    process: bg.Process
    rows: Rows
    """A row for each prefix of the words, the empty one first."""
    classes: Int[np.ndarray, " row"]
    """Equal where the belief is equal, whatever the length."""
    places: Int[np.ndarray, "word time"]
    """The row at each position of each word."""

    @property
    def chances(self) -> Float[np.ndarray, " word"]:
        """The probability of each word."""
        return self.rows.probabilities[self.places[:, -1]]


def task_of(name: Name, context: int) -> Task:
    """All words of a process in a context, a BOS first.

    Raises:
        ValueError: a context that leaves no words below a subtree, or futures of three tokens.
    """
    if context < 2 * ROOT:
        raise ValueError(
            f"context must be {2 * ROOT} or more, as words of {ROOT} tokens are the roots of what is left out; "
            f"got {context}"
        )
    process = PROCESSES[name]()
    rows = reading.rows(jax.random.key(0), process, context, bos=BOS)
    classes = np.unique(group_close(rows.beliefs, 1e-9), return_inverse=True)[1]
    places = np.zeros(rows.tokens.shape, int)
    for position in range(context):
        at = np.flatnonzero(rows.position == position)
        places[:, position] = at[np.searchsorted(rows.word[at], np.arange(len(rows.tokens)), "right") - 1]
    return Task(process, rows, classes, places)


def shown_words(key: PRNGKeyArray, task: Task, left: Left) -> Bool[np.ndarray, " word"]:
    """Which words are shown in training."""
    words = task.rows.words
    if left == "nothing":
        return np.ones(len(words), bool)
    if left == "subtrees":
        roots = task.places[:, ROOT]
        each = np.unique(roots)
        return ~np.isin(roots, np.asarray(jax.random.permutation(key, each))[: max(1, len(each) // 4)])
    if left == "pattern":
        return ~np.asarray(jax.random.choice(key, np.stack(patterns(task))))
    return np.asarray(jax.random.permutation(key, len(words))) < max(3, round(KEPT * len(words)))


def patterns(task: Task) -> list[Bool[np.ndarray, " word"]]:
    """Which words have a pattern in them, for every pattern that leaves half of all words, by probability.

    Raises:
        ValueError: no such pattern.
    """
    parts = np.lib.stride_tricks.sliding_window_view(task.rows.words, PATTERN, axis=1)
    numbers = parts @ 2 ** np.arange(PATTERN)
    found = [(numbers == number).any(1) for number in np.unique(numbers)]
    if not (rare := [one for one in found if task.chances @ one <= 1 / 2]):
        raise ValueError(
            f"a pattern of {PATTERN} tokens must be left out, and each is in more than half of the words: lower the "
            "context"
        )
    return rare


def shown_rows(task: Task, shown: Bool[np.ndarray, " word"]) -> Bool[np.ndarray, " row"]:
    """Which prefixes are prefixes of a shown word."""
    seen = np.zeros(len(task.rows.word), bool)
    seen[task.places[shown]] = True
    return seen


class Networks(NamedTuple):
    """The networks of a process, for each thing that is left out."""

    checkpoints: dict[Left, list[Checkpoint]]
    """The untrained networks first."""
    shown: dict[Left, Bool[np.ndarray, "seed word"]]


def learn(run: runs.Run, task: Task, config: "Config", steps: int) -> Networks:
    """Networks of every kind and seed in one program; each draws the words that it is shown by their probabilities."""
    kinds: tuple[Left, ...] = get_args(Left)
    keys = jax.random.split(run.key("words left out"), config.seeds)
    shown: dict[Left, np.ndarray] = {left: np.stack([shown_words(key, task, left) for key in keys]) for left in kinds}
    sources = jnp.asarray(np.where(np.concatenate([*shown.values()]), np.log(task.chances), -np.inf), jnp.float32)
    budget = learning.Budget(steps, config.batch, config.rate, "muon", weight_decay=config.weight_decay)
    sizes = TransformerConfig(BOS + 1, task.rows.tokens.shape[1], config.layers, config.width, 2, 8, 4 * config.width)
    network: Network = Transformer(sizes)  # pyright: ignore[reportAssignmentType]
    training = learning.training(network, optimizer_of(budget), _drawn(task, config.batch), steps=CHUNK)
    key = jax.random.key(run.seed)
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    record = {"budget": repr(budget), "network": repr(sizes), "sources": identity(sources), "key": identity(key)}
    record |= {"process": identity(task.process), "code": code}
    folder = open_run(run.root / "networks" / f"extrapolation-{digest(record)}", record)
    plan = resumable.Plan(steps, CHUNK, config.batch * sizes.context, config.snapshots, len(sources))
    with run.stage("train"):
        resumable.train(folder, training, key, plan, sources)
        shots = [*resumable.snapshots(folder, training, key, plan, sources)]
    found: dict[Left, list[Checkpoint]] = {}
    for index, left in enumerate(kinds):
        part = slice(index * config.seeds, (index + 1) * config.seeds)
        own = lambda params, part=part: jax.tree.map(lambda leaf: leaf[part], params)
        found[left] = [Checkpoint(network, own(params), step * plan.tokens_per_step) for step, params in shots]
    return Networks(found, shown)


def _drawn(task: Task, batch: int) -> Callable[[PRNGKeyArray, Array], learning.Batch]:
    """Words by their probabilities, the exact laws after each prefix as targets."""
    laws = np.pad(task.rows.laws[task.places], ((0, 0), (0, 0), (0, 1)))
    laws, tokens = jnp.asarray(laws, jnp.float32), jnp.asarray(np.pad(task.rows.tokens, ((0, 0), (0, 1))))
    floor = jax.scipy.special.entr(laws).sum(-1).mean(1)

    def draw(key: PRNGKeyArray, log_chances: Array) -> learning.Batch:
        at = jax.random.categorical(key, log_chances, shape=(batch,))
        return learning.Batch(tokens[at], floor[at].mean(), laws=laws[at])

    return draw


def nothing(_: Mapping[str, Array]) -> dict[str, Array]:
    """No activations; a function with a name, so that reading is compiled once."""
    return {}


def layers(activations: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of all blocks side by side, and the input of the unembedding."""
    return {"layers": jnp.concatenate([*activations["resid_post"]], -1), "last": activations["final_norm"]}
