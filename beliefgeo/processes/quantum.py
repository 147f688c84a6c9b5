"""Quantum and post-quantum processes: generalised hidden Markov processes that few or no classical states generate.

Beliefs are Bloch vectors or vectors of no physical meaning; entries may be negative. Parameters may be traced and
differentiated. Sources: Riechers, Elliott, Shai 2507.07432 (all of them), Fanizza et al. 2209.11225 (frdn).
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex

from beliefgeo.arrays import ArrayLike, Number, as_floats, concrete, contract
from beliefgeo.processes.construct import ghmm
from beliefgeo.processes.process import Process


def bloch_walk(alpha: Number = 1.0, beta: Number = 51**0.5) -> Process:
    """A qubit that is weakly measured along z (tokens 0, 1) or along x (tokens 2, 3); beliefs are [1, b_x, b_z].

    The Kraus operators are (alpha I +- beta sigma) / (2 sqrt(alpha^2 + beta^2)) with sigma = sigma_z, sigma_x.

    Raises:
        ValueError: alpha and beta both 0.

    >>> bloch_walk(1.0, 3.0).transitions[0].round(4).tolist()
    [[0.25, 0.0, 0.15], [0.0, -0.2, 0.0], [0.15, 0.0, 0.25]]
    """
    a, b = as_floats(alpha), as_floats(beta)
    size = a**2 + b**2
    if (value := concrete(size)) is not None and not value > 0:
        raise ValueError(f"bloch_walk needs alpha and beta not both 0; got alpha={alpha}, beta={beta}")
    move, shrink = 2 * a * b / size, (a**2 - b**2) / size
    along_z = lambda m: [[1, 0, m], [0, shrink, 0], [m, 0, 1]]
    along_x = lambda m: [[1, m, 0], [m, 1, 0], [0, 0, shrink]]
    transitions = jnp.array([along_z(move), along_z(-move), along_x(move), along_x(-move)]) / 4
    # The stationary state is the centre of the disc, even if nothing is measured (beta = 0).
    return ghmm(transitions, initial=[1, 0, 0], readout=[1, 0, 0])


def frdn(alpha: Number = 2000.0, lam: Number = 0.49) -> Process:
    """A process of two tokens and four dimensions that no finite hidden Markov process generates.

    T^(0) = omega pi_0 is rank one: token 0 puts the belief at pi_0. T^(1) = lam diag(0, 1, Rotation(alpha)) turns it
    by alpha radians each time, along a spiral.

    Raises:
        ValueError: unless 0 < lam <= 1/2.

    >>> frdn().predict(frdn().initial).round(4).tolist()
    [0.4809, 0.5191]
    """
    if (value := concrete(lam)) is not None and not 0 < value <= 1 / 2:
        raise ValueError(f"frdn needs 0 < lam <= 1/2; got lam={lam}")
    lam, (cosine, sine) = as_floats(lam), _cosine_and_sine(alpha)
    size = 1 - 2 * lam * cosine + lam**2
    plus, minus = (1 - lam * cosine + lam * sine) / size, (1 - lam * cosine - lam * sine) / size
    decay = 1 / (2 * (1 - lam))
    omega = jnp.array([1, 1 - lam, 1 + lam * (sine - cosine), 1 - lam * (sine + cosine)])
    restart = jnp.array([1 - decay + (plus + minus) / 4, decay, -plus / 4, -minus / 4])
    turn = lam * jnp.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, cosine, -sine], [0, 0, sine, cosine]])
    return ghmm(jnp.stack([jnp.outer(omega, restart), turn]), readout=jnp.ones(4))


def _cosine_and_sine(angle: Number) -> tuple[Array, Array]:
    """The cosine and sine, in float64 if the angle is known now: float32 gives 2000 radians to within 1e-4 only."""
    if (value := concrete(angle)) is not None:
        return as_floats(np.cos(value)), as_floats(np.sin(value))
    return jnp.cos(as_floats(angle)), jnp.sin(as_floats(angle))


def moon(alpha: Number = math.e, beta: Number = 0.5) -> Process:
    """A post-quantum process: no quantum state of finite dimension generates it. Three tokens.

    T^(0) = nu (1,1,0)^T (1,-1,-1), T^(1) = nu D(alpha), T^(2) = nu D(beta) with D(a) = [[a,0,0], [0,1,0], [0,ln a,1]].
    A word 0 u 0 has weight r - 1 - ln r >= 0 where r = alpha^n beta^m, n and m the numbers of 1 and of 2 in u.

    Raises:
        ValueError: unless alpha > 1 > beta > 0.

    >>> moon().predict(moon().initial).round(4).tolist()
    [0.1143, 0.7543, 0.1315]
    """
    values = concrete(alpha), concrete(beta)
    if values[0] is not None and values[1] is not None and not values[0] > 1 > values[1] > 0:
        raise ValueError(f"moon needs alpha > 1 > beta > 0; got alpha={alpha}, beta={beta}")
    a, b = as_floats(alpha), as_floats(beta)
    restart = jnp.outer(jnp.array([1.0, 1, 0]), jnp.array([1.0, -1, -1]))
    drift = lambda rate: jnp.array([[rate, 0, 0], [0, 1, 0], [0, jnp.log(rate), 1]])
    transitions = jnp.stack([restart, drift(a), drift(b)])
    radius = abs(jnp.linalg.eigvals(transitions.sum(0))).max()
    # (radius - D) w = (1,1,0)^T, D = D(alpha) + D(beta), solved by hand; the radius exceeds both eigenvalues of D.
    across, along = 1 / (radius - a - b), 1 / (radius - 2)
    return ghmm(transitions / radius, readout=jnp.stack([across, along, jnp.log(a * b) * along**2]))


def quantum_rrxor(phi: Number, theta: Number = math.pi / 2) -> Process:
    """A qubit turned by phi about y, then measured along z at a strength set by theta; beliefs are [1, b_x, b_y, b_z].

    K_x = D_x R_y(phi), D_0 = diag(cos theta/2, -i sin theta/2), D_1 = diag(-i sin theta/2, cos theta/2).
    At theta = pi/2 the outcomes are a fair coin, at theta = 0 a projective measurement.

    >>> quantum_rrxor(0.5).predict(quantum_rrxor(0.5).initial).round(4).tolist()
    [0.5, 0.5]
    """
    half, quarter = as_floats(phi) / 2, as_floats(theta) / 2
    turn = jnp.array([[jnp.cos(half), -jnp.sin(half)], [jnp.sin(half), jnp.cos(half)]])
    pass_, flip = jnp.cos(quarter), -1j * jnp.sin(quarter)
    measure = jnp.array([[[pass_, 0], [0, flip]], [[flip, 0], [0, pass_]]])
    # K_0 K_0^+ + K_1 K_1^+ = I, so the mixed state is stationary, even if other states are too (phi = 0).
    return from_kraus(measure @ turn.astype(measure.dtype), initial=jnp.eye(2) / 2)


def from_kraus(operators: ArrayLike, initial: ArrayLike | None = None) -> Process:
    """Any quantum instrument, on Bloch vectors: when token x is seen, rho becomes sum_k K_xk rho K_xk^+.

    rho = sum_i b_i B_i with B_0 = I/d and B_1.. the generalised Gell-Mann matrices (sigma_x, sigma_y, sigma_z for a
    qubit) scaled so that pure states have |b_1..| = 1; T^(x)[i, j] = Re tr(B_j K_x B_i K_x^+) / tr(B_j^2).

    Args:
        operators: K, complex, `[token, d, d]`, or `[token, kraus, d, d]` if a token has several operators.
        initial: the density matrix `[d, d]` before the first token; default: the stationary density matrix.

    Raises:
        ValueError: (concrete values only) a wrong shape, sum K^+ K other than I, an initial matrix that is not a state,
            no initial matrix if the stationary matrix is not unique.

    >>> decay = from_kraus([[[1, 0], [0, 0.6]], [[0, 0.8], [0, 0]]])  # token 1: a jump to the ground state
    >>> decay.initial.round(4).tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    kraus = _as_kraus(operators)
    basis = _bloch_basis(kraus.shape[-1]).astype(kraus.dtype)
    dual = basis / contract("iab,iba->i", basis, basis)[:, None, None]
    transitions = contract("jab,xkbc,icd,xkad->xij", dual, kraus, basis, kraus.conj()).real
    readout = jnp.zeros(len(basis)).at[0].set(1)
    if initial is None:
        return ghmm(transitions, readout=readout)
    return ghmm(transitions, contract("iab,ba->i", dual, _as_state(initial, kraus)).real, readout)


