"""Does a network hold dynamics: the process that its activations and its laws obey, read without knowing the process.

If points z(w), with z @ readout = 1, are linear in the beliefs after words w, then for every token x

    q(x | w) z(wx) = z(w) T^(x)

with one matrix for each token. `fit_projective` finds these matrices by least squares from a network's points and its
own laws q; they make a process, whose words can be compared with the words of the true process.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.least_squares import fit_probe, score_predictions
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.float64 import as_float64, epsilon, expand_float64
from beliefgeo.processes.process import Observer, Process
from beliefgeo.reading.losses import loss_gap
from beliefgeo.reading.rows import Rows

# Laws of a fitted process may leave the simplex; they are brought back to at least this before a logarithm.
_FLOOR = 1e-6


class Steps(NamedTuple):
    """R2 of predictions of the next points from the points before: rows whose parent is a row, by probability.

    Attributes:
        exact: By the exact map of the process, from the probed belief.
        projective: By the best map z T^(x) / (z T^(x) readout) for each token, fitted with the network's laws.
        affine: By the best affine map for each token.
        token: By the token alone.
    """

    exact: float
    projective: float
    affine: float
    token: float


def one_step(process: Observer, seen: ArrayLike, laws: ArrayLike, rows: Rows) -> Steps:
    """How well the belief probed after a prefix, and a token, tell the belief that is probed after both.

    A probed belief may lie outside the simplex, where the exact map has poles: it is clipped into the simplex first, if
    the process is an HMM.

    Args:
        process: gives the exact map.
        seen: `[row, state]`, the beliefs that a probe sees.
        laws: `[row, token]`, the network's own laws of the next token, as probabilities.
        rows: from `reading.rows`.

    >>> import beliefgeo as bg, jax
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(), 5)
    >>> steps = one_step(bg.mess3(), found.beliefs, found.laws, found)
    >>> round(steps.exact, 4), round(steps.projective, 4), bool(steps.affine < 0.99)
    (1.0, 1.0, True)
    """
    process, seen = require_process("one_step", process), np.asarray(seen, np.float64)
    child, parent, token = _moves(rows)
    weights, truth, before = rows.probabilities[child], seen[child], seen[parent]
    score = lambda guess: float(score_predictions(guess, truth, weights).r2)
    exact = expand_float64(as_float64(process), _in_simplex(process, before), epsilon(process))[0]
    maps = _fit_maps(seen, np.asarray(laws, np.float64), rows)
    moved = np.einsum("ri,rij->rj", before, maps[token])
    projective = moved / _away_from_zero(moved.sum(1, keepdims=True))
    affine, alone = np.empty_like(truth), np.empty_like(truth)
    for one in np.unique(token):
        of = token == one
        affine[of] = fit_probe(before[of], truth[of], weights[of], rcond=1e-6)(before[of])
        alone[of] = weights[of] @ truth[of] / weights[of].sum()
    return Steps(score(exact[np.arange(len(token)), token]), score(projective), score(affine), score(alone))


def rolled_out(process: Observer, seen: ArrayLike, rows: Rows, steps: int) -> float:
    """R2 of the belief that the exact map makes of a probed belief and the next `steps` tokens, against the probe then.

    Bayes' map contracts: a long rollout forgets where it began, and scores the same from any belief.

    Raises:
        ValueError: more steps than the words have, or fewer than 1.
    """
    process, seen = require_process("rolled_out", process), np.asarray(seen, np.float64)
    if not 1 <= steps <= (most := int(rows.length.max() - rows.length.min())):
        raise ValueError(f"steps must be from 1 to {most}, the tokens between prefixes; got {steps}")
    parent, last = rows.parent, rows.last_token
    begun, path = np.flatnonzero(rows.length >= rows.length.min() + steps), []
    ended = begun
    for _ in range(steps):
        path.append(last[begun])
        begun = parent[begun]
    wide, beliefs = as_float64(process), _in_simplex(process, seen[begun])
    for token in path[::-1]:
        beliefs = expand_float64(wide, beliefs, epsilon(process))[0][np.arange(len(token)), token]
    return float(score_predictions(beliefs, seen[ended], rows.probabilities[ended]).r2)


def fit_projective(points: ArrayLike, laws: ArrayLike, rows: Rows, *, readout: ArrayLike | None = None) -> Process:
    """The process whose matrices map points and laws after a prefix to those after the next token, by least squares.

    Minimises sum_w P(w) |q(x | w) z(wx) - z(w) T^(x)|^2 for each token x. The readout is fitted with the maps: since
    the laws sum to 1, so do the matrices of the process, sum_x T^(x) readout = readout, exactly. Improbable words
    of the process may have small negative probabilities.

    Args:
        points: z `[row, dimension]`, such as probed beliefs, or 1 and the network's own law (`law_points`).
        laws: q `[row, token]`, the network's own laws, as probabilities; given the tokens that the process can emit.
        rows: from `reading.rows`; every prefix but the longest needs its continuations.
        readout: `[dimension]`, z @ readout = 1; default ones, as for beliefs.

    Raises:
        ValueError: points of other rows, or points with z @ readout != 1.

    >>> import beliefgeo as bg, jax
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(), 5)
    >>> process = fit_projective(found.beliefs, found.laws, found)
    >>> bool(np.allclose(process.transitions, bg.mess3().transitions, atol=1e-5))
    True
    """
    points, laws = np.asarray(points, np.float64), np.asarray(laws, np.float64)
    readout = np.ones(points.shape[1]) if readout is None else np.asarray(readout, np.float64)
    if len(points) != len(rows.word) or abs(points @ readout - 1).max() > 1e-3:
        raise ValueError(
            f"points must be [row, dimension] for {len(rows.word)} prefixes, with points @ readout = 1; got shape "
            f"{points.shape}: beliefs sum to 1, and law_points begin with 1"
        )
    maps = _fit_maps(points, laws, rows)
    mean = maps.sum(0)
    values, vectors = np.linalg.eig(mean.T)
    stationary = np.real(vectors[:, abs(values - 1).argmin()])
    # Not `ghmm`, which refuses words of negative probability: what is read off a network has them at first.
    initial = stationary / (stationary @ readout)
    return Process(jnp.asarray(maps, float), jnp.asarray(initial, float), jnp.asarray(readout, float))


def law_points(laws: ArrayLike) -> Float[np.ndarray, "row token"]:
    """1 and the probabilities of all tokens but the last: points with the readout (1, 0, ..., 0)."""
    laws = np.asarray(laws, np.float64)
    return np.concatenate([np.ones((len(laws), 1)), laws[:, :-1]], 1)


def _fit_maps(points: np.ndarray, laws: np.ndarray, rows: Rows) -> Float[np.ndarray, "token dimension after"]:
    child, parent, token = _moves(rows)
    begun = np.unique(parent)
    root = np.sqrt(rows.probabilities[begun])[:, None]
    # A prefix that the process cannot emit has no row: the laws are taken given the tokens that lead to a row.
    given = laws[parent, token] / np.bincount(parent, laws[parent, token], len(points))[parent]
    after = np.zeros((rows.laws.shape[1], len(points), points.shape[1]))
    after[token, parent] = given[:, None] * points[child]
    # The same rows and weights for all tokens, so that the maps of all tokens add up.
    solve = lambda target: np.linalg.lstsq(root * points[begun], root * target[begun], rcond=1e-7)[0]
    return np.stack([solve(target) for target in after])


class Dynamics(NamedTuple):
    """A process read off a network, beside the true process.

    Attributes:
        divergence: KL from the true process to the process read, nats a token over the words of the rows.
        eigenvalues: Of the mean dynamics, largest modulus first.
        matrices: |T_read - T| / |T| in the coordinates of the beliefs; None where the dimensions differ.
    """

    divergence: float
    eigenvalues: Complex[np.ndarray, " dimension"]
    matrices: float | None


def compare_dynamics(process: Observer, read: Process, points: ArrayLike, rows: Rows) -> Dynamics:
    """Compare a process that was read off a network with the process that the network was trained on.

    Args:
        process: the true process.
        read: from `fit_projective`.
        points: the points that `read` was fitted to: they give the map to the coordinates of the beliefs.
        rows: the rows of the true process.

    >>> import beliefgeo as bg, jax
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(), 5)
    >>> points = law_points(found.laws)
    >>> read = fit_projective(points, found.laws, found, readout=[1.0, 0.0, 0.0])
    >>> dynamics = compare_dynamics(bg.mess3(), read, points, found)
    >>> bool(dynamics.divergence < 1e-6), dynamics.eigenvalues.real.round(3).tolist(), bool(dynamics.matrices < 1e-4)
    (True, [1.0, 0.85, 0.85], True)
    """
    process, points = require_process("compare_dynamics", process), np.asarray(points, np.float64)
    matrices = np.asarray(read.transitions, np.float64)
    values = np.linalg.eigvals(matrices.sum(0))
    true = np.asarray(process.transitions, np.float64)
    error = None
    if points.shape[1] == process.n_states:
        root = np.sqrt(rows.probabilities)[:, None]
        onto = np.linalg.lstsq(root * points, root * rows.beliefs, rcond=1e-7)[0]
        error = float(np.linalg.norm(np.linalg.pinv(onto) @ matrices @ onto - true) / np.linalg.norm(true))
    gap = loss_gap(rows, np.log(chained_laws(read, rows)))
    order = np.argsort(-abs(values).round(9), kind="stable")
    return Dynamics(float(gap.mean()), values[order].astype(complex), error)


def chained_laws(process: Process, rows: Rows) -> Float[np.ndarray, "row token"]:
    """The laws that a process predicts after each prefix, even where its numbers leave the simplex.

    A law is clipped to at least 1e-6 and normalised; a token of nearly no probability leads to the state that the
    clipped probability gives.
    """
    matrices, readout = np.asarray(process.transitions, np.float64), np.asarray(process.readout, np.float64)
    evidence = (matrices @ readout).T
    parent, token = rows.parent, rows.last_token
    start = np.asarray(process.initial, np.float64)
    states = np.tile(start, (len(rows.word), 1))
    for length in range(1, int(rows.length.max()) + 1):
        of = rows.length == length
        before = states[parent[of]] if length > rows.length.min() else np.tile(start, (of.sum(), 1))
        moved = np.einsum("ri,rij->rj", before, matrices[token[of]])
        states[of] = moved / _away_from_zero(moved @ readout)[:, None]
    laws = np.maximum(states @ evidence, _FLOOR)
    return laws / laws.sum(1, keepdims=True)


class OwnWords(NamedTuple):
    """The words that a network would write, beside the words of the process.

    Attributes:
        divergence: KL from the process to the network over the longest words, nats for each predicted token.
        total_variation: That of the laws of the longest words.
        impossible: The probability that the network gives to words that the process never emits.
    """

    divergence: float
    total_variation: float
    impossible: float


def own_words(log_laws: ArrayLike, rows: Rows) -> OwnWords:
    """Compare the words that a network writes, token by token from its own laws, with the words of the process.

    The first token comes from the process, because a network without a BOS does not predict it. The sums are exact.

    Args:
        log_laws: `[row, token]`, from `reading.read`.
        rows: all words of a length.

    Raises:
        ValueError: sampled words, which do not tell what the network gives to the words left out.

    >>> import beliefgeo as bg, jax
    >>> found = bg.reading.rows(jax.random.key(0), bg.golden_mean(), 3)
    >>> coin = own_words(np.log(np.full(found.laws.shape, 0.5)), found)
    >>> round(coin.impossible, 4), round(coin.total_variation, 4)
    (0.3333, 0.3333)
    """
    if rows.sampled:
        raise ValueError("own_words needs all words of a length; got sampled words: lower the context")
    laws, parent, token = np.asarray(log_laws, np.float64), rows.parent, rows.last_token
    chances = np.where(parent < 0, np.log(rows.probabilities), 0)
    for length in range(int(rows.length.min()) + 1, int(rows.length.max()) + 1):
        of = rows.length == length
        chances[of] = chances[parent[of]] + laws[parent[of], token[of]]
    last = rows.length == rows.length.max()
    true, written = rows.probabilities[last], np.exp(chances[last])
    missing = max(0.0, 1 - float(written.sum()))
    divergence = float(true @ (np.log(true) - chances[last])) / (int(rows.length.max()) - int(rows.length.min()))
    return OwnWords(divergence, float(abs(true - written).sum() + missing) / 2, missing)


def _moves(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose parent is a row, their parents and their last tokens."""
    parent = rows.parent
    child = np.flatnonzero(parent >= 0)
    return child, parent[child], rows.last_token[child]


def _in_simplex(process: Process, beliefs: np.ndarray) -> np.ndarray:
    if process.generalised:
        return beliefs
    positive = np.maximum(beliefs, 1e-9)
    return positive / positive.sum(1, keepdims=True)


def _away_from_zero(values: np.ndarray) -> np.ndarray:
    return np.where(abs(values) < _FLOOR, np.where(values < 0, -_FLOOR, _FLOOR), values)
