"""The optimisers that a budget names; any other optax transformation works too."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxprs_in_params
from optax.contrib import MuonDimensionNumbers, muon

from beliefgeo.learning.budget import Budget

# Muon is for matrices between layers. Tables of tokens and positions, and the unembedding, are no such matrices.
_TABLES = ("embed", "positions")

# The rate of all other parameters, in units of Muon's.
_OTHERS = 2 / 3


def optimizer_of(budget: Budget) -> optax.GradientTransformation:
    """The optimiser that `Budget.optimizer` names, with its schedule.

    Raises:
        ValueError: a weight decay for an optimiser that has none.
    """
    decay = budget.weight_decay
    if decay is not None and budget.optimizer not in ("adamw", "muon"):
        raise ValueError(f"weight_decay is for adamw and muon; got {decay} for {budget.optimizer}: leave it out")
    if budget.optimizer == "adamw":
        return optax.adamw(budget.learning_rate, weight_decay=1e-4 if decay is None else decay)
    if not follows_steps(budget):
        return {"adam": optax.adam, "sgd": optax.sgd}[budget.optimizer](budget.learning_rate)
    schedule = lambda peak: optax.warmup_cosine_decay_schedule(0, peak, budget.steps // 20, budget.steps)
    if budget.optimizer == "nadam":
        return optax.nadam(schedule(budget.learning_rate))
    return muon(
        schedule(budget.learning_rate),
        weight_decay=decay or 0.0,
        adam_learning_rate=schedule(_OTHERS * budget.learning_rate),
        muon_weight_dimension_numbers=_matrices,
        consistent_rms=0.2,
    )


def follows_steps(budget: Budget) -> bool:
    """Whether the schedule depends on the number of steps, so that a longer training cannot continue a shorter one."""
    return budget.optimizer in ("nadam", "muon")


def numbers_of(optimizer: optax.GradientTransformation, params: Any) -> list[float]:
    """The numbers in the optimiser's first state and its update: rates, decays, lengths of schedules.

    An optimiser is functions, which have no equality: by these numbers two of one name are told apart.

    >>> import jax.numpy as jnp
    >>> 0.25 in [abs(number) for number in numbers_of(optax.sgd(0.25), jnp.zeros(2))]
    True
    """
    state = jax.eval_shape(optimizer.init, params)
    programs = jax.make_jaxpr(optimizer.init)(params), jax.make_jaxpr(optimizer.update)(params, state, params)
    return [number for program in programs for number in _constants(program)]


def _constants(program: ClosedJaxpr) -> Iterator[float]:
    for held in program.consts:
        yield from _floats(held)
    yield from _literals(program.jaxpr)


def _literals(program: Jaxpr) -> Iterator[float]:
    for equation in program.eqns:
        for read in equation.invars:
            if isinstance(read, Literal):
                yield from _floats(read.val)
        yield from (float(value) for value in equation.params.values() if isinstance(value, int | float))
        for inner in jaxprs_in_params(equation.params):
            yield from _literals(inner)


def _floats(held: Any) -> list[float]:
    """The entries of an array or a number; of a random key its data, of complex numbers both parts."""
    if jnp.issubdtype(getattr(held, "dtype", float), jax.dtypes.prng_key):
        held = jax.random.key_data(held)
    parts = (np.real(held), np.imag(held)) if np.iscomplexobj(held) else (held,)
    return [float(number) for part in parts for number in np.ravel(np.asarray(part))]


def _matrices(params: Any) -> Any:
    """How Muon reads each array as a matrix, inputs by outputs; None for arrays that are none."""
    return jax.tree_util.tree_map_with_path(_matrix, params)


def _matrix(path: tuple, array: jax.Array) -> MuonDimensionNumbers | None:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    if any(table in name for table in _TABLES):
        return None
    if array.ndim == 2:
        return MuonDimensionNumbers(0, 1)
    if array.ndim == 3:  # heads: (width, head, head width) into them, (head, head width, width) out of them
        return MuonDimensionNumbers((0, 1), 2) if "output" in name else MuonDimensionNumbers(0, (1, 2))
    return None
