"""The contract of a network for all code that trains, reads or edits it; and the adapters of equinox and nnx modules.

A network is a pair of pure functions, like an optax optimiser; a Linen module that returns logits and activations is
already a network. Tokens are one sequence `[time]`; `jax.vmap` makes batches and seeds.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, is_traced
from beliefgeo.beliefs.windows import rectangular

if TYPE_CHECKING:  # nnx takes a quarter of a second to import: only callers that adapt an nnx module wait for it
    from flax import nnx

Activations = dict[str, Array]
"""Arrays by site name: `[time, width]`, or `[layer, time, width]`; an attention pattern `[layer, head, time, time]`."""

Edit = Callable[[str, int | None, Array], Array]
"""(site, layer, value) -> value, a pure function that keeps the shape; layers count from 0, None outside the layers.
Steering, patching and ablation are edits. Under jit, close over an edit: a compiled function takes no functions."""


@runtime_checkable
class Network(Protocol):
    """Anything with these two functions: `isinstance(network, Network)` checks that both exist.

    >>> from beliefgeo.networks.transformer import Transformer, TransformerConfig
    >>> isinstance(Transformer(TransformerConfig()), Network), isinstance("a name", Network)
    (True, False)
    """

    def init(self, key: PRNGKeyArray, tokens: Int[Array, " time"], /) -> Any:
        """Parameters drawn by the key, any pytree of floating arrays; only the shape of the tokens matters."""
        ...

    def apply(
        self, params: Any, tokens: Int[Array, " time"], /, edit: Edit | None = None
    ) -> tuple[Float[Array, "time vocab"], Activations]:
        """Logits of the token after each token read, and activations; an edit changes what later computation gets."""
        ...


def predicted_tokens(network: Network, params: Any, tokens: Any) -> int:
    """The number of tokens that the network predicts, the width of its logits; nothing is computed.

    Args:
        network: the network.
        params: the params of one seed.
        tokens: a sequence that the network can read, or its `jax.ShapeDtypeStruct`.

    >>> from beliefgeo.networks.recurrent import Recurrent, RecurrentConfig
    >>> network, tokens = Recurrent(RecurrentConfig(vocab_size=5)), jnp.array([0, 1])
    >>> predicted_tokens(network, network.init(jax.random.key(0), tokens), tokens)
    5
    """
    return jax.eval_shape(network.apply, params, tokens)[0].shape[-1]


def check_read(vocab_size: int, tokens: ArrayLike) -> Int[Array, "*batch time"]:
    """Tokens as a network of this vocabulary reads them, in int32; traced tokens outside the vocabulary become V.

    Raises:
        TypeError: (concrete values only) tokens that are not integers.
        ValueError: sequences of several lengths; (concrete values only) tokens outside the vocabulary.
    """
    array = rectangular(tokens)
    if not jnp.issubdtype(array.dtype, jnp.integer) and array.size:
        raise TypeError(f"tokens must be integers; got {array.dtype}")
    outside = (array < 0) | (array >= vocab_size)
    if not is_traced(outside) and outside.any():
        where = tuple(np.argwhere(np.asarray(outside))[0].tolist())
        raise ValueError(
            f"tokens must lie in 0..{vocab_size - 1}, the vocabulary of the network; got {int(array[where])} at "
            f"position {', '.join(map(str, where))}"
        )
    return jnp.where(outside, vocab_size, array).astype(jnp.int32)


def edited(edit: Edit | None, layer: int | None, site: str, value: Array) -> Array:
    """The value that the rest of a network gets at a site: the edit's result, in the precision of the value.

    Raises:
        ValueError: the edit returns another shape, or nothing.
    """
    if edit is None:
        return value
    new = edit(site, layer, value)
    if np.shape(new) != value.shape:
        where = site if layer is None else f"{site} of layer {layer}"
        raise ValueError(
            f"an edit must keep the shape {value.shape} of {where}; got {type(new).__name__} of shape {np.shape(new)}: "
            "return the value itself where nothing changes"
        )
    return jnp.asarray(new, value.dtype)


def nan_outside_vocabulary(
    tokens: Int[Array, " time"], vectors: Float[Array, "time width"], vocab_size: int
) -> Float[Array, "time width"]:
    """The vectors of the tokens, NaN for a token outside the vocabulary: gathers wrap -1 to the last token.

    Raises:
        ValueError: (concrete tokens only) a token outside the vocabulary.
    """
    if not is_traced(tokens) and len(wrong := (read := np.asarray(tokens))[(read < 0) | (read >= vocab_size)]):
        raise ValueError(f"the network reads tokens 0..{vocab_size - 1}; got {wrong[0]}: set vocab_size, or relabel")
    known = (tokens >= 0) & (tokens < vocab_size)
    return jnp.where(known[:, None], vectors, jnp.nan)


def from_equinox(make: Callable[[PRNGKeyArray], eqx.Module]) -> Network:
    """An equinox module as a network; its params are the module's inexact arrays.

    Called with tokens `[time]`, the module returns logits `[time, vocab]` or `(logits, activations)`; logits alone mean
    that there are no activations. If its `__call__` has an argument `edit`, it gets the edit.

    Two adapters of the same `make` are equal.

    Args:
        make: key -> module. All seeds share everything but the inexact arrays, made with one key.

    Raises:
        TypeError: `make` does not return an equinox module that can be called.
        ValueError: (in apply) a return of another form, or an edit for a module that takes none.

    >>> class Bigram(eqx.Module):
    ...     table: Array
    ...
    ...     def __call__(self, tokens):
    ...         return self.table[tokens]
    >>> network = from_equinox(lambda key: Bigram(jax.random.normal(key, (3, 3))))
    >>> tokens = jnp.array([0, 2])
    >>> params = network.init(jax.random.key(0), tokens)
    >>> logits, activations = network.apply(params, tokens)
    >>> bool((logits == params.table[tokens]).all()), activations
    (True, {})
    """
    module = _require_module(make(jax.random.key(0)), eqx.Module, "an equinox module")
    return _Equinox(make, eqx.filter(module, eqx.is_inexact_array, inverse=True))


def from_nnx(make: Callable[["nnx.Rngs"], "nnx.Module"]) -> Network:
    """An nnx module as a network; its params are the `nnx.State` of its `nnx.Param`.

    Called with tokens `[time]`, the module returns logits `[time, vocab]` or `(logits, activations)`; logits alone mean
    that there are no activations. If its `__call__` has an argument `edit`, it gets the edit.

    Two adapters of the same `make` are equal.

    Args:
        make: `nnx.Rngs` -> module. All seeds and calls share everything but the params, made with one key. What a call
            changes there, such as the count of drawn random numbers, is forgotten.

    Raises:
        TypeError: `make` does not return an nnx module that can be called.
        ValueError: (in apply) a return of another form, or an edit for a module that takes none.

    >>> from flax import nnx
    >>> class Bigram(nnx.Module):
    ...     def __init__(self, rngs):
    ...         self.table = nnx.Param(jax.random.normal(rngs.params(), (3, 3)))
    ...
    ...     def __call__(self, tokens):
    ...         return self.table[tokens]
    >>> network = from_nnx(Bigram)
    >>> tokens = jnp.array([0, 2])
    >>> params = network.init(jax.random.key(0), tokens)
    >>> logits, activations = network.apply(params, tokens)
    >>> bool((logits == params["table"][tokens]).all()), activations
    (True, {})
    """
    from flax import nnx

    module = _require_module(make(nnx.Rngs(jax.random.key(0))), nnx.Module, "an nnx module")
    graph, _, rest = nnx.split(module, nnx.Param, ...)
    return _NNX(make, graph, rest)


@dataclass(frozen=True)
class _Equinox:
    make: Callable[[PRNGKeyArray], Any]
    rest: Any = field(compare=False, repr=False)

    def init(self, key: PRNGKeyArray, tokens: Int[Array, " time"]) -> Any:
        return eqx.filter(self.make(key), eqx.is_inexact_array)

    def apply(
        self, params: Any, tokens: Int[Array, " time"], edit: Edit | None = None
    ) -> tuple[Float[Array, "time vocab"], Activations]:
        return _call(eqx.combine(params, self.rest), tokens, edit)


@dataclass(frozen=True)
class _NNX:
    make: Callable[[Any], Any]
    graph: Any = field(compare=False, repr=False)
    rest: Any = field(compare=False, repr=False)

    def init(self, key: PRNGKeyArray, tokens: Int[Array, " time"]) -> Any:
        from flax import nnx

        return nnx.state(self.make(nnx.Rngs(key)), nnx.Param)

    def apply(
        self, params: Any, tokens: Int[Array, " time"], edit: Edit | None = None
    ) -> tuple[Float[Array, "time vocab"], Activations]:
        from flax import nnx

        return _call(nnx.merge(self.graph, params, self.rest, copy=True), tokens, edit)


def _require_module(module: Any, kind: type, name: str) -> Any:
    if not isinstance(module, kind) or not callable(module):
        raise TypeError(f"make must give {name} that is called with tokens [time]; got {type(module).__name__}")
    return module


def _call(
    module: Callable[..., Any], tokens: Int[Array, " time"], edit: Edit | None
) -> tuple[Float[Array, "time vocab"], Activations]:
    """The module's logits and activations, checked."""
    if edit is None:
        returned = module(tokens)
    elif "edit" in inspect.signature(module).parameters:
        returned = module(tokens, edit=edit)
    else:
        raise ValueError(
            f"{type(module).__name__} takes no edit: give its __call__ an argument edit=None, and call "
            "edit(site, layer, value) at each site"
        )
    logits: Any = returned
    activations: Any = {}
    if isinstance(returned, tuple) and len(returned) == 2:
        logits, activations = returned
    _require_contract(type(module).__name__, logits, activations, len(tokens))
    return logits, activations


def _require_contract(name: str, logits: Any, activations: Any, n_read: int) -> None:
    """Raise ValueError unless the logits and each activation have a row for each token read."""
    if not isinstance(logits, jax.Array) or logits.ndim != 2 or len(logits) != n_read:
        raise ValueError(
            f"{name} must give logits [time, vocab], a row for each of the {n_read} tokens read, or (logits, "
            f"activations); got {type(logits).__name__} of shape {getattr(logits, 'shape', None)}"
        )
    if not isinstance(activations, dict):
        raise ValueError(f"{name} must give activations by site name; got {type(activations).__name__}: use a dict")
    for site, value in activations.items():
        shape = getattr(value, "shape", ())
        if len(shape) < 2 or shape[-2] != n_read:
            raise ValueError(
                f"{name} must give activations [time, width] or [layer, time, width] of the {n_read} tokens read; got "
                f"shape {shape} at {site}"
            )
