"""The exact loss around a network, its curvature, and what chains of every temperature find there."""

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import langevin
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from beliefgeo import reading
from beliefgeo.networks.network import Network
from beliefgeo.probes.controls import shuffle_prefixes
from beliefgeo.probes.held_out import held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.reading import Reading, Rows, Seeds

NBETAS = (1e2, 1e3, 1e4, 1e5)
# At these the plain steps of SGLD, which do not know the curvature, are stable: n beta times it is not far above gamma.
PLAIN = (1e3, 1e4)
# Moments of training: when the held-out R2 of the beliefs first reaches these.
LEVELS = (0.95, 0.99)

# Directions of less curvature than this share of the largest are rounding of float32.
_LEAST = 1e-6


class Prefixes(NamedTuple):
    """All prefixes, and what a network should predict after each.

    Attributes:
        tokens: The words.
        word: The word of each prefix.
        position: The last position of each prefix.
        laws: The exact law of the next token.
        weights: What each prefix counts in the loss a token.
    """

    tokens: Int[Array, "word time"]
    word: Int[Array, " row"]
    position: Int[Array, " row"]
    laws: Float[Array, "row token"]
    weights: Float[Array, " row"]


class Settings(NamedTuple):
    """How chains are run.

    Attributes:
        gamma: How strongly a chain is held at its network.
        step: The size of its steps, in units of the curvature.
        corrected: Whether Metropolis rejects steps.
        curved: Whether steps know the curvature; else this is plain SGLD.
    """

    gamma: Float[Array, ""] | float
    step: Float[Array, ""] | float
    corrected: Bool[Array, ""] | bool = True
    curved: Bool[Array, ""] | bool = True


class Found(NamedTuple):
    """What chains found around a network, and what a quadratic loss of the same curvature and slope would give.

    Attributes:
        chain: What the chains found, for each temperature.
        spread: Half the number of directions that the loss holds more strongly than gamma does, each by its share.
        drift: What the slope at the network adds: 0 at a minimum, else negative.
    """

    chain: langevin.Chain
    spread: Float[Array, " temperature"]
    drift: Float[Array, " temperature"]


def check(config: Any) -> None:
    """Raise ValueError for settings of which no chain can be made."""
    if any(not 0 < nbeta < np.inf for nbeta in config.nbetas) or list(config.nbetas) != sorted(set(config.nbetas)):
        raise ValueError(
            f"nbetas must be positive and grow; got {' '.join(f'{nbeta:g}' for nbeta in config.nbetas)}: for instance "
            "--nbetas 1e3 1e4"
        )
    for name, usual in (("gamma", 1000), ("step", 0.1)):
        if not 0 < getattr(config, name) < np.inf:
            raise ValueError(f"{name} must be positive; got {getattr(config, name):g}: for instance {usual}")
    if config.burn < 0 or config.draws < 2:
        raise ValueError(
            f"a chain needs burn of 0 or more and draws of 2 or more; got {config.burn} and {config.draws}: for "
            "instance 100 and 300"
        )


def prefixes(rows: Rows) -> Prefixes:
    """The prefixes of all words; their weights make the loss a mean over positions."""
    weights = rows.probabilities / rows.tokens.shape[1]
    reals = (jnp.asarray(array, jnp.float32) for array in (rows.laws, weights))
    return Prefixes(*(jnp.asarray(array) for array in (rows.tokens, rows.word, rows.position)), *reals)


def excess(network: Network, params: Any, every: Prefixes) -> Float[Array, ""]:
    """The exact loss above the optimum: sum of weight KL(law || network's law) over prefixes. Nats a token."""
    logits, _ = jax.vmap(network.apply, (None, 0))(params, every.tokens)
    log_laws = jax.nn.log_softmax(logits)[every.word, every.position]
    return every.weights @ optax.losses.kl_divergence(log_laws, every.laws)


