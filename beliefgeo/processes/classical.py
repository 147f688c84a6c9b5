"""Classical hidden Markov processes of the literature; parameters may be traced and differentiated.

Entries are T^(token)[state, next_state]. Sources: Shai et al. 2405.15943 (mess3, rrxor, z1r), Marzen & Crutchfield
(sns), Crutchfield & Feldman (golden mean, even), Riechers et al. 2505.18373 (mr_name).
"""

from functools import partial
from operator import index

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, Number, as_floats, concrete, is_traced, require_between
from beliefgeo.processes.construct import hmm
from beliefgeo.processes.process import Process


def coin(p: Number = 0.5) -> Process:
    """Independent tosses: token 0 with probability p. One state.

    >>> coin(0.25).predict(jnp.ones(1)).tolist()
    [0.25, 0.75]
    """
    p = require_between("coin", "p", p, 0, 1)
    return hmm(jnp.array([[[p]], [[1 - p]]]))


def mess(x: Number = 0.05, alpha: Number = 0.85, n_states: int = 3) -> Process:
    """A sticky ring of `n_states` states whose *destination* state emits its own token with probability alpha.

    T^(o)[i, j] = M[i, j] E[j, o], M = 1 - (s-1)x on the diagonal and x off it, E = alpha on the diagonal and
    (1 - alpha)/(s-1) off it, s the number of states. T has the eigenvalue 1 - s x, s - 1 times.

    >>> mess(0.1, 0.9, 2).transitions.sum((0, 2)).round(4).tolist()
    [1.0, 1.0]
    """
    alpha = require_between("mess", "alpha", alpha, 0, 1)
    require_between("mess", "n_states", n_states, 2, float("inf"))
    x = require_between("mess", "x", x, 0, (1 + 2 * _rounding(x)) / (n_states - 1))  # 1/3 of float32 is above 1/3
    return _mess(x, alpha, n_states)


def mess3(x: Number = 0.05, alpha: Number = 0.85) -> Process:
    """The three-state process whose beliefs form a fractal.

    The parameters of papers: (x=.05, alpha=.85), the default, is that of Shai et al. 2405.15943 and of 2507.07432;
    (.15, .6) that of its second network, of 2502.01954 and of 2602.02385; (.15, .2), (.5, .2) and (.5, .6) are in
    2502.01954 besides. 2609.17376 writes Mess3(alpha, x): its (.01, .02) is x=.02, alpha=.01 here.

    >>> mess3().transitions[0, 0].round(5).tolist()
    [0.765, 0.00375, 0.00375]
    """
    x = require_between("mess3", "x", x, 0, 1 / 2)
    alpha = require_between("mess3", "alpha", alpha, 0, 1)
    return _mess(x, alpha, 3)


def _mess(x: Number, alpha: Number, n_states: int) -> Process:
    # The initial law is uniform by symmetry, also at x = 0, where the chain is reducible.
    stay = _rest((n_states - 1) * x)
    return hmm(_mess_transitions(x, stay, alpha, index(n_states)), jnp.full(n_states, 1 / n_states))


@partial(jax.jit, static_argnums=3)
def _mess_transitions(x: Number, stay: Number, alpha: Number, n_states: int) -> Array:
    same, x = jnp.eye(n_states, dtype=bool), as_floats(x)
    moves = jnp.where(same, as_floats(stay).astype(x.dtype), x)
    emissions = jnp.where(same, alpha, (1 - as_floats(alpha)) / (n_states - 1))
    return jnp.einsum("ij,jo->oij", moves, emissions)


def _rest(*shares: Number) -> Number:
    """1 - the sum of shares; exactly 0 if the shares sum to 1 within their rounding."""
    if is_traced(shares):
        rest = 1 - sum(map(as_floats, shares))
        nothing = rest <= _rounding(rest)
        return rest - jax.lax.stop_gradient(jnp.where(nothing, rest, 0))  # the derivative stays
    rest = float(1 - sum(np.asarray(share, np.float64) for share in shares))
    return rest if rest > max(map(_rounding, shares)) else 0.0


def _rounding(share: Number) -> float:
    """How far a number near 1 may be off in its precision; the precision of Python's floats is float64."""
    dtype = getattr(share, "dtype", np.dtype(float))
    return float(jnp.finfo(dtype).eps) / 2 if jnp.issubdtype(dtype, jnp.floating) else 0.0


def composite_mess3(xA: Number, aA: Number, xB: Number, aB: Number, eps: Number) -> Process:  # noqa: N803
    """Two Mess3 processes A and B, with a switch between them with probability eps at each token.

    >>> composite_mess3(0.05, 0.85, 0.15, 0.6, 0.01).n_states
    6
    """
    eps = require_between("composite_mess3", "eps", eps, 0, 1)
    a, b = mess3(xA, aA).transitions, mess3(xB, aB).transitions
    stay, leave = 1 - as_floats(eps), as_floats(eps)
    rows = [jnp.concatenate([stay * a, leave * a], 2), jnp.concatenate([leave * b, stay * b], 2)]
    # The switching is symmetric, so both blocks are equally likely, also at eps = 0.
    return hmm(jnp.concatenate(rows, 1), jnp.full(6, 1 / 6))


