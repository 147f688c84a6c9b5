"""Processes made of processes: mixed, with noise, relabelled, passed through a machine, or cut to a short memory.

Every function here gives a `Process`, which is classical if its parts are. A composition of processes, such as a
`product`, counts as its joint, which must fit in memory. Some compositions never build their joint; these are
observers of their own: `factored`, `factor_tree`, `noisy_product`, `conditional`, `time_varying`.
"""

import dataclasses
from collections.abc import Sequence
from itertools import islice

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import ArrayLike, Number, as_floats, concrete, contract, is_traced, require_between
from beliefgeo.processes.construct import ghmm, hmm
from beliefgeo.processes.factored import require_process, require_range
from beliefgeo.processes.float64 import as_float64, initial_float64
from beliefgeo.processes.process import Observer, Process
from beliefgeo.processes.stationary_law import stationary_distribution
from beliefgeo.processes.word_probabilities import allowed_words


def _assemble(transitions: Array, initial: Array | None, readout: Array, *, generalised: bool) -> Process:
    """A checked process; it is an HMM unless one of its parts is generalised."""
    return ghmm(transitions, initial, readout) if generalised else hmm(transitions, initial)


def mixture(
    processes: Sequence[Observer], weights: ArrayLike, vocabularies: Sequence[Sequence[int]] | None = None
) -> Process:
    """One process of several, chosen once at the start: component c with probability weights[c].

    Transitions are block-diagonal and the initial belief is the concatenation of weights[c] * initial_c, so the mass of
    a block of `beliefs` is the posterior of that component: `split_mixture` takes the blocks apart. A mixture is not
    ergodic: T has a unit eigenvalue for each component and no unique stationary law.

    Args:
        processes: the components: classical or generalised processes, or compositions of processes.
        weights: `[component]`, nonnegative, with a sum that is 1 within 1e-5; they are divided by their sum.
        vocabularies: for each component, the tokens of the mixture that its own tokens become. Default: the same
            numbers, if all components have as many tokens.

    Raises:
        TypeError: a component that is neither a process nor made of processes.
        ValueError: weights that are negative, do not sum to 1 or are not one per component; a vocabulary of the
            wrong length; components with different numbers of tokens and no vocabularies.

    >>> from beliefgeo.processes.classical import coin, mess3
    >>> mixture([coin(0.6), coin(0.2)], [0.5, 0.5]).predict(jnp.array([0.5, 0.5])).round(4).tolist()
    [0.4, 0.6]
    >>> mixture([coin(0.6), mess3()], [0.5, 0.5], [[0, 1], [2, 3, 1]]).vocab_size
    4
    """
    parts = [require_process(f"component {index} of mixture", process) for index, process in enumerate(processes)]
    shares, maps = _check_mixture(parts, weights, vocabularies)
    ends = np.cumsum([part.n_states for part in parts]).tolist()
    n_states, vocab_size = ends[-1], 1 + max(int(tokens.max()) for tokens in maps)
    transitions = jnp.zeros((vocab_size, n_states, n_states), jnp.result_type(*[part.transitions for part in parts]))
    for part, tokens, end in zip(parts, maps, ends, strict=True):
        block = slice(end - part.n_states, end)
        transitions = transitions.at[tokens, block, block].add(part.transitions)
    require_range("the initial belief of a mixture", [shares, jnp.concatenate([part.initial for part in parts])])
    initial = jnp.concatenate([share * part.initial for share, part in zip(shares, parts, strict=True)])
    readout = jnp.concatenate([part.readout for part in parts])
    return _assemble(transitions, initial, readout, generalised=any(part.generalised for part in parts))


