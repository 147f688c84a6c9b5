"""The inductive-bias probe: a little of another law is learnt, and the words not shown tell what a network took it for.

Vafa, Chang, Rambachan, Mullainathan 2507.06952. The new law is a function of the belief, of the last tokens, or of
neither. It is learnt from a few words, by the unembedding alone or by the whole network.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tasks
from jaxtyping import Array, Float, Int, PRNGKeyArray
from pairs import Pairs, distances, pairs_of
from tables import by_suffixes, explained, of_weight, suffix_groups, table
from tasks import Task

from beliefgeo import probes, reading
from beliefgeo.networks import Network
from beliefgeo.reading import Checkpoint, Seeds

if TYPE_CHECKING:
    from __main__ import Config

Of = Literal["belief", "last tokens", "neither"]
"""What the new law is a function of."""
Part = Literal["unembedding", "on all layers", "everything"]
"""What is trained: a new unembedding, on the last layer or on all blocks side by side; or the whole network."""
LAST = 3
"""The number of last tokens of a law that is a function of those."""
STEPS, HEAD_STEPS = 200, 500
RATE, HEAD_RATE = 1e-3, 3e-2


SHOWN = {"z1r": 4, "rrxor": 16}
"""How many words are shown, of 40 and 676 in the default context."""


class Lesson(NamedTuple):
    """New laws after all prefixes, the words that are shown, and the prefixes that are scored."""

    laws: Float[np.ndarray, "row token"]
    shown: Int[np.ndarray, " word"]
    scored: Float[np.ndarray, " row"]
    """The weights of the prefixes that were not shown, though their label was."""
    seen: Float[np.ndarray, " row"]
    """How many of the shown words share each prefix."""


def lesson(key: PRNGKeyArray, task: Task, of: Of, count: int) -> Lesson:
    """Draw the law of each label, uniformly, and the words that are shown.

    The prefixes that are scored are the same for each thing that the law is a function of, but for labels that were
    not shown.
    """
    drawn, words, shuffle = jax.random.split(key, 3)
    labels = {
        "belief": task.classes,
        "last tokens": [*suffix_groups(task.rows)][LAST],
        "neither": np.asarray(
            probes.shuffle_beliefs(shuffle, task.classes[:, None].astype(np.float32), task.rows.length)
        )[:, 0].astype(int),
    }[of]
    chance = np.asarray(jax.random.uniform(drawn, (labels.max() + 1,), minval=0.02, maxval=0.98), np.float64)
    laws = np.stack([chance, 1 - chance], 1)[labels]
    shown = np.asarray(jax.random.permutation(words, len(task.places)))[:count]
    seen = np.bincount(task.places[shown].ravel(), minlength=len(labels)).astype(float)
    met = np.isin(labels, labels[seen > 0])
    return Lesson(laws, shown, of_weight(task.rows.probabilities, met & (seen == 0)), seen)


@partial(jax.jit, static_argnums=0)
def learn_everything(apply: Any, params: Any, words: Array, tokens: Array, laws: Array) -> Float[Array, "word time _"]:
    """Train all params on the words of one lesson, all lessons one after the other; what is predicted on all tokens.

    Args:
        apply: the network's.
        params: leaves `[lesson, ...]`.
        words: `[lesson, word]`, those that are shown.
        tokens: `[word, time]`, all of them.
        laws: `[lesson, word, time, token]`, after the shown words.
    """
    optimizer = optax.adam(RATE)
    predict = lambda params, read: jax.vmap(lambda one: apply(params, one)[0])(read)

    def one(given: tuple) -> Array:
        params, shown, wanted = given
        loss = lambda params: optax.softmax_cross_entropy(predict(params, tokens[shown]), wanted).mean()

        def step(state: tuple, _: None) -> tuple[tuple, None]:
            changes, kept = optimizer.update(jax.grad(loss)(state[0]), state[1], state[0])
            return (optax.apply_updates(state[0], changes), kept), None

        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=STEPS)
        return jax.nn.log_softmax(predict(params, tokens))

    return jax.lax.map(one, (params, words, laws))


@jax.jit
def learn_unembedding(features: Array, shown: Array, laws: Array) -> Float[Array, "lesson row token"]:
    """Train a new unembedding on fixed features `[lesson, row, width]`, from zero; shown: `[lesson, place]`, rows."""
    optimizer = optax.adam(HEAD_RATE)

    def one(given: tuple) -> Array:
        features, shown, wanted = given
        read, told = features[shown], wanted[shown]
        logits = lambda head, features: features @ head[0] + head[1][None]
        loss = lambda head: optax.softmax_cross_entropy(logits(head, read), told).mean()

        def step(state: tuple, _: None) -> tuple[tuple, None]:
            changes, kept = optimizer.update(jax.grad(loss)(state[0]), state[1], state[0])
            return (optax.apply_updates(state[0], changes), kept), None

        head = jnp.zeros((features.shape[1], wanted.shape[1])), jnp.zeros(wanted.shape[1])
        (head, _), _ = jax.lax.scan(step, (head, optimizer.init(head)), length=HEAD_STEPS)
        return jax.nn.log_softmax(logits(head, features))

    return jax.lax.map(one, (features, shown, laws))


class Score(NamedTuple):
    """What a network says after words that were not shown."""

    explained: Any
    """R2 of the new law."""
    ratio: Any
    """Total variation within pairs of equal belief over that within matched pairs of unequal belief."""


def probe(run: Any, task: Task, nets: Mapping[str, Checkpoint], config: "Config", count: int) -> dict[str, Any]:
    """Every network, law and part that is trained; and tables of the shown words, which know what they are told.

    Args:
        run: gives the key.
        task: the process.
        nets: the networks by name.
        config: the number of draws of each law.
        count: the number of words that are shown.
    """
    pairs = pairs_of(task.rows, task.classes, int(task.rows.length.max()))
    found: dict[str, Any] = {"tables": {}, **{name: {} for name in nets}}
    features = {name: _features(task, net) for name, net in nets.items()}
    for of in get_args(Of):
        keys = jax.random.split(run.key(f"new laws of {of}"), config.draws)
        lessons = [lesson(key, task, of, count) for key in keys]
        found["tables"][of] = told([tabulated(task, one) for one in lessons])
        for name, net in nets.items():
            if of == "neither" and name != "trained":
                continue
            each = [(seed, one) for seed in range(config.seeds) for one in lessons]
            said: dict[Part, Array] = {
                "unembedding": _unembedding(task, features[name]["last"], each),
                "on all layers": _unembedding(task, features[name]["layers"], each),
                "everything": _everything(task, net.network, net.params, each),
            }
            found[name][of] = {
                part: _scores(task, pairs, np.exp(np.asarray(laws, np.float64)), each, config.seeds)
                for part, laws in said.items()
            }
    return found


def _features(task: Task, net: Checkpoint) -> dict[str, Float[Array, "seed row width"]]:
    read = [one.features for one in reading.readings(net, task.rows, tasks.layers)]
    return jax.tree.map(lambda *seeds: jnp.stack(seeds), *read)


def _unembedding(task: Task, features: Array, each: list[tuple[int, Lesson]]) -> Array:
    shown = np.stack([task.places[one.shown].ravel() for _, one in each])
    laws = jnp.stack([jnp.asarray(one.laws, jnp.float32) for _, one in each])
    return learn_unembedding(features[np.array([seed for seed, _ in each])], shown, laws)


def _everything(task: Task, network: Network, params: Any, each: list[tuple[int, Lesson]]) -> Array:
    seeds = np.array([seed for seed, _ in each])
    padded = [np.pad(one.laws[task.places[one.shown]], ((0, 0), (0, 0), (0, 1))) for _, one in each]
    words = np.stack([one.shown for _, one in each])
    of_lessons = jax.tree.map(lambda leaf: leaf[seeds], params)
    laws = learn_everything(
        network.apply, of_lessons, words, jnp.asarray(task.rows.tokens), jnp.asarray(np.stack(padded), jnp.float32)
    )
    return laws[:, task.rows.word, task.rows.position, :2]


def _scores(
    task: Task, pairs: Pairs, said: Float[np.ndarray, "lesson row token"], each: list[tuple[int, Lesson]], seeds: int
) -> Score:
    """The mean over the lessons of each seed."""
    found = []
    for laws, (_, one) in zip(said, each, strict=True):
        apart = distances(pairs.of(one.scored > 0), laws, task.rows.probabilities)
        found.append((explained(one.laws, laws, one.scored), apart.ratio))
    by_seed = np.array(found).reshape(seeds, -1, 2).mean(1)
    return Score(Seeds(by_seed[:, 0]), Seeds(by_seed[:, 1]))


def tabulated(task: Task, one: Lesson) -> dict[str, float]:
    """What tables of the shown words explain: by the belief, by the law of the next token, by the last tokens."""
    mean = np.broadcast_to(one.seen @ one.laws / one.seen.sum(), one.laws.shape)
    law = np.unique(task.rows.laws.round(9), axis=0, return_inverse=True)[1]
    tables = {"belief": table(task.classes, one.laws, one.seen, mean), "next law": table(law, one.laws, one.seen, mean)}
    suffixes = by_suffixes(task.rows, one.laws, one.seen)
    tables |= {f"last {age}": guess for age, guess in enumerate(suffixes)}
    return {name: explained(one.laws, guess, one.scored) for name, guess in tables.items()}


def told(each: list[dict[str, float]]) -> dict[str, float]:
    """The mean over draws; of the last tokens the number that does best."""
    mean = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    last = {name: score for name, score in mean.items() if name.startswith("last")}
    return {"belief": mean["belief"], "next law": mean["next law"], "last tokens": max(last.values())}