def rrxor(p1: Number = 0.5, p2: Number = 0.5) -> Process:
    """Random, random, exclusive or: every third token is the XOR of the two before it. States S, 0, 1, T, F.

    >>> rrxor().initial.round(4).tolist()
    [0.3333, 0.1667, 0.1667, 0.1667, 0.1667]
    """
    p1 = require_between("rrxor", "p1", p1, 0, 1)
    p2 = require_between("rrxor", "p2", p2, 0, 1)
    return hmm(_rrxor_transitions(p1, p2))


def _rrxor_transitions(p1: Number, p2: Number) -> Array:
    start, zero, one, true, false = range(5)
    p1, p2 = as_floats(p1), as_floats(p2)
    empty = jnp.zeros((2, 5, 5), jnp.result_type(p1, p2))
    moves = [
        (0, start, zero, p1), (1, start, one, 1 - p1),
        (0, zero, false, p2), (1, zero, true, 1 - p2),
        (0, one, true, p2), (1, one, false, 1 - p2),
        (0, false, start, 1.0), (1, true, start, 1.0),
    ]  # fmt: skip
    return _fill(empty, moves)


@jax.jit
def _fill(empty: Array, moves: list) -> Array:
    """`empty` with the entries (token, state, next_state, probability) written in."""
    token, state, next_state, probability = zip(*moves, strict=True)
    values = jnp.stack([jnp.asarray(p, empty.dtype) for p in probability])
    return empty.at[jnp.array(token), jnp.array(state), jnp.array(next_state)].add(values)


def leaky_rrxor(p1: Number, p2: Number, eps: Number) -> Process:
    """`rrxor` that with probability eps emits a uniform token and jumps to a uniform state.

    >>> round(float(leaky_rrxor(0.5, 0.5, 0.1).transitions.min()), 4)
    0.01
    """
    p1 = require_between("leaky_rrxor", "p1", p1, 0, 1)
    p2 = require_between("leaky_rrxor", "p2", p2, 0, 1)
    eps = require_between("leaky_rrxor", "eps", eps, 0, 1)
    return hmm((1 - as_floats(eps)) * _rrxor_transitions(p1, p2) + as_floats(eps) / 10)


def checksum(probs: ArrayLike) -> Process:
    """n random letters (row i of `probs [n, m]` is the law of letter i), then their sum modulo m, repeated.

    State 0 is the start; state 1 + (i-1)m + r holds the residue r after i letters. `checksum` of two fair bits is
    `rrxor` with other state names.

    >>> checksum([[0.5, 0.5], [0.5, 0.5]]).n_states
    5
    """
    laws = as_floats(probs)
    if laws.ndim != 2 or 0 in laws.shape:
        raise ValueError(f"checksum needs probs [letters, alphabet]; got shape {laws.shape}: a row for each letter")
    if (values := concrete(laws)) is not None:
        if not (values >= 0).all():
            raise ValueError(f"checksum needs probs of 0 or more; got {values.min():g}")
        if not (abs(values.sum(1) - 1) <= 1e-5).all():
            raise ValueError(
                f"checksum needs each row of probs to sum to 1; got sums {values.sum(1).round(6).tolist()}"
            )
    laws = laws / laws.sum(1, keepdims=True)
    n, m = laws.shape
    state = lambda i, r: 1 + (i - 1) * m + r % m if i else 0
    moves = [
        (a, state(i, r), state(i + 1, r + a), laws[i, a])
        for i in range(n) for r in range(m if i else 1) for a in range(m)
    ] + [(r, state(n, r), 0, 1.0) for r in range(m)]  # fmt: skip
    return hmm(_fill(jnp.zeros((m, n * m + 1, n * m + 1), laws.dtype), moves))


def z1r(p: Number = 0.5) -> Process:
    """Zero, one, random: the sequence 0 1 R 0 1 R ... with R = 1 with probability p.

    >>> z1r().predict(jnp.array([0.3, 0.1, 0.6])).round(4).tolist()
    [0.6, 0.4]
    """
    p = require_between("z1r", "p", p, 0, 1)
    return hmm(jnp.array([[[0, 1, 0], [0, 0, 0], [1 - p, 0, 0]], [[0, 0, 0], [0, 0, 1], [p, 0, 0]]]))


def cycle(n: int, p: Number = 0.5) -> Process:
    """A ring of n states: a state emits its own number, then moves one step up with probability p, else one step down.

    >>> cycle(4, 0.9).transitions[0, 0].round(4).tolist()
    [0.0, 0.9, 0.0, 0.1]
    """
    require_between("cycle", "n", n, 2, float("inf"))
    p = require_between("cycle", "p", p, 0, 1)
    moves = [(i, i, (i + 1) % n, p) for i in range(n)] + [(i, i, (i - 1) % n, 1 - as_floats(p)) for i in range(n)]
    return hmm(_fill(jnp.zeros((n, n, n)), moves), jnp.full(n, 1 / n))


