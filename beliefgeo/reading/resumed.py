"""A network that runs on from given activations: what it would predict if it held something else at a site."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from beliefgeo.arrays import ArrayLike, as_int32, as_integers
from beliefgeo.networks.network import Network
from beliefgeo.reading.read import log_softmax
from beliefgeo.reading.sites import Site

# The number of words read at once, as in `read`.
_BATCH = 256


def resume(
    network: Network,
    params: Any,
    tokens: ArrayLike,
    site: Site,
    values: ArrayLike,
    *,
    where: ArrayLike | None = None,
) -> Float[Array, "word time token"]:
    """Log-laws of the next token after each position, if the network holds these values at a site.

    What comes before the site does not matter any more, except where later layers take it by another way.

    Args:
        network: takes edits; see `networks.network`.
        params: the params of one network.
        tokens: `[word, time]`, what the network reads.
        site: the place, such as `site_of(network, params, "layer 1")`.
        values: `[word, time, width]`, such as what `read_words(network, params, tokens, site)` finds, changed.
        where: `[word, time]`, the positions that get the values; default all. At the others the network holds its own.

    Raises:
        ValueError: values of other words, positions or width than the network holds at the site.

    >>> from beliefgeo.networks.transformer import Transformer, TransformerConfig
    >>> from beliefgeo.reading.read import read_words
    >>> network, tokens = Transformer(TransformerConfig()), jnp.array([[0, 1, 2]])
    >>> params, site = network.init(jax.random.key(0), tokens[0]), Site("resid_post", 1)
    >>> held = read_words(network, params, tokens, site)
    >>> unchanged = jax.nn.log_softmax(network.apply(params, tokens[0])[0])
    >>> bool(jnp.allclose(resume(network, params, tokens, site, held)[0], unchanged, atol=1e-6))
    True
    """
    tokens, values = as_int32(as_integers("tokens", tokens)), jnp.asarray(values)
    chosen = jnp.ones(tokens.shape, bool) if where is None else jnp.asarray(where)
    if values.shape[:2] != tokens.shape or chosen.shape != tokens.shape:
        raise ValueError(
            f"values must be [word, time, width] and where [word, time], for tokens {tokens.shape}; got shapes "
            f"{values.shape} and {chosen.shape}"
        )
    return _resume(network.apply, site, params, tokens, values, chosen)


@partial(jax.jit, static_argnums=(0, 1))
def _resume(
    apply: Any,
    site: Site,
    params: Any,
    tokens: Int[Array, "word time"],
    values: Float[Array, "word time _"],
    where: Bool[Array, "word time"],
) -> Float[Array, "word time token"]:
    def one(given: tuple[Array, Array, Array]) -> Array:
        word, value, chosen = given

        def edit(name: str, layer: int | None, held: Array) -> Array:
            if (name, layer) != site:
                return held
            if value.shape != held.shape:
                raise ValueError(
                    f"values must have width {held.shape[-1]}, as the network holds at {site.site}; got "
                    f"{value.shape[-1]}"
                )
            return jnp.where(chosen[:, None], value, held)

        return log_softmax(apply(params, word, edit)[0])

    return jax.lax.map(one, (tokens, values, where), batch_size=_BATCH)