def around(network: Network, params: Any, every: Prefixes) -> tuple[langevin.Around, Float[Array, " direction"]]:
    """The network as flat parameters, the curvature of the loss there (Gauss-Newton), and the slope along it.

    Where the network predicts the exact laws, this curvature is the Hessian of the loss and its Fisher information: at
    most (tokens - 1) directions a prefix.
    """
    flat, unravel = ravel_pytree(params)
    logits = lambda flat, tokens: network.apply(unravel(flat), tokens)[0]
    slopes = jax.vmap(jax.jacrev(logits), (None, 0))(flat, every.tokens)[every.word, every.position]
    laws = jax.nn.softmax(jax.vmap(logits, (None, 0))(flat, every.tokens))[every.word, every.position]
    # diag(q) - q q' = root root', root = diag(sqrt q) (1 - sqrt q sqrt q').
    half = jnp.sqrt(laws)
    root = half[:, :, None] * (jnp.eye(laws.shape[1])[None] - half[:, :, None] * half[:, None])
    factor = jnp.sqrt(every.weights)[:, None, None] * jnp.einsum("nij,nid->njd", root, slopes)
    factor = factor.reshape(-1, len(flat))
    curvatures, turns = jnp.linalg.eigh(factor @ factor.T)
    kept = curvatures > _LEAST * curvatures[-1]
    unit = turns.T @ factor / jnp.sqrt(jnp.where(kept, curvatures, 1))[:, None]
    here = langevin.Around(flat, jnp.where(kept[:, None], unit, 0), jnp.where(kept, curvatures, 0))
    slope = jnp.einsum("n,nv,nvd->d", every.weights, laws - every.laws, slopes)
    return here, here.directions @ slope


