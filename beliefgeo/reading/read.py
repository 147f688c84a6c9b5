"""A network read on every prefix: what it predicts and what it holds, in the order of the rows."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from beliefgeo.arrays import is_traced
from beliefgeo.beliefs.windows import rectangular
from beliefgeo.networks.network import Network, check_read, predicted_tokens
from beliefgeo.networks.transformer import Past, Transformer
from beliefgeo.reading.packs import Packs, pack
from beliefgeo.reading.rows import Rows
from beliefgeo.reading.sites import by_layer

# The number of words read at once: few enough that a layer stays in the cache of one core.
_BATCH = 256


class Reading(NamedTuple):
    """What one network predicts and holds after each prefix, in the order of `Rows`.

    Attributes:
        log_laws: The prediction: the log-probability of each next token, the process's tokens first. It covers every
            token that the network knows, a BOS or a larger vocabulary included. So every row normalises, and `loss_gap`
            can tell predictions from raw logits.
        features: The activations that were selected, by site.
        params: The params of the network, where they are known.
    """

    log_laws: Float[Array, "row token"]
    features: dict[str, Float[Array, "row ..."]]
    params: Any = None


def read(network: Network, params: Any, rows: Rows, select: Callable[[dict[str, Array]], Any] | None = None) -> Reading:
    """Read every word once and keep, for each distinct prefix, the prediction and the selected activations.

    Args:
        network: `apply(params, tokens)` gives (logits `[time, vocab]`, activations); see `networks.network`.
        params: the params of one network.
        rows: from `reading.rows`.
        select: a function from all activations to the ones to keep, `{site: [time, width]}`; default `by_layer`.

    Raises:
        ValueError: logits or activations without a row for each token read, or fewer logits than the process has
            tokens.
    """
    select = by_layer if select is None else select
    known = isinstance(network, Transformer) and not is_traced(rows.tokens)
    packs = pack(np.asarray(rows.tokens)) if known else None
    if packs is None:
        reading = _read(network.apply, select, params, rows.tokens, rows.word, rows.position)
    else:
        reading = _read_packs(network.apply, select, params, packs, rows.word, rows.position)
    if rows.laws.shape[1] > reading.log_laws.shape[1]:
        raise ValueError(_too_few(rows, reading.log_laws.shape))
    return reading._replace(params=params)


@partial(jax.jit, static_argnums=(0, 1))
def _read(apply: Callable, select: Callable, params: Any, tokens: Array, word: Array, position: Array) -> Reading:
    # The words are arguments, not constants: XLA spends seconds on evaluating large constants.
    def one(tokens: Array) -> tuple[Array, Any]:
        logits, activations = apply(params, tokens)
        return _selected(select, logits, activations, tokens.shape)

    everything = jax.lax.map(one, jnp.asarray(tokens), batch_size=_BATCH)
    return Reading(*jax.tree.map(lambda site: site[word, position], everything))


@partial(jax.jit, static_argnums=(0, 1))
def _read_packs(apply: Callable, select: Callable, params: Any, packs: Packs, word: Array, position: Array) -> Reading:
    """`_read` of a transformer, which computes every prefix once; words are then put together from their prefixes."""
    jax.eval_shape(apply, params, jax.ShapeDtypeStruct(packs.paths.shape[-1:], jnp.int32))  # refuses words too long

    def of_pack(pack: tuple[Array, Past, Array]) -> tuple[Array, Any]:
        tokens, past, paths = pack
        logits, activations = apply(params, tokens, past=past)
        of_word = lambda path: _selected(select, logits[path], _along(activations, path), path.shape)
        return jax.vmap(of_word)(paths)

    tokens, place, seen, paths = (jnp.asarray(part) for part in packs[:4])
    size = max(1, _BATCH * paths.shape[2] // tokens.shape[1])
    everything = jax.lax.map(of_pack, (tokens, Past(place, seen), paths), batch_size=size)
    at = (packs.pack[word], packs.member[word], position)
    return Reading(*jax.tree.map(lambda site: site[at], everything))


def _along(activations: dict[str, Array], path: Array) -> dict[str, Array]:
    """The activations of one word: `[time, width]` or `[layer, time, width]`, a pattern `[layer, head, time, time]`."""
    seen = lambda site, value: value[..., path, :][..., path] if site == "attn_pattern" else value[..., path, :]
    return {site: seen(site, value) for site, value in activations.items()}


def _selected(select: Callable, logits: Array, activations: dict[str, Array], read: tuple[int, ...]) -> tuple:
    """Log-laws and selected activations of one word, each with an entry for every token read."""
    selected = select(activations)
    if logits.ndim != 2 or logits.shape[:1] != read:
        raise ValueError(
            f"apply must give logits [time, vocab] for the {read[0]} tokens read; got shape {logits.shape}"
        )
    for site in jax.tree.leaves(selected):
        if site.shape[:1] != read:
            raise ValueError(
                f"select must give activations [time, width], {read[0]} tokens first; got shape {site.shape}: "
                "take one layer"
            )
    # JAX sorts the names of a dict and keeps the order of an OrderedDict.
    return log_softmax(logits), OrderedDict(selected) if isinstance(selected, dict) else selected


def of_arrays(rows: Rows, logits: Any, activations: Mapping[str, Any]) -> Reading:
    """The reading of a network of any framework, made from the arrays that the network gives for `rows.tokens`.

    Run the network on `rows.tokens` `[word, time]`, all words at once, and pass its outputs to this function.

    Args:
        rows: from `reading.rows`.
        logits: `[word, time, vocab]`, before or after a log-softmax.
        activations: `[word, time, ...]` by site. Logits and activations are NumPy or JAX arrays, or arrays in main
            memory of another framework that supports DLPack, such as PyTorch's tensors.

    Raises:
        ValueError: arrays of other words or positions, fewer logits than the process has tokens, or NaN.

    >>> from beliefgeo.processes.classical import coin
    >>> from beliefgeo.reading.rows import rows
    >>> found = rows(jax.random.key(0), coin(0.5), 3)
    >>> reading = of_arrays(found, np.zeros((8, 3, 2)), {"hidden": np.ones((8, 3, 5))})
    >>> reading.log_laws.shape, reading.features["hidden"].shape
    ((14, 2), (14, 5))
    """
    given = {"logits": _array(logits), **{f"activations[{site!r}]": _array(one) for site, one in activations.items()}}
    for name, array in given.items():
        if array.shape[:2] != rows.tokens.shape or (name == "logits" and array.ndim != 3):
            axes = "vocab" if name == "logits" else "..."
            raise ValueError(
                f"{name} must be [word, time, {axes}] for rows.tokens, {rows.tokens.shape} words and positions; got "
                f"shape {array.shape}: run the network on rows.tokens as they are"
            )
        if not bool(jnp.isfinite(array).all()) and name != "logits" or bool(jnp.isnan(array).any()):
            raise ValueError(f"{name} must be finite; got NaN or infinite entries")
    if rows.laws.shape[1] > given["logits"].shape[2]:
        raise ValueError(_too_few(rows, given["logits"].shape))
    logits, *sites = (array[rows.word, rows.position] for array in given.values())
    return Reading(log_softmax(logits), OrderedDict(zip(activations, sites, strict=True)))


def _array(values: Any) -> Array:
    if isinstance(values, np.ndarray | jax.Array) or not hasattr(values, "__dlpack__"):
        return jnp.asarray(values)
    values = values.detach() if hasattr(values, "detach") else values  # PyTorch exports no tensor with a gradient
    return jnp.from_dlpack(values.contiguous() if hasattr(values, "contiguous") else values)


def _too_few(rows: Rows, shape: tuple[int, ...]) -> str:
    return (
        f"logits must be over the process's {rows.laws.shape[1]} tokens or more, those first; got shape {shape}: read "
        "a network of this vocabulary"
    )


def read_words(
    network: Network,
    params: Any,
    tokens: Any,
    select: Callable[[dict[str, Array]], Array] = lambda activations: activations["resid_post"][-1],
) -> Float[Array, "*batch time width"]:
    """Activations at every position of words that share no prefixes.

    Args:
        network: see `read`.
        params: the params of one network.
        tokens: `[..., time]`, what the network reads, a BOS included if it was trained with a BOS.
        select: the activations to return, `[time, width]`; default: the last block's output.
    """
    tokens = jnp.asarray(tokens) if is_traced(tokens) else _checked(network, params, tokens)
    found = _read_words(network.apply, select, params, tokens.reshape(-1, tokens.shape[-1]))
    return found.reshape(*tokens.shape, -1)


def _checked(network: Network, params: Any, tokens: Any) -> Array:
    array = rectangular(tokens)
    shape = jax.ShapeDtypeStruct(array.shape[-1:], jnp.int32)
    return check_read(predicted_tokens(network, params, shape), array)


@partial(jax.jit, static_argnums=(0, 1))
def _read_words(apply: Callable, select: Callable, params: Any, words: Array) -> Array:
    return jax.lax.map(lambda word: select(apply(params, word)[1]), words, batch_size=_BATCH)


def log_softmax(logits: Float[Array, "... vocab"]) -> Float[Array, "... vocab"]:
    """The log-softmax in float32 at least: in half precision the probabilities do not add up to 1."""
    return jax.nn.log_softmax(logits.astype(jnp.result_type(logits, jnp.float32)))