def even(p: Number = 0.5) -> Process:
    """Runs of ones have even length.

    >>> even().initial.round(4).tolist()
    [0.6667, 0.3333]
    """
    p = require_between("even", "p", p, 0, 1)
    return hmm(jnp.array([[[1 - p, 0], [0, 0]], [[0, p], [1, 0]]]))


def golden_mean(p: Number = 0.5) -> Process:
    """No two ones in a row.

    >>> golden_mean().predict(jnp.array([0.0, 1.0])).tolist()
    [1.0, 0.0]
    """
    p = require_between("golden_mean", "p", p, 0, 1)
    return hmm(jnp.array([[[1 - p, 0], [1, 0]], [[0, p], [0, 0]]]))


def sns(p: Number = 0.5, q: Number = 0.5) -> Process:
    """The simple non-unifilar source: two states, countably many beliefs.

    >>> sns().transitions[1].tolist()
    [[0.0, 0.0], [0.5, 0.0]]
    """
    p = require_between("sns", "p", p, 0, 1)
    q = require_between("sns", "q", q, 0, 1)
    if (both := concrete(p + q)) is not None and both == 0:
        raise ValueError(
            "sns needs p > 0 or q > 0, else no state is ever left and the stationary law is not unique; got p=0, q=0"
        )
    return hmm(jnp.array([[[1 - p, p], [0, 1 - q]], [[0, 0], [q, 0]]]))


def mr_name(p: Number = 0.4, q: Number = 0.25) -> Process:
    """Sentences of "Mr. name" over Mr., Something, Blah, name = 0..3; the token is the destination state.

    >>> mr_name().transitions.sum(0)[1].round(4).tolist()
    [0.25, 0.35, 0.4, 0.0]
    """
    p = require_between("mr_name", "p", p, 0, 1)
    q = require_between("mr_name", "q", q, 0, 1)
    require_between("mr_name", "p + q", p + q, 0, 1)
    stay = _rest(p, q)
    moves = jnp.array([[0, 0, 0, 1], [q, stay, p, 0], [q, p, stay, 0], [0, 0.5, 0.5, 0]])
    # This law is stationary, also at q = 0, where nothing leaves Something and Blah, and at p = q = 0, where they part.
    initial = jnp.array([q, 0.5, 0.5, q]) / (1 + 2 * q)
    return hmm(jnp.einsum("ij,jx->xij", moves, jnp.eye(4, dtype=moves.dtype)), initial)


def matching_parens(open_probs: ArrayLike) -> Process:
    """Balanced parentheses: at depth d open (token 0) with probability o_d, else close (token 1).

    Args:
        open_probs: `[o_0, o_1, ...]` with o_0 = 1; at the depth after the last entry only closing is possible.

    >>> matching_parens([1.0, 0.5]).initial.round(4).tolist()
    [0.25, 0.5, 0.25]
    """
    opening = as_floats(open_probs)
    require_between("matching_parens", "open_probs", opening, 0, 1)
    if opening.ndim != 1 or not opening.size or ((values := concrete(opening)) is not None and values[0] != 1):
        raise ValueError(f"matching_parens needs open_probs [o_0, o_1, ...] with o_0 = 1; got {open_probs}")
    return hmm(jnp.stack([jnp.diag(opening, 1), jnp.diag(1 - jnp.append(opening[1:], 0), -1)]))


def days_of_week() -> Process:
    """Seven days and the words tomorrow, yesterday, weekend, weekday (tokens 7..10); the state is the day.

    >>> days_of_week().predict(jnp.eye(7)[0])[:3].round(4).tolist()
    [0.0667, 0.3333, 0.0667]
    """
    today = jnp.eye(7)
    tomorrow, yesterday = jnp.roll(today, 1, 1), jnp.roll(today, -1, 1)
    named = (today[:, None, :] * (1 + 4 * tomorrow.T[:, :, None])) / 15
    weekday = jnp.array([1.0, 1, 1, 1, 1, 0, 0])
    weekend = 1 - weekday
    others = [tomorrow, yesterday, jnp.tile(weekend / 2, (7, 1)), jnp.tile(weekday / 5, (7, 1))]
    return hmm(jnp.concatenate([named, jnp.stack(others) / 15]))


def random_hmm(key: PRNGKeyArray, n_states: int, vocab_size: int, concentration: Number = 1.0) -> Process:
    """Rows over (token, next_state) drawn from a symmetric Dirichlet law of the given concentration.

    Raises:
        ValueError: parameters out of range; a draw without a unique stationary law, which a concentration far below 1
            may give: take another key.

    >>> random_hmm(jax.random.key(0), 4, 2).transitions.shape
    (2, 4, 4)
    """
    require_between("random_hmm", "n_states", n_states, 1, float("inf"))
    require_between("random_hmm", "vocab_size", vocab_size, 1, float("inf"))
    require_between("random_hmm", "concentration", concentration, 1e-6, float("inf"))
    size = jnp.full(vocab_size * n_states, as_floats(concentration))
    rows = jax.random.dirichlet(key, size, (n_states,))
    return hmm(rows.reshape(n_states, vocab_size, n_states).swapaxes(0, 1))
