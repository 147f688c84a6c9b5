"""Spectral learning: a generalised process from the singular vectors of the empirical Hankel matrix."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import stdtrit

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.beliefs.windows import check_sequences, window_codes
from beliefgeo.processes.process import Process, normalise, zero_below_rounding

_BLOCKS = 32  # half of the blocks choose the directions, the other half measure them
_ROUNDING = 1e-9  # smaller correlations come from rows that depend on each other; an eigenvalue this near 1 is 1

_Roots = tuple[Float[np.ndarray, " history"], Float[np.ndarray, " future"]]  # of the probabilities of each word


class SpectralModel(NamedTuple):
    """A generalised process learnt from data.

    Attributes:
        process: Its states are canonical variates: the first is the constant, `readout` = (1, 0, ..., 0), and the
            others are what the past tells of the future, in decreasing order of `correlations`.
        correlations: All the singular values.
        held_out: The singular values on data that did not choose the directions.
        held_out_errors: Their standard errors.
        most_negative: The least probability that the process gives to any word of history_length + future_length tokens
            or fewer: sampling error can bring it below 0, and nothing is clipped.
        spectral_radius: That of the mean dynamics: if it exceeds 1, predictions of the far future diverge.
        log_likelihood: ln P of the sample under `process`, in nats. It is -inf if the process gives a word of the
            sample, of any length, no positive probability: its probabilities of short words may still be good, but its
            beliefs along long sequences come to an end.
    """

    process: Process
    correlations: Float[np.ndarray, " direction"]
    held_out: Float[np.ndarray, " direction"]
    held_out_errors: Float[np.ndarray, " direction"]
    most_negative: float
    spectral_radius: float
    log_likelihood: float


def spectral_learn(
    tokens: ArrayLike, history_length: int, future_length: int, *, rank: int | None = None, significance: float = 1e-3
) -> SpectralModel:
    """The minimal linear model of a stationary process, classical or generalised, from a sample of it.

    With H[h, u] = P(h u) and H_x[h, u] = P(h x u) for histories h and futures u of fixed lengths, whitened by the
    marginals of H, W = D_h^-1/2 H D_u^-1/2 = U S V' and likewise W_x, the operators are T^(x) = S^-1 U' W_x V. The
    leading singular value is then 1, and its vectors are the roots of the marginals. So T w = w holds exactly, whatever
    the data, with w = (1, 0, ..., 0).

    The rank is the minimal linear dimension of the process, if the lengths suffice to see it. Even blocks of the data
    choose singular vectors u_i, v_i; each odd block measures c_i = u_i' W v_i. Beyond the true rank the mean of c_i is
    0 up to the product of two sampling errors, however the vectors were chosen, and its spread between blocks allows
    for overlapping windows. So the rank is the number of directions before the first direction whose c_i is not above 0
    in a one-sided t test at level `significance`.

    Args:
        tokens: integers from 0, one sequence `[time]` or several `[batch, time]`; or names, as `infer_causal_states`
            takes them, which the process keeps as `token_names`.
        history_length: the number of tokens of a history.
        future_length: the number of tokens of a future; both must be long enough for the Hankel matrix to have full
            rank (4 for `rrxor`).
        rank: the dimension, if it is known.
        significance: the chance of a dimension too many.

    Raises:
        TypeError: tokens that are neither integers nor names.
        ValueError: tokens that are not labels 0..V-1, too little data for the lengths, a rank beyond the rank of the
            Hankel matrix, more than one stationary law.

    Source: operators, Jaeger 2000 and Hsu, Kakade & Zhang 2012 (0811.4413); whitening as in the canonical
    correlations of past and future, Akaike 1975; the split as in cross-validated principal components, Stringer et
    al. 2019.

    >>> import jax
    >>> from beliefgeo.processes.classical import golden_mean
    >>> from beliefgeo.processes.sampling import sample
    >>> learnt = spectral_learn(sample(jax.random.key(0), golden_mean(0.5), 100_000).tokens, 2, 2)
    >>> learnt.process.n_states, learnt.correlations[:2].round(1).tolist()
    (2, [1.0, 0.5])
    """
    sequences, names = check_sequences(tokens)
    if history_length < 1 or future_length < 1 or not 0 < significance < 1:
        raise ValueError(
            "spectral_learn needs history_length >= 1, future_length >= 1 and 0 < significance < 1; got "
            f"{history_length}, {future_length} and {significance}"
        )
    windows = window_codes(sequences, history_length + 1 + future_length)
    windows = windows[windows >= 0]
    shape = tuple((int(sequences.max()) + 1) ** length for length in (history_length, 1, future_length))
    joint, gapped = _hankel(windows, shape)
    roots = np.sqrt(joint.sum(1)), np.sqrt(joint.sum(0))
    _require_data(roots, int((sequences >= 0).sum()), len(windows))
    left, correlations, right = _directions(_whiten(joint, roots), roots)
    held_out, errors = _held_out(windows, shape, roots)
    possible = correlations > _ROUNDING
    if rank is None:
        real = possible & (held_out > stdtrit(_BLOCKS // 2 - 1, 1 - significance) * errors)
        rank = int(np.cumprod(real).sum())
    elif not 1 <= rank <= possible.sum():
        raise ValueError(f"rank must lie in 1..{possible.sum()}, the rank of the empirical Hankel matrix; got {rank}")
    left, right = left[:, :rank] / correlations[:rank], right[:rank].T
    transitions = left.T @ _whiten(gapped, roots) @ right
    initial = _stationary(transitions.sum(0))
    process = Process(jnp.asarray(transitions), jnp.asarray(initial), jnp.eye(rank)[0], True, token_names=names)
    return SpectralModel(
        process,
        correlations,
        held_out,
        errors,
        _least_probability(transitions, initial, history_length + future_length),
        float(abs(np.linalg.eigvals(transitions.sum(0))).max()),
        float(np.asarray(_log_probabilities(process, jnp.asarray(sequences)), np.float64).sum()),
    )


def _hankel(windows: Int[np.ndarray, " window"], shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """P(h u) `[history, future]` and P(h x u) `[token, history, future]`, from the same windows.

    P(h u) comes from the first tokens of x u, so that both have the same P(h), which makes T w = w.
    """
    n_histories, vocab_size, n_futures = shape
    counts = np.bincount(windows, minlength=math.prod(shape)) / max(len(windows), 1)
    joint = counts.reshape(n_histories, n_futures, vocab_size).sum(-1)
    return joint, counts.reshape(shape).transpose(1, 0, 2)


def _whiten(joint: Float[np.ndarray, "*token history future"], roots: _Roots) -> np.ndarray:
    """D_h^-1/2 joint D_u^-1/2, and 0 for words that were never seen, which drops them."""
    past, future = (np.where(root > 0, 1 / np.where(root > 0, root, 1), 0) for root in roots)
    return past[:, None] * joint * future


def _directions(whitened: Float[np.ndarray, "history future"], roots: _Roots) -> tuple[np.ndarray, ...]:
    """Singular vectors and values, the constant first; it is known, and for a periodic process not alone at 1."""
    past, future = roots
    rest = whitened - np.outer(whitened @ future, past @ whitened)
    left, values, right = np.linalg.svd(rest, full_matrices=False)
    return np.column_stack([past, left[:, :-1]]), np.append(1, values[:-1]), np.vstack([future, right[:-1]])


def _held_out(windows: np.ndarray, shape: tuple[int, int, int], roots: _Roots) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of the even blocks' vectors measured on the odd blocks: mean and standard error."""
    blocks = np.array_split(windows, _BLOCKS)
    whitened = lambda block: _whiten(_hankel(block, shape)[0], roots)
    left, _, right = _directions(whitened(np.concatenate(blocks[::2])), roots)
    measured = np.array([np.einsum("hi,hu,iu->i", left, whitened(block), right) for block in blocks[1::2]])
    return measured.mean(0), measured.std(0, ddof=1) / math.sqrt(len(measured))


