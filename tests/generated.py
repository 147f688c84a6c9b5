"""Random processes for generated tests: Hypothesis draws a recipe of a few numbers, NumPy builds the matrices.

So generation takes no time, shrinking is of the recipe, and a failing case prints as one line that rebuilds it.
"""

from typing import NamedTuple

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

import beliefgeo as bg

# (states, tokens). A compiled kernel is kept for each shape, so the shapes are few, simplest first: with shapes drawn
# freely nearly every case would compile its own, which takes a hundred times longer than running it.
SMALL = [(1, 1), (2, 2), (3, 3), (5, 2)]  # few enough words to enumerate
SHAPES = [*SMALL, (8, 7), (50, 2), (3, 100), (50, 100)]
GENERALISED = [(3, 3), (8, 2)]  # bg.ghmm checks all words of 8 tokens

KINDS = ["dense", "sparse", "reducible", "periodic", "deterministic", "tiny", "moore"]
KINDS += ["nearly decomposable", "nearly periodic", "transient", "unnormalised", "reviving"]
HALF = "half precision"  # whose process is float32 in every session
HALVES = [jnp.float16, jnp.bfloat16]
LENGTH = 24  # of every word, so that kernels compile once for each shape; shorter ones are its beginnings


class Model(NamedTuple):
    """A process in float64 NumPy. `basis`, of a generalised one, has as rows the HMM's states in its coordinates."""

    transitions: np.ndarray
    initial: np.ndarray
    basis: np.ndarray | None = None

    @property
    def readout(self) -> np.ndarray:
        """Of the HMM."""
        return np.ones(len(self.initial))


class Recipe(NamedTuple):
    kind: str
    shape: tuple[int, int]
    seed: int
    walk: str = "typical"

    def model(self) -> Model:
        rng = np.random.default_rng(self.seed)
        n_states, vocab_size = self.shape
        base = "sparse" if self.kind == "generalised" and self.seed % 2 else self.kind
        transitions = _BUILD.get(base, _dense)(rng, n_states, vocab_size)
        transitions = transitions / transitions.sum((0, 2))[:, None]
        initial = rng.dirichlet(np.ones(n_states)) * (rng.random(n_states) < rng.choice([0.3, 1]))
        initial = initial / initial.sum() if initial.any() else np.eye(n_states)[rng.integers(n_states)]
        if self.kind != "generalised":
            return Model(transitions, initial)
        rotation = np.linalg.qr(rng.normal(size=(n_states, n_states)))[0]
        return Model(transitions, initial, rotation * rng.uniform(0.5, 2, n_states))  # condition number at most 4

    def process(self) -> bg.Process:
        """The package's process, in the session's precision."""
        transitions, initial, basis = self.model()
        if self.kind == "moore":
            return bg.from_moore(initial, transitions.sum(0), transitions.sum(2).T)
        if self.kind == HALF:
            return bg.hmm(jnp.asarray(transitions, HALVES[self.seed % 2]), initial)
        if basis is None:  # whose rows and initial law may be off by as much as is accepted
            off = np.random.default_rng([self.seed, 2]).uniform(-9e-6, 9e-6, len(initial) + 1)
            off = off if self.kind == "unnormalised" else 0 * off
            return bg.hmm(transitions * (1 + off[:-1, None]), initial * (1 + off[-1]))
        # T' = B^-1 T B, b' = b B and w' = B^-1 1 give every word the same probability.
        inverse = np.linalg.inv(basis)
        return bg.ghmm(inverse @ transitions @ basis, initial @ basis, readout=inverse.sum(1))

    def word(self, length: int = LENGTH) -> np.ndarray:
        """A word along a hidden path (typical, or by edges equally likely however small), or of any tokens at all."""
        transitions, initial, _ = self.model()
        rng = np.random.default_rng([self.seed, 1])
        tokens = rng.integers(len(transitions), size=length)
        if self.walk == "any":
            return tokens
        weight = (lambda p: p) if self.walk == "typical" else (lambda p: p > 0)
        state = _draw(rng, weight(initial))
        for t in range(length):
            tokens[t], state = divmod(_draw(rng, weight(transitions[:, state])), len(initial))
        return tokens


class Cloud(NamedTuple):
    """Rows of features and targets with weights; `alive` are the features that vary."""

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    alive: np.ndarray


class CloudRecipe(NamedTuple):
    kind: str
    seed: int

    def cloud(self) -> Cloud:
        rng = np.random.default_rng(self.seed)
        features = rng.normal(size=(60, 5)) + rng.normal(size=5)
        targets = features @ rng.normal(size=(5, 2)) + rng.normal(size=(60, 2))
        alive = np.ones(5, bool)
        if self.kind == "dead features":
            alive[rng.permutation(5)[: rng.integers(1, 5)]] = False
            features = np.where(alive, features, rng.normal(size=5) * 10 ** rng.uniform(-3, 3, 5))
        if self.kind == "features in other units":
            features = features * 10 ** rng.uniform(-9, 9, 5)
        if self.kind == HALF:
            features = np.asarray(features, HALVES[self.seed % 2])
        return Cloud(features, targets, rng.uniform(0.1, 1, 60), alive)


