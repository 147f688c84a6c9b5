"""Observers of plain classes, however they hold their numbers, against the process that they stand for."""

import dataclasses
import types
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.processes.bos import with_bos
from beliefgeo.processes.end import with_end
from beliefgeo.processes.float64 import as_float64
from beliefgeo.processes.opaque import Opaque, as_pytree
from beliefgeo.reading import beliefs_after, rows_of
from tests import oracle

KEY = jax.random.key(2)
MATRICES = np.asarray(bg.mess3().transitions)  # float32
UNIFORM = np.full(3, 1 / 3)


class Table:
    """The forward algorithm on `self.matrices`, whatever these are."""

    def predict(self, belief):
        return jnp.einsum("i,xij->x", belief, jnp.asarray(self.matrices))

    def update(self, belief, token):
        joint = belief @ self.matrices[token]
        return joint / joint.sum()


class InNumpy(Table):
    def __init__(self, matrices=MATRICES):
        self.matrices, self.initial, self.name = matrices, UNIFORM, "mess3"


class InJax(Table):
    def __init__(self, matrices=MATRICES):
        self.matrices, self.initial = jnp.asarray(matrices), jnp.asarray(UNIFORM)


class InDict(Table):
    initial = [1 / 3, 1 / 3, 1 / 3]

    def __init__(self):
        self.fields = {"matrices": MATRICES, "order": 3, "names": ["a", "b", "c"]}

    @property
    def matrices(self):
        return self.fields["matrices"]


class Declared(bg.Observer):
    def __init__(self):
        self.matrices, self.names = MATRICES, np.array(["a", "b", "c"])

    @property
    def initial(self):
        return UNIFORM

    predict, update = Table.predict, Table.update


class Unhashable(InNumpy):
    def __eq__(self, other):
        return True


class KeepsForLater(InJax):
    @property
    def matrices(self):
        if not hasattr(self, "kept"):
            self.kept = jnp.roll(self.rolled, -1, 0)
        return self.kept

    def __init__(self):
        self.rolled, self.initial = jnp.roll(jnp.asarray(MATRICES), 1, 0), jnp.asarray(UNIFORM)


@dataclasses.dataclass
class Record(Table):
    matrices: np.ndarray
    initial: np.ndarray


@dataclasses.dataclass(frozen=True)
class Frozen(Table):
    matrices: np.ndarray
    initial: np.ndarray


@dataclasses.dataclass(slots=True)
class Slotted(Table):
    matrices: jax.Array
    initial: jax.Array


class Named(NamedTuple):
    matrices: np.ndarray
    initial: np.ndarray
    order: int = 3
    predict = Table.predict
    update = Table.update


class Permuted(eqx.Module):
    """A pytree with integers, booleans, a key, a Python number and a complex phase."""

    matrices: jax.Array
    initial: jax.Array
    order: jax.Array
    reverse: jax.Array
    key: jax.Array
    phase: jax.Array
    n_states: int
    half: float

    def predict(self, belief):
        return jnp.einsum("i,xij->x", belief, self.matrices)[self.order] * 2 * self.half

    def update(self, belief, token):
        chosen = jnp.where(self.reverse, self.matrices[self.order[token]], 0)
        joint = (belief @ chosen * (self.phase * self.phase.conj()).real).reshape(self.n_states)
        return joint / joint.sum()


class Wrapping:
    def __init__(self, process):
        self.process, self.initial = process, process.initial

    def predict(self, belief):
        return self.process.predict(belief)

    def update(self, belief, token):
        return self.process.update(belief, token)


def permuted():
    order = jnp.array([1, 0, 2])
    return Permuted(
        jnp.asarray(MATRICES)[order], jnp.asarray(UNIFORM), order, jnp.array(True), KEY, jnp.array(1j), 3, 0.5
    )


