"""The sites of a network by name, layer by layer: what is read there, and where an edit takes place."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from beliefgeo.networks.network import Activations, Network

# The sites that are read by default, under the names that the field uses.
_SITES = ("embed", "resid_post", "final_norm")


class Site(NamedTuple):
    """A place in a network. As a function it selects what the network holds there, for `read_words`.

    Attributes:
        site: The name in the network's activations.
        layer: The layer, from 0; None for a site outside the layers.
    """

    site: str
    layer: int | None = None

    def __call__(self, activations: Activations) -> Float[Array, "time width"]:
        """What is held at this place."""
        value = activations[self.site]
        return value if self.layer is None else value[self.layer]


def by_layer(
    activations: Mapping[str, Array], sites: Sequence[str] | None = None
) -> dict[str, Float[Array, "time width"]]:
    """The sites of a network by name, layer by layer: what `read` keeps unless told otherwise.

    Names: "embed", "layer 1" (resid_post), "layer 1 pre", "layer 1 mid", "final norm"; "name 1" for other sites.

    Args:
        activations: `[time, width]` or `[layer, time, width]` each.
        sites: the sites to keep; default embed, resid_post and final_norm, or, where a network has none of these, all
            sites with those axes.

    Source of the panels: Shai et al. 2405.15943. The twelve sites of its distances are
    `("resid_pre", "resid_mid", "resid_post")`.

    >>> activations = {"embed": jnp.zeros((5, 8)), "resid_post": jnp.zeros((2, 5, 8)), "final_norm": jnp.zeros((5, 8))}
    >>> {name: site.shape[1] for name, site in by_layer(activations).items()}
    {'embed': 8, 'layer 1': 8, 'layer 2': 8, 'final norm': 8}
    """
    usual = [site for site in _SITES if site in activations] or _flat(activations)
    chosen = {site: activations[site] for site in (usual if sites is None else sites)}
    return {name: place(chosen) for name, place in _places(chosen).items()}


def concatenated(features: Mapping[str, Float[Array, "row width"]]) -> Float[Array, "row all_widths"]:
    """All sites side by side."""
    return jnp.concatenate([*features.values()], -1)


def site_of(network: Network, params: Any, name: str) -> Site:
    """The place that `by_layer` calls by this name, such as "layer 1" or "layer 1 mid".

    Raises:
        ValueError: a place that the network does not have.

    >>> from beliefgeo.networks.transformer import Transformer, TransformerConfig
    >>> network = Transformer(TransformerConfig(layers=2))
    >>> params = network.init(jax.random.key(0), jnp.zeros(1, int))
    >>> site_of(network, params, "layer 2")
    Site(site='resid_post', layer=1)
    """
    shapes = jax.eval_shape(network.apply, params, jax.ShapeDtypeStruct((1,), jnp.int32))[1]
    places = _places({site: shapes[site] for site in _flat(shapes)})
    if name not in places:
        raise ValueError(f"the network has no site {name!r}: choose one of {', '.join(places)}")
    return places[name]


def _flat(activations: Mapping[str, Any]) -> list[str]:
    """The sites with a vector for each token, in each layer or once."""
    return [site for site, value in activations.items() if len(value.shape) in (2, 3)]


def _places(activations: Mapping[str, Any]) -> dict[str, Site]:
    """Every place by its name; of arrays, or of their shapes."""
    places = {}
    for site, value in activations.items():
        if len(value.shape) == 2:
            places[site.replace("_", " ")] = Site(site)
            continue
        before, after = ("layer", site.removeprefix("resid_")) if site.startswith("resid_") else (site, "post")
        for layer in range(value.shape[0]):
            places[f"{before} {layer + 1}" + (f" {after}" if after != "post" else "")] = Site(site, layer)
    return places
