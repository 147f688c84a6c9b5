"""Generators whose hidden states are known, and what theory says: the three-state model, and the ideal observer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from generator import Unroll, Unrolled
from jaxtyping import Array, Float, Int
from knowledge import entropy

import beliefgeo as bg

# What theory says, in the order of the table.
EXACT = ("three states", "three states, long words", "floor without feedback")


def exact(process: bg.Process, length: int) -> dict[str, float]:
    """What theory says of generators of this process, for words of this length. Nats a token.

    The three-state model has H(words) / length - H(token | state). Without feedback, tokens are independent given the
    hidden path, so that excess knowledge is I(word; hidden path) / length, at least the dual total correlation of the
    word, H(word) - sum_t H(X_t | all other tokens) (Han 1978): no generator without feedback is predictive.
    """
    truth = np.asarray(bg.word_tree(process, length).probabilities, np.float64)
    law = truth.reshape((process.vocab_size,) * length)
    others = [entropy(law) - entropy(law.sum(position)) for position in range(length)]
    emissions = np.asarray(state_form(process)[1], np.float64)
    chances = np.asarray(bg.stationary_distribution(process), np.float64)
    of_state = float(chances @ [entropy(row) for row in emissions])
    return {
        "three states": entropy(law) / length - of_state,
        "three states, long words": float(bg.entropy_rate(process)) - of_state,
        "floor without feedback": (entropy(law) - sum(others)) / length,
    }


def state_generator(process: bg.Process) -> tuple[Unroll, Any]:
    """The hidden Markov model as a generator, and its arrays: noise draws its state, and the state emits the token.

    Raises:
        ValueError: tokens that depend on more than the state they leave the process in.
    """
    moves, emissions = state_form(process)
    bounds = jnp.cumsum(jnp.concatenate([process.initial[None] @ moves, moves]), 1)

    def unroll(arrays: Any, noise: Float[Array, "time noise"]) -> Unrolled:
        bounds, log_emissions = arrays

        def step(row: Int[Array, ""], given: Float[Array, " noise"]) -> tuple[Array, Array]:
            state = jnp.minimum((jax.scipy.stats.norm.cdf(given[0]) > bounds[row]).sum(), len(log_emissions) - 1)
            return state + 1, state  # the first row of the bounds is the initial law

        _, states = jax.lax.scan(step, jnp.int32(0), noise)
        laws, places = log_emissions[states], jnp.eye(len(log_emissions))[states]
        return Unrolled(tuple(laws[:, None]), tuple(places[:, None]))

    return unroll, (bounds, jnp.log(emissions))


def observer_generator(process: bg.Process, length: int) -> tuple[Unroll, Any]:
    """The ideal observer as a generator, and its arrays: it reads its own tokens, holds the belief, needs no noise."""
    beliefs = [jnp.asarray(process.initial)[None]]
    for _ in range(length - 1):
        beliefs.append(bg.expand_beliefs(process, beliefs[-1]).beliefs.reshape(-1, process.n_states))
    laws = [jnp.log(bg.expand_beliefs(process, one).probabilities) for one in beliefs]
    return lambda arrays, noise: arrays, Unrolled(tuple(laws), tuple(beliefs))


def state_form(process: bg.Process) -> tuple[Float[Array, "state state"], Float[Array, "state vocab"]]:
    """Moves A and emissions B with T^(x)[i, j] = A[i, j] B[j, x]: the process moves, and the new state emits."""
    moves = process.transitions.sum(0)
    emissions = (process.transitions.sum(1) / moves.sum(0)[None]).T
    if not np.allclose(process.transitions, moves[None] * emissions.T[:, None], atol=1e-6):
        raise ValueError(
            "the new state must decide the law of the token, T^(x)[i, j] = A[i, j] B[j, x]; got a process where it "
            "does not: take one like mess3"
        )
    return moves, emissions


def mixtures(process: bg.Process, beliefs: Float[Array, "row state"]) -> Float[np.ndarray, "row state"]:
    """The next law as a mixture of the laws of the states: the belief about the state that will emit the token."""
    return np.asarray(beliefs, np.float64) @ np.asarray(state_form(process)[0], np.float64)