def clouds():
    """A recipe of a cloud of any kind."""
    kinds = st.sampled_from(["plain", "dead features", "features in other units", HALF])
    return st.builds(CloudRecipe, kinds, st.integers(0, 2**32 - 1))


def recipes(kinds=KINDS, shapes=SHAPES):
    """A recipe of these kinds and shapes, simplest first."""
    walks = st.sampled_from(["typical", "improbable", "any"])
    return st.builds(Recipe, st.sampled_from(kinds), st.sampled_from(shapes), st.integers(0, 2**32 - 1), walks)


def key(recipe: Recipe) -> jax.Array:
    return jax.random.key(recipe.seed)


def _dense(rng, n_states, vocab_size):
    return rng.exponential(size=(vocab_size, n_states, n_states)) + 0.05


def _dyadic(rng, n_states, vocab_size):
    """Counts out of 256, which half precision holds exactly."""
    counts = rng.multinomial(256, rng.dirichlet(np.full(vocab_size * n_states, 0.3)), n_states)
    return counts.reshape(n_states, vocab_size, n_states).swapaxes(0, 1)


def _sparse(rng, n_states, vocab_size):
    """Few edges, at least one from each state: with dead ends for tokens, transient states and closed classes."""
    kept = rng.random((vocab_size, n_states, n_states)) < rng.choice([0.02, 0.1, 0.4])
    kept[rng.integers(vocab_size, size=n_states), np.arange(n_states), rng.integers(n_states, size=n_states)] = True
    return kept * _dense(rng, n_states, vocab_size)


def _reducible(rng, n_states, vocab_size):
    """Two sets of states that nothing leaves, and some from which both are reached."""
    block = rng.integers(0, 3, n_states)
    edges = (block[:, None] == block) | (block[:, None] == 2)
    return _dense(rng, n_states, vocab_size) * edges


def _periodic(rng, n_states, vocab_size):
    """Set after set of states in a cycle, tokens at will."""
    period = min(n_states, rng.integers(2, 5))
    phase = np.arange(n_states) % period
    return _dense(rng, n_states, vocab_size) * ((phase[:, None] + 1) % period == phase)


def _deterministic(rng, n_states, vocab_size):
    """From each state one edge of probability nearly 1."""
    transitions = _dense(rng, n_states, vocab_size) * 10 ** rng.uniform(-7, -1)
    edge = rng.integers(vocab_size, size=n_states), np.arange(n_states), rng.integers(n_states, size=n_states)
    transitions[edge] = n_states * vocab_size
    return transitions


def _tiny(rng, n_states, vocab_size):
    """Probabilities of every size down to 1e-30."""
    sizes = rng.uniform(-29, 0, (vocab_size, n_states, n_states))
    largest = sizes.transpose(1, 0, 2).reshape(n_states, -1).max(1)
    return 10 ** (sizes - largest[:, None]) * rng.uniform(0.1, 1, sizes.shape)


def _nearly_decomposable(rng, n_states, vocab_size):
    """Two sets of states between which it hardly ever moves."""
    block = np.arange(n_states) % 2
    rate = 10 ** rng.uniform(-12, -5)
    return _dense(rng, n_states, vocab_size) * np.where(block[:, None] == block, 1, rate)


def _nearly_periodic(rng, n_states, vocab_size):
    """A cycle of sets that slips hardly ever."""
    return _periodic(rng, n_states, vocab_size) + 10 ** rng.uniform(-12, -5) * _dense(rng, n_states, vocab_size)


def _transient(rng, n_states, vocab_size):
    """Half of the states are left for good, one after the other."""
    place = np.maximum(np.arange(n_states), n_states // 2)
    later = (place[:, None] < place) | (place[:, None] == place) & (place == n_states // 2)
    later |= (place[:, None] >= n_states // 2) & (place >= n_states // 2)
    return _dense(rng, n_states, vocab_size) * later


def _reviving(rng, n_states, vocab_size):
    """Components that nothing joins, which see the same tokens 1e5 to 1e9 times more or less often."""
    rates = 10 ** rng.uniform(-9, 0, (vocab_size, n_states))
    return rates[:, :, None] * np.eye(n_states)[None]


def _moore(rng, n_states, vocab_size):
    moves = rng.dirichlet(np.full(n_states, 0.5), n_states)
    emissions = rng.dirichlet(np.full(vocab_size, 0.5), n_states)
    return np.einsum("ix,ij->xij", emissions, moves)


_BUILD = {
    "dense": _dense,
    "sparse": _sparse,
    "reducible": _reducible,
    "periodic": _periodic,
    "deterministic": _deterministic,
    "tiny": _tiny,
    "moore": _moore,
    "nearly decomposable": _nearly_decomposable,
    "nearly periodic": _nearly_periodic,
    "transient": _transient,
    "reviving": _reviving,
    HALF: _dyadic,
}


def _draw(rng, weights) -> int:
    return int(rng.choice(weights.size, p=weights.ravel() / weights.sum()))