def _check_mixture(
    processes: Sequence[Process], weights: ArrayLike, vocabularies: Sequence[Sequence[int]] | None
) -> tuple[Float[Array, " component"], list[np.ndarray]]:
    shares = as_floats(weights)
    if shares.shape != (len(processes),) or not len(processes):
        raise ValueError(f"mixture needs one weight per process ({len(processes)}); got shape {shares.shape}")
    if (values := concrete(shares)) is not None:
        if not (values >= 0).all():
            raise ValueError(f"mixture needs nonnegative weights; got {values.round(6).tolist()}")
        if not abs(values.sum() - 1) <= 1e-5:
            raise ValueError(f"mixture needs weights that sum to 1; got a sum of {values.sum():.6g}")
    shares = shares / shares.sum()
    if vocabularies is None:
        _require_one_vocabulary([process.vocab_size for process in processes])
        return shares, [np.arange(process.vocab_size) for process in processes]
    if len(vocabularies) != len(processes):
        raise ValueError(f"mixture needs one vocabulary per process ({len(processes)}); got {len(vocabularies)}")
    return shares, [
        _check_mapping(f"vocabulary {index} of mixture", mapping, process)
        for index, (mapping, process) in enumerate(zip(vocabularies, processes, strict=True))
    ]


def _require_one_vocabulary(sizes: Sequence[int]) -> None:
    if len(set(sizes)) > 1:
        same = ", ".join(f"range({size})" for size in sizes)
        raise ValueError(
            "mixture needs vocabularies where components have different numbers of tokens, else equal numbers would "
            f"stand for one token; got components of {', '.join(map(str, sizes))} tokens: pass vocabularies=[{same}] "
            "if equal numbers are the same token, or the tokens of the mixture that each token becomes"
        )


def _check_mapping(what: str, mapping: ArrayLike, process: Process) -> np.ndarray:
    tokens = np.asarray(mapping)
    if tokens.shape != (process.vocab_size,) or tokens.dtype.kind not in "iu" or (tokens < 0).any():
        raise ValueError(
            f"{what} must hold one new token, an integer of 0 or more, for each of the {process.vocab_size} tokens of "
            f"the process; got {mapping}"
        )
    return tokens


def noisy(process: Observer, eps: Number) -> Process:
    """With probability eps a uniform token replaces the true token: (1 - eps) T^(x) + eps/V sum_y T^(y).

    For independent factors `noisy_product` does the same without building their joint.

    Raises:
        TypeError: what is neither a process nor made of processes.
        ValueError: eps out of range.

    >>> from beliefgeo.processes.classical import coin
    >>> noisy(coin(0.9), 0.5).transitions.round(4).tolist()
    [[[0.7]], [[0.3]]]
    """
    require_between("noisy", "eps", eps, 0, 1)
    process = require_process("noisy", process)
    clean, any_token = process.transitions, process.transitions.mean(0, keepdims=True)
    require_range("noisy", [any_token, as_floats(eps)])
    transitions = (1 - as_floats(eps)) * clean + as_floats(eps) * any_token
    noised = _assemble(transitions, process.initial, process.readout, generalised=process.generalised)
    return dataclasses.replace(noised, state_names=process.state_names, token_names=process.token_names)


def relabel(process: Observer, mapping: ArrayLike) -> Process:
    """Token x becomes mapping[x]; tokens with the same image merge: T'^(y) = sum over mapping[x] = y of T^(x).

    Raises:
        TypeError: what is neither a process nor made of processes.
        ValueError: a mapping that is not one token, 0 or more, for each token of the process.

    >>> from beliefgeo.processes.classical import mess3
    >>> relabel(mess3(), [1, 0, 0]).predict(mess3().initial).round(4).tolist()
    [0.6667, 0.3333]
    """
    process = require_process("relabel", process)
    tokens = _check_mapping("mapping", mapping, process)
    empty = jnp.zeros((int(tokens.max()) + 1, process.n_states, process.n_states), process.transitions.dtype)
    transitions = empty.at[tokens].add(process.transitions)
    relabelled = _assemble(transitions, process.initial, process.readout, generalised=process.generalised)
    return dataclasses.replace(relabelled, state_names=process.state_names)