OBSERVERS = {
    "numpy": InNumpy,
    "jax": InJax,
    "dict": InDict,
    "declared": Declared,
    "unhashable": Unhashable,
    "keeps for later": KeepsForLater,
    "dataclass": lambda: Record(MATRICES, UNIFORM),
    "frozen dataclass": lambda: Frozen(MATRICES, UNIFORM.astype(np.float32)),
    "slotted dataclass": lambda: Slotted(jnp.asarray(MATRICES), jnp.asarray(UNIFORM)),
    "namedtuple": lambda: Named(MATRICES, UNIFORM),
    "module": permuted,
    "wrapping": lambda: Wrapping(bg.mess3()),
    "namespace": lambda: types.SimpleNamespace(
        initial=jnp.asarray(UNIFORM), predict=bg.mess3().predict, update=bg.mess3().update
    ),
}


@pytest.mark.parametrize("name", OBSERVERS)
def test_sampled_and_enumerated(name):
    observer, process = OBSERVERS[name](), bg.mess3()
    assert isinstance(observer, bg.Observer)
    drawn = bg.sample(KEY, observer, 6)
    np.testing.assert_allclose(drawn.beliefs, bg.filter_beliefs(process, drawn.tokens).beliefs, atol=1e-6)
    words, expected = bg.words(observer, 2), bg.words(process, 2)
    np.testing.assert_allclose(words.probabilities, expected.probabilities, rtol=1e-6)
    np.testing.assert_allclose(words.beliefs, expected.beliefs, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "numpy",
        pytest.param("dict", marks=pytest.mark.slow),
        "slotted dataclass",
        pytest.param("namedtuple", marks=pytest.mark.slow),
    ],
)
def test_whatever_a_process_can_do(name):
    observer, process = OBSERVERS[name](), bg.mess3()
    tokens = [0, 2, 2, 1]
    filtered = bg.filter_beliefs(process, tokens)
    np.testing.assert_allclose(bg.filter_beliefs(observer, tokens).beliefs, filtered.beliefs, atol=1e-6)
    words, expected = bg.words(observer, 2), bg.words(process, 2)
    np.testing.assert_allclose(bg.word_tree(observer, 2).probabilities, expected.probabilities, rtol=1e-5)
    expanded = bg.expand_beliefs(observer, UNIFORM[None])
    np.testing.assert_allclose(expanded.probabilities, 1 / 3, rtol=1e-6)
    presentation = bg.mixed_state_presentation(observer, 2)
    np.testing.assert_allclose(presentation.beliefs, bg.mixed_state_presentation(process, 2).beliefs, atol=1e-6)
    rows = rows_of(observer, words)
    np.testing.assert_allclose(rows.laws, rows_of(process, expected).laws, atol=1e-6)
    np.testing.assert_allclose(beliefs_after(observer, rows), rows.beliefs, atol=1e-7)


@pytest.mark.parametrize(
    "name",
    ["numpy", pytest.param("dict", marks=pytest.mark.slow), pytest.param("slotted dataclass", marks=pytest.mark.slow)],
)
def test_as_a_part_of_others(name):
    observer, process = OBSERVERS[name](), bg.mess3()
    for compose in (lambda one: with_bos(bg.product([one, bg.coin(0.3)])), lambda one: with_end(one, 0.2)):
        ours, theirs = compose(observer), compose(process)
        words = bg.words(ours, 2)
        np.testing.assert_allclose(words.probabilities, bg.words(theirs, 2).probabilities, rtol=1e-6)
        exact = np.log(words.probabilities[-1])
        np.testing.assert_allclose(bg.log_probability(ours, words.tokens[-1]), exact, rtol=1e-5)


def test_only_floats_are_widened():
    wide = as_float64(permuted())
    dtypes = {name: str(leaf.dtype) for name, leaf in vars(wide).items() if hasattr(leaf, "dtype")}
    assert dtypes == {
        "matrices": "float64",
        "initial": "float64",
        "order": "int32",
        "reverse": "bool",
        "key": "key<fry>",
        "phase": "complex128",
    }
    assert type(wide.n_states) is int and type(wide.half) is float
    # A plain class's tables are widened as a pytree's are, processes put right; NumPy's float64 lose nothing.
    inside = as_float64(Wrapping(bg.mess3())).instance().process
    np.testing.assert_allclose(np.asarray(inside.transitions).sum((0, 2)), 1, rtol=1e-15)
    matrices = np.full((2, 1, 1), 0.1) + [[[0.8]], [[0.0]]]
    assert np.asarray(as_float64(InNumpy(matrices)).instance().matrices)[1, 0, 0] == 0.1
    with pytest.raises(TypeError, match="a traced process cannot be enumerated in float64: call this outside jit"):
        jax.jit(lambda p: bg.words(bg.golden_mean(p), 2).probabilities)(0.5)


