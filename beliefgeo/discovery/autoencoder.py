"""Top-k sparse autoencoders: activations as sums of a few directions out of many.

An activation x is coded and rebuilt as

    codes = top_k((x - bias) @ encoder + offset),        x ~ codes @ decoder + bias,

where top_k keeps the k largest entries and sets the others to 0. Rows of the decoder have length 1, so a code has the
unit of the activations.
Source: Makhzani & Frey, "k-sparse autoencoders" (1312.5663); Gao et al. 2024, "Scaling and evaluating sparse
autoencoders" (2406.04093).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.probes.weighted import as_reals, check_weights

# Activations that vary by less than this fraction of their mean are known no better in float32.
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
# The noise of the directions at the start, in standard deviations of the activations.
_NOISE = 1e-3


class SparseAutoencoder(eqx.Module):
    """A fitted autoencoder, in the unit of the activations.

    Attributes:
        encoder: What each latent reads.
        offset: What is added to each latent.
        decoder: Directions of length 1.
        bias: The activations where no latent is active.
        active: The number of latents that are kept in every row, the largest; where all are negative, a code may be
            negative.
        unexplained: The fraction of the weighted variance of the activations that the reconstruction leaves.
    """

    encoder: Float[Array, "width latent"]
    offset: Float[Array, " latent"]
    decoder: Float[Array, "latent width"]
    bias: Float[Array, " width"]
    active: int = eqx.field(static=True)
    unexplained: float

    def encode(self, activations: ArrayLike) -> Float[Array, "row latent"]:
        """The codes of activations `[row, width]`, at most `active` of them not 0 in each row.

        Raises:
            ValueError: activations of another width.
        """
        rows = jnp.asarray(as_reals("activations", activations), self.encoder.dtype)
        if rows.ndim != 2 or rows.shape[1] != len(self.bias):
            raise ValueError(f"activations must be [row, width] of width {len(self.bias)}; got shape {rows.shape}")
        return _encode(_Weights(self.encoder, self.offset, self.decoder, self.bias), rows, self.active)

    def decode(self, codes: ArrayLike) -> Float[Array, "row width"]:
        """What codes `[row, latent]` stand for, the bias included; with codes set to 0, the part of the others.

        Raises:
            ValueError: codes of another number of latents.
        """
        rows = jnp.asarray(as_reals("codes", codes), self.decoder.dtype)
        if rows.ndim != 2 or rows.shape[1] != len(self.decoder):
            raise ValueError(f"codes must be [row, latent] of {len(self.decoder)} latents; got shape {rows.shape}")
        return contract("rl,lw->rw", rows, self.decoder) + self.bias[None]


class _Weights(NamedTuple):
    encoder: Float[Array, "width latent"]
    offset: Float[Array, " latent"]
    decoder: Float[Array, "latent width"]
    bias: Float[Array, " width"]


def fit_sparse_autoencoder(
    key: PRNGKeyArray,
    activations: ArrayLike,
    latents: int,
    active: int,
    *,
    weights: ArrayLike | None = None,
    steps: int = 2000,
    learning_rate: float = 1e-2,
    batch: int = 256,
) -> SparseAutoencoder:
    """Fit a sparse autoencoder by Adam; see `fit_sparse_autoencoders`, which fits several at once.

    >>> corners = np.repeat(np.eye(3), 20, 0)
    >>> found = fit_sparse_autoencoder(jax.random.key(0), corners, 6, 1, steps=500)
    >>> found.unexplained < 1e-3, (found.encode(corners) != 0).sum(1).max().item()
    (True, 1)
    """
    options = {"weights": weights, "steps": steps, "learning_rate": learning_rate, "batch": batch}
    return fit_sparse_autoencoders(key, activations, [latents], active, seeds=1, **options)[latents][0]


def fit_sparse_autoencoders(
    key: PRNGKeyArray,
    activations: ArrayLike,
    latents: Sequence[int],
    active: int,
    *,
    seeds: int,
    weights: ArrayLike | None = None,
    steps: int = 2000,
    learning_rate: float = 1e-2,
    batch: int = 256,
) -> dict[int, list[SparseAutoencoder]]:
    """Fit autoencoders of several sizes from several random starts, side by side in one program.

    A smaller autoencoder is the largest one with its last latents masked: it is what it would be alone, because every
    latent starts from a draw of its own and all sizes see the same rows. Each decoder direction starts as the
    difference of a drawn row from the mean, and the encoder as its transpose: then few latents stay silent. The loss is
    the mean squared error of rows drawn by their weights, with activations divided by one scale, the root of their
    variance, so that learning rates fit any activations. Adam warms up over a twentieth of the steps and decays along a
    cosine to 0. Computed in float32.

    Args:
        key: draws the starts and the rows; seed s folds s into it.
        activations: `[row, width]`.
        latents: the sizes.
        active: the number of latents that are not 0.
        seeds: the number of random starts of each size.
        weights: `[row]`, how much each row counts; default equal.
        steps: the number of steps.
        learning_rate: the peak learning rate of Adam.
        batch: the number of rows in a step.

    Returns:
        The autoencoders of each size, a list over seeds.

    Raises:
        ValueError: activations that are not finite or do not vary; no sizes; a size below `active`; counts below 1;
            a learning rate of 0 or less.
    """
    rows, shares = _check_rows(activations, weights)
    _check_sizes(latents, active, {"seeds": seeds, "steps": steps, "batch": batch}, learning_rate)
    mean = shares @ rows
    variance = float(shares @ ((rows - mean) ** 2).sum(1))
    if np.sqrt(variance) <= _ROUNDING * np.sqrt((mean**2).sum()):
        raise ValueError("activations must vary; got the same in every row: there is nothing to code")
    scale = np.sqrt(variance)
    places = lambda shape: lambda one: jax.random.uniform(one, shape, jnp.float32)
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(seeds))
    by_latent = jax.vmap(lambda one: jax.vmap(partial(jax.random.fold_in, one))(jnp.arange(max(latents))))(keys)
    starts = _rows_at(jax.vmap(jax.vmap(places(())))(by_latent), shares)
    drawn = _rows_at(jax.vmap(places((steps, batch)))(keys), shares)
    fitted = _fit_all(
        by_latent,
        jnp.asarray((rows - mean) / scale, jnp.float32),
        starts,
        drawn,
        jnp.stack([jnp.arange(max(latents)) < size for size in latents]),
        jnp.float32(learning_rate),
        active,
    )

    def record(number: int, seed: int) -> SparseAutoencoder:
        own, size = jax.tree.map(lambda leaf: np.asarray(leaf[number, seed]), fitted), latents[number]
        bias = jnp.asarray(mean + scale * own.bias, jnp.float32)
        encoder, decoder = jnp.asarray(own.encoder[:, :size]), jnp.asarray(own.decoder[:size])
        offset = jnp.asarray(scale * own.offset[:size], jnp.float32)
        found = SparseAutoencoder(encoder, offset, decoder, bias, active, 0.0)
        left = rows - np.asarray(found.decode(found.encode(rows)))
        return dataclasses.replace(found, unexplained=float(shares @ (left**2).sum(1)) / variance)

    return {size: [record(number, seed) for seed in range(seeds)] for number, size in enumerate(latents)}


def _rows_at(places: Float[Array, "..."], shares: Float[np.ndarray, " row"]) -> Int[Array, "..."]:
    """The row at each place of the line from 0 to 1, on which every row has its share."""
    drawn = np.searchsorted(np.cumsum(shares), np.asarray(places, np.float64), "right")
    return jnp.asarray(np.minimum(drawn, len(shares) - 1), jnp.int32)


@partial(jax.jit, static_argnames="active")
def _fit_all(
    keys: Key[Array, "seed latent"],
    rows: Float[Array, "row width"],
    starts: Int[Array, "seed latent"],
    drawn: Int[Array, "seed step batch"],
    masks: Bool[Array, "size latent"],
    rate: Float[Array, ""],
    active: int,
) -> _Weights:
    """The weights of all sizes and seeds, `[size, seed, ...]`."""
    one = partial(_fit, active=active)
    over_seeds = jax.vmap(one, (0, None, 0, 0, None, None))
    return jax.vmap(over_seeds, (None, None, None, None, 0, None))(keys, rows, starts, drawn, masks, rate)


def _fit(
    keys: Key[Array, " latent"],
    rows: Float[Array, "row width"],
    start: Int[Array, " latent"],
    drawn: Int[Array, "step batch"],
    mask: Bool[Array, " latent"],
    rate: Float[Array, ""],
    active: int,
) -> _Weights:
    noise = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, 1), rows.shape[1:], jnp.float32))(keys)
    # The noise keeps latents apart that start from one row, and gives a direction to a row that is the mean.
    directions = _unit(rows[start] + _NOISE * noise)
    first = _Weights(directions.T, jnp.zeros(len(start)), directions, jnp.zeros(rows.shape[1]))
    first = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), first)
    steps = len(drawn)
    optimizer = optax.adam(lambda step: rate * optax.warmup_cosine_decay_schedule(0, 1, steps // 20, steps)(step))

    def lost(weights: _Weights, some: Float[Array, "row width"]) -> Float[Array, ""]:
        codes = _encode(weights, some, active, mask)
        return ((some - codes @ weights.decoder - weights.bias[None]) ** 2).sum(1).mean()

    def step(state: tuple, some: Int[Array, " batch"]) -> tuple:
        weights, moments = state
        changes, moments = optimizer.update(jax.grad(lost)(weights, rows[some]), moments, weights)
        moved: Any = optax.apply_updates(weights, changes)
        return (moved._replace(decoder=_unit(moved.decoder)), moments), None

    return jax.lax.scan(step, (first, optimizer.init(first)), drawn)[0][0]


def _encode(
    weights: _Weights, rows: Float[Array, "row width"], active: int, mask: Bool[Array, " latent"] | None = None
) -> Float[Array, "row latent"]:
    seen = contract("rw,wl->rl", rows - weights.bias[None], weights.encoder) + weights.offset[None]
    largest, where = jax.lax.top_k(seen if mask is None else jnp.where(mask[None], seen, -jnp.inf), active)
    return jnp.zeros_like(seen).at[jnp.arange(len(rows))[:, None], where].set(largest)


def _unit(vectors: Float[Array, "latent width"]) -> Float[Array, "latent width"]:
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def _check_rows(
    activations: ArrayLike, weights: ArrayLike | None
) -> tuple[Float[np.ndarray, "row width"], Float[np.ndarray, " row"]]:
    """Activations and the share of each row; a row of no weight is left out."""
    rows = np.asarray(activations, np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"activations must be [row, width], of one row or more; got shape {rows.shape}: take one site")
    shares = np.asarray(check_weights(weights, len(rows)), np.float64)
    rows, shares = rows[shares > 0], shares[shares > 0]
    if wrong := (~np.isfinite(rows)).sum():
        raise ValueError(f"activations must be finite; got {wrong} NaN or infinite entries: give such rows weight 0")
    return rows, shares / shares.sum()


def _check_sizes(latents: Sequence[int], active: int, counts: Mapping[str, int], learning_rate: float) -> None:
    for name, count in {**counts, "active": active}.items():
        if count < 1:
            raise ValueError(f"{name} must be 1 or more; got {count}")
    if not len(latents) or len({*latents}) < len(latents):
        raise ValueError(f"latents must be one size or more, each once; got {[*latents]}")
    if min(latents) < active:
        raise ValueError(
            f"active latents are chosen from all latents; got {active} active of {min(latents)}: lower active, or take "
            "more latents"
        )
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive; got {learning_rate}")