def transduce(process: Observer, machine: ArrayLike, initial: ArrayLike | None = None) -> Process:
    """The output of a machine with memory whose input is the process: T'^(y) = sum_x T^(x) (x) M^(y|x).

    The joint state (i, k) of process and machine is i * K + k.

    Args:
        process: the input.
        machine: M `[output, input, state, next_state]` = P(output, next_state | input, state). For each input and
            state the sum is 1 within 1e-5, and M is divided by it.
        initial: `[state]`, the law of the machine's state before the first token; default: the pair is stationary.

    Raises:
        TypeError: what is neither a process nor made of processes.
        ValueError: (concrete values only) a wrong shape; a negative entry; an input and state whose entries do not
            sum to 1; an initial law of the wrong length or sum; no initial law if the stationary law is not unique.

    >>> from beliefgeo.processes.classical import coin
    >>> erase = [[[[0.8]], [[0.0]]], [[[0.0]], [[0.8]]], [[[0.2]], [[0.2]]]]
    >>> transduce(coin(0.25), erase).predict(jnp.ones(1)).round(4).tolist()
    [0.2, 0.6, 0.2]
    """
    process, moves = require_process("transduce", process), as_floats(machine)
    _check_machine(moves, process.vocab_size)
    moves = moves / moves.sum((0, 3), keepdims=True)
    require_range("transduce", [process.transitions, moves])
    n_states = process.n_states * moves.shape[-1]
    transitions = contract("xij,yxkl->yikjl", process.transitions, moves).reshape(-1, n_states, n_states)
    start = None if initial is None else jnp.kron(process.initial, _check_law(initial, moves.shape[-1]))
    readout = jnp.repeat(process.readout, moves.shape[-1])
    return _assemble(transitions, start, readout, generalised=process.generalised)


def _check_machine(moves: Float[Array, "..."], vocab_size: int) -> None:
    if moves.ndim != 4 or moves.shape[1] != vocab_size or moves.shape[2] != moves.shape[3]:
        raise ValueError(
            f"machine must have shape [output, input, state, next_state] with {vocab_size} inputs, the tokens of the "
            f"process; got {moves.shape}"
        )
    if (values := concrete(moves)) is not None:
        if not (values >= 0).all():
            raise ValueError(f"machine must be nonnegative; got an entry {values.min():g}")
        sums = values.sum((0, 3))
        token, state = np.unravel_index(abs(sums - 1).argmax(), sums.shape)
        if abs(sums[token, state] - 1) > 1e-5:
            raise ValueError(
                "machine must sum to 1 over (output, next_state) for each input and state; "
                f"input {token}, state {state} sums to {sums[token, state]:.6g}"
            )


def _check_law(initial: ArrayLike, n_states: int) -> Float[Array, " state"]:
    law = as_floats(initial)
    if law.shape != (n_states,):
        raise ValueError(f"initial must have one entry per state of the machine ({n_states}); got shape {law.shape}")
    return law


def markov_approximation(process: Observer, order: int) -> Process:
    """The chain whose next token depends on the last `order` tokens only, as it does in the process on average.

    States are the allowed words u of that length in lexicographic order. State u moves to its last tokens followed by x
    with probability P(u x) / P(u). Words of up to order + 1 tokens keep their probabilities. The chain is stationary:
    it starts at the process's initial belief if that is invariant, else at the stationary belief. It is computed
    eagerly, in float64.

    Raises:
        TypeError: a traced process; what is neither a process nor made of processes.
        ValueError: a negative order; no unique stationary law, or a negative probability, in the process.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> markov_approximation(golden_mean(), 1).transitions.sum(0).round(4).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    if order < 0:
        raise ValueError(f"order must be 0 or more; got {order}")
    if is_traced(process):
        raise TypeError("markov_approximation enumerates words and cannot be traced: call it outside jit and grad")
    process = require_process("markov_approximation", process)
    pasts, longer = islice(allowed_words(_started_in_its_stationary_law(process)), order, order + 2)
    number = {tuple(word): index for index, word in enumerate(pasts.tokens.tolist())}
    transitions = np.zeros((process.vocab_size, len(number), len(number)))
    for word, probability in zip(longer.tokens.tolist(), longer.probabilities, strict=True):
        transitions[word[-1], number[tuple(word[:-1])], number[tuple(word[1:])]] = probability
    totals = transitions.sum((0, 2))
    chain = hmm(transitions / totals[:, None], totals / totals.sum())
    return dataclasses.replace(chain, token_names=process.token_names)


def _started_in_its_stationary_law(process: Process) -> Process:
    wide = as_float64(process)  # in float64 an initial law that was stationary up to rounding is stationary
    assert isinstance(wide, Process)
    initial = initial_float64(wide)
    if abs(initial @ np.asarray(wide.transitions).sum(0) - initial).max() <= 1e-12:
        return process
    return Process(process.transitions, stationary_distribution(process), process.readout, process.generalised)