def quadratic(
    curvatures: Float[Array, " direction"],
    slopes: Float[Array, " direction"],
    nbeta: Float[Array, ""] | float,
    gamma: Float[Array, ""] | float,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(spread, drift) of n beta (mean L - L*) for L = L* + slopes x + curvatures x^2 / 2, in closed form.

    Per direction the density is Gaussian, of precision n beta f + gamma about -n beta g / (n beta f + gamma).
    """
    held = nbeta * curvatures + gamma
    mean = -nbeta * slopes / held
    return (nbeta * curvatures / held).sum() / 2, nbeta * (slopes * mean + curvatures * mean**2 / 2).sum()


@partial(jax.jit, static_argnames=("network", "burn", "draws"))
def coefficients(
    key: PRNGKeyArray,
    network: Network,
    params: Any,
    every: Prefixes,
    nbetas: Float[Array, " temperature"],
    settings: Settings,
    *,
    burn: int,
    draws: int,
) -> Found:
    """The chains of all temperatures around every network; params and results have seeds on the leading axis."""

    def of_network(key: PRNGKeyArray, params: Any) -> Found:
        here, slopes = around(network, params, every)
        _, unravel = ravel_pytree(params)
        loss = lambda flat: excess(network, unravel(flat), every)
        told = here._replace(curvatures=jnp.where(settings.curved, here.curvatures, 0))
        options = {"step": settings.step, "corrected": settings.corrected, "burn": burn, "draws": draws}
        chain = lambda key, nbeta: langevin.sample(key, loss, told, nbeta, settings.gamma, **options)
        theory = jax.vmap(lambda nbeta: quadratic(here.curvatures, slopes, nbeta, settings.gamma))(nbetas)
        return Found(jax.vmap(chain)(jax.random.split(key, len(nbetas)), nbetas), *theory)

    count = len(jax.tree.leaves(params)[0])
    return jax.vmap(of_network)(jax.random.split(key, count), params)


class Study(NamedTuple):
    """How chains are run around the networks of one training.

    Attributes:
        network: The network, without parameters.
        every: All prefixes.
        burn: The number of steps of a chain before the first draw.
        draws: The number of steps that count.
    """

    network: Network
    every: Prefixes
    burn: int
    draws: int

    def curve(
        self, key: PRNGKeyArray, params: Any, settings: Settings, nbetas: tuple[float, ...]
    ) -> dict[str, np.ndarray]:
        """What chains find around every network, `[seed, temperature]`."""
        lengths = {"burn": self.burn, "draws": self.draws}
        told = jax.tree.map(jnp.asarray, settings)
        found = coefficients(key, self.network, params, self.every, jnp.asarray(nbetas), told, **lengths)
        chain = found.chain
        arrays = {
            "coefficient": chain.coefficient,
            "quadratic": found.spread + found.drift,
            "spread": found.spread,
            "drift": found.drift,
            "acceptance": chain.acceptance,
            "second half": chain.halves[..., 1] - chain.halves[..., 0],
        }
        return {name: np.asarray(array, np.float64) for name, array in arrays.items()}

    def checks(self, key: PRNGKeyArray, params: Any, usual: Settings, nbetas: tuple[float, ...]) -> dict[str, dict]:
        """The curve of the same networks by other chains; under a hold c times as strong at c times n beta."""
        run = lambda settings, times=1.0: self.curve(key, params, settings, tuple(times * one for one in nbetas))
        found = {
            "steps half as long": run(usual._replace(step=usual.step / 2)),
            "never rejected": run(usual._replace(corrected=False)),
            "held a third as strongly": run(usual._replace(gamma=usual.gamma / 3), 1 / 3),
            "held three times as strongly": run(usual._replace(gamma=usual.gamma * 3), 3.0),
            "plain steps": run(usual._replace(curved=False)),
        }
        return {name: by_temperature(one, nbetas) for name, one in found.items()}


def by_temperature(found: dict[str, np.ndarray], nbetas: tuple[float, ...]) -> dict[str, dict[str, Seeds]]:
    """The same under the name of each n beta, with the ratio to the quadratic loss."""
    found = found | {"ratio": found["coefficient"] / found["quadratic"]}
    return {
        f"{nbeta:g}": {name: Seeds(array[:, index]) for name, array in found.items()}
        for index, nbeta in enumerate(nbetas)
    }


def growth(coefficients: np.ndarray, nbetas: tuple[float, ...]) -> dict[str, Seeds]:
    """d log coefficient / d log n beta from each temperature to the next, 0 on a plateau; `[seed, temperature]`."""
    with np.errstate(invalid="ignore"):  # below 0 there is no logarithm
        slopes = np.diff(np.log(coefficients), axis=1) / np.diff(np.log(nbetas))
    return {f"{low:g} to {high:g}": Seeds(slopes[:, index]) for index, (low, high) in enumerate(pairwise(nbetas))}


def moments(
    steps: list[int], geometry: dict[str, Seeds], path: dict[str, np.ndarray], nbetas: tuple[float, ...]
) -> dict[str, dict]:
    """Untrained, when R2 reaches each level if it does in every network, and trained: geometry and coefficients.

    Args:
        steps: the step of each snapshot.
        geometry: `[seed, snapshot]`.
        path: `[seed, snapshot, temperature]`.
        nbetas: the temperatures.
    """
    r2 = geometry["r2"].values
    last = np.full(len(r2), r2.shape[1] - 1)
    reached = {f"R2 {level}": r2 >= level for level in LEVELS}
    firsts = {name: above.argmax(1) for name, above in reached.items() if above.any(1).all()}
    values = {name: one.values for name, one in geometry.items()} | {
        "step": np.tile(np.array(steps, float), (len(r2), 1))
    }
    found = {}
    for moment, index in {"untrained": 0 * last, **firsts, "trained": last}.items():
        at = lambda array, index=index: array[np.arange(len(array)), index]
        chains = by_temperature({name: at(array) for name, array in path.items()}, nbetas)
        found[moment] = {name: Seeds(at(array)) for name, array in values.items()} | {"n beta": chains}
    return found


def geometry(network: Reading, rows: Rows, key: PRNGKeyArray) -> dict[str, float]:
    """The loss above the optimum; held-out R2 of the beliefs in the last layer, and of beliefs shuffled."""
    targets = np.stack([rows.beliefs, np.asarray(shuffle_prefixes(key, rows))])
    scores = cross_validated_r2(network.features["last"], targets, held_out_folds(rows), rows.counts)
    beliefs, shuffled = (float(score) for score in scores)
    return {"gap": reading.losses(network, rows).gap, "r2": beliefs, "shuffled": shuffled}


def last(activations: dict[str, Array]) -> dict[str, Array]:
    """The output of the last block."""
    return {"last": activations["resid_post"][-1]}