@pytest.mark.parametrize("kind", [InNumpy, InJax, lambda: Record(MATRICES, UNIFORM)])
def test_one_that_has_changed_is_read_again(kind):
    observer, tokens = kind(), [0, 0, 1]
    before = bg.log_probability(observer, tokens)
    np.testing.assert_allclose(before, bg.log_probability(bg.mess3(), tokens), rtol=1e-6)
    observer.matrices = bg.mess3(0.2, 0.5).transitions
    after = bg.log_probability(observer, tokens)
    np.testing.assert_allclose(after, bg.log_probability(bg.mess3(0.2, 0.5), tokens), rtol=1e-6)
    changed = np.array(MATRICES)
    observer.matrices = changed
    np.testing.assert_allclose(bg.log_probability(observer, tokens), before, rtol=1e-6)
    changed[:] = bg.mess3(0.2, 0.5).transitions  # in place
    np.testing.assert_allclose(bg.log_probability(observer, tokens), after, rtol=1e-6)


def test_one_that_has_not_is_compiled_once():
    traced = []

    class Counting(InNumpy):
        def update(self, belief, token):
            traced.append(1)
            return super().update(belief, token)

    observer = Counting()
    bg.filter_beliefs(observer, [0, 1])
    once = len(traced)
    bg.filter_beliefs(observer, [2, 1])
    assert len(traced) == once > 0
    assert as_pytree(InNumpy()) == as_pytree(InNumpy()) != as_pytree(InNumpy(MATRICES[::-1].copy()))
    assert as_pytree(InNumpy()) != as_pytree(Unhashable())


def test_gradients_and_batches_go_through():
    tokens = jnp.array([[0, 1, 1], [2, 2, 0]])
    coin = lambda p: InJax(jnp.array([[[p]], [[1 - p]]]))

    def surprise(p):
        observer = coin(p)
        observer.initial = jnp.ones(1)
        return bg.log_probability(observer, [0, 1, 1])

    np.testing.assert_allclose(jax.jit(jax.grad(surprise))(0.2), 1 / 0.2 - 2 / 0.8, rtol=1e-5)
    batched = jax.vmap(bg.log_probability, (None, 0))(InNumpy(), tokens)
    exact = [np.log(oracle.joint_probability(bg.mess3(), word)) for word in tokens.tolist()]
    np.testing.assert_allclose(batched, exact, rtol=1e-5)


def test_what_cannot_be_compiled():
    class Decides(InNumpy):
        def update(self, belief, token):
            return belief if token == 0 else belief[::-1]

    with pytest.raises(TypeError, match=r"Decides.update cannot be compiled: .* jax.numpy, its tables JAX arrays"):
        bg.filter_beliefs(Decides(), [0, 1])


def test_what_needs_no_change_stays():
    process = bg.product([bg.mess3(), bg.coin(0.3)])
    same = as_pytree(process)
    assert [a is b for a, b in zip(jax.tree.leaves(process), jax.tree.leaves(same), strict=True)] == [True] * 6
    opaque = as_pytree(InNumpy())
    assert isinstance(opaque, Opaque) and as_pytree(opaque) == opaque
    assert isinstance(as_pytree(bg.product([InNumpy()])).factors[0], Opaque)


def test_a_joint_of_its_own():
    class Composed(Wrapping):
        def joint(self):
            return self.process

    np.testing.assert_allclose(bg.entropy_rate(Composed(bg.golden_mean())), np.log(2) * 2 / 3, rtol=1e-6)
    np.testing.assert_array_equal(bg.relabel(Composed(bg.coin(0.25)), [1, 0]).transitions[:, 0, 0], [0.75, 0.25])