def _as_kraus(operators: ArrayLike) -> Complex[Array, "token kraus d d"]:
    kraus = _as_complex(operators)
    kraus = kraus[:, None] if kraus.ndim == 3 else kraus
    if kraus.ndim != 4 or kraus.shape[2] != kraus.shape[3] or 0 in kraus.shape:
        raise ValueError(
            "from_kraus needs operators [token, d, d] or [token, kraus, d, d]; got shape "
            f"{jnp.shape(_as_complex(operators))}"
        )
    total = contract("xkba,xkbc->ac", kraus.conj(), kraus)
    if not isinstance(total, Tracer) and not (error := abs(np.asarray(total) - np.eye(len(total))).max()) <= 1e-5:
        raise ValueError(
            "from_kraus needs operators whose K^+ K sum to the identity over tokens and kraus; the sum differs from it "
            f"by {error:.2g}"
        )
    return kraus


def _as_state(initial: ArrayLike, kraus: Complex[Array, "token kraus d d"]) -> Complex[Array, "d d"]:
    state = _as_complex(initial).astype(kraus.dtype)
    if state.shape != kraus.shape[2:]:
        raise ValueError(f"initial must be a density matrix of shape {kraus.shape[2:]}; got shape {state.shape}")
    if not isinstance(state, Tracer):
        values = np.asarray(state, np.complex128)
        skew, lowest = abs(values - values.conj().T).max(), np.linalg.eigvalsh(values).min()
        if not (skew <= 1e-5 and lowest >= -1e-5 and abs(np.trace(values) - 1) <= 1e-5):
            raise ValueError(
                "initial must be a density matrix, Hermitian, of trace 1 and without negative eigenvalues; got trace "
                f"{np.trace(values).real:.6g}, lowest eigenvalue {lowest:.3g}, distance {skew:.2g} from its adjoint"
            )
    return state


def _as_complex(values: ArrayLike) -> Complex[Array, "..."]:
    array = jnp.asarray(values)
    return array.astype(jnp.result_type(array.dtype, jnp.complex64))


def _bloch_basis(d: int) -> Complex[Array, "basis d d"]:
    """I/d, then the symmetric, antisymmetric and diagonal generalised Gell-Mann matrices at Bloch scale."""
    unit = lambda i, j: np.eye(d)[:, i, None] * np.eye(d)[None, j]
    pairs = [(i, j) for i in range(d) for j in range(i + 1, d)]
    symmetric = [unit(i, j) + unit(j, i) for i, j in pairs]
    antisymmetric = [1j * (unit(j, i) - unit(i, j)) for i, j in pairs]
    steps = [np.diag([1.0] * n + [-n] + [0] * (d - n - 1)) * math.sqrt(2 / (n * (n + 1))) for n in range(1, d)]
    gell_mann = [math.sqrt((d - 1) / (2 * d)) * matrix for matrix in [*symmetric, *antisymmetric, *steps]]
    return jnp.asarray(np.stack([np.eye(d) / d, *gell_mann]) + 0j)