def _require_data(roots: _Roots, n_tokens: int, n_windows: int) -> None:
    n_histories, n_futures = (int((root > 0).sum()) for root in roots)
    if n_windows < max(n_histories * n_futures, _BLOCKS):
        raise ValueError(
            f"too little data for these lengths: {n_tokens:,} tokens have {n_windows:,} windows for {n_histories:,} "
            f"histories by {n_futures:,} futures, and one for each entry is needed: shorten them or give more tokens"
        )


def _stationary(total: Float[np.ndarray, "state state"]) -> Float[np.ndarray, " state"]:
    """The left unit eigenvector whose first entry is 1."""
    unit = int((abs(np.linalg.eigvals(total) - 1) < _ROUNDING).sum())
    if unit > 1:
        raise ValueError(
            f"the dynamics learnt have {unit} stationary laws: the data fall into parts that do not lead to each other "
            "(learn from each alone), or history_length and future_length are too short"
        )
    first = np.eye(len(total))[0]
    return np.linalg.solve((np.eye(len(total)) - total + np.outer(first, first)).T, first)


def _least_probability(transitions: np.ndarray, initial: np.ndarray, length: int) -> float:
    """The least probability of any word of 0..length tokens."""
    vectors, least = initial[None], 1.0
    for _ in range(length):
        vectors = np.einsum("ni,xij->nxj", vectors, transitions).reshape(-1, len(initial))
        least = min(least, float(vectors[:, 0].min()))
    return least


@jax.jit
def _log_probabilities(process: Process, sequences: Int[Array, "batch time"]) -> Float[Array, "batch time"]:
    """The terms of `log_probability`, -inf from a word without positive probability on, 0 after the end.

    Only the given token's probability is computed: the law of all tokens, which a filter computes, takes several times
    longer.
    """

    def step(belief, token):
        matrix = process.transitions[token]
        joint = contract("i,ij->j", belief, matrix)
        size = contract("i,ij,j->", abs(belief), abs(matrix), process.readout)
        probability = zero_below_rounding(contract("j,j->", joint, process.readout), size, process.n_states)
        return normalise(joint, probability), jnp.where(probability > 0, jnp.log(probability), -jnp.inf)

    terms = jax.vmap(lambda tokens: jax.lax.scan(step, process.initial, tokens)[1])(sequences)
    return jnp.where(sequences < 0, 0, terms)
