"""A causal language model of Hugging Face's transformers or of TransformerLens, read on every prefix."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from beliefgeo.reading.read import Reading, log_softmax
from beliefgeo.reading.rows import Rows

# Logits `[word, time, vocab]` and the residual stream by name, `[word, time, width]`.
_Read = tuple[Any, dict[str, Any]]


def of_model(model: Any, rows: Rows, tokens: Sequence[int] | None = None, *, batch: int = 64) -> Reading:
    """The reading of a PyTorch language model: what it predicts and what its residual stream holds after each prefix.

    Sites have the names that `by_layer` gives: "embed", "layer 1", ..., "final norm". TransformerLens gives all. A
    model of transformers gives the last layer after the final LayerNorm alone, as "final norm".

    Args:
        model: a model that is called with token numbers and `output_hidden_states=True`, as a causal model of
            transformers is; or one with `run_with_cache`, as TransformerLens's `TransformerBridge` and
            `HookedTransformer`. Both on any device and in any precision.
        rows: from `reading.rows`. If the model reads a BOS, make them with `bos=` the model's own number of it.
        tokens: `[token]`, the model's number of each token of the process; default: 0..V-1.
        batch: the number of words that are read at once.

    Returns:
        `log_laws` `[row, token]` over the process's tokens, and, if the model knows more, a last column for all other
        tokens together: what the model gives them counts as loss. `features` `[row, width]` by site.

    Raises:
        ValueError: a model in training mode, whose dropout would blur the reading; numbers that are not one a token, or
            that the model does not know.

    >>> model = AutoModelForCausalLM.from_pretrained("mess3-gpt2").eval()  # doctest: +SKIP
    >>> of_model(model, rows).features["layer 1"].shape  # doctest: +SKIP
    (88572, 64)
    """
    if getattr(model, "training", False):
        raise ValueError("a model in training mode drops activations at random: call model.eval() first")
    kept = _numbers(rows, tokens)
    words = np.concatenate([rows.tokens[:, : rows.tokens.shape[1] - rows.words.shape[1]], kept[rows.words]], 1)
    if words.max() >= (known := _vocabulary(model)):
        raise ValueError(f"the model knows tokens 0..{known - 1}; got {words.max()} among tokens and BOS")
    ask = _ask_lens if hasattr(model, "run_with_cache") else _ask_transformers
    places, pieces = [], []
    for start in range(0, len(words), batch):
        logits, sites = _called(ask, model, words[start : start + batch])
        place = np.flatnonzero((start <= rows.word) & (rows.word < start + batch))
        at = rows.word[place] - start, rows.position[place]
        # An OrderedDict keeps the order of the sites through tree.map.
        pieces.append((_laws_of(logits[at], kept), OrderedDict({name: site[at] for name, site in sites.items()})))
        places.append(place)
    back = np.argsort(np.concatenate(places))
    return Reading(*jax.tree.map(lambda *parts: jnp.concatenate(parts)[back], *pieces))


def _numbers(rows: Rows, tokens: Sequence[int] | None) -> Int[np.ndarray, " token"]:
    """The model's number of each token of the process."""
    count = rows.laws.shape[1]
    kept = np.arange(count) if tokens is None else np.asarray(tokens)
    if kept.shape != (count,) or len(np.unique(kept)) < count or kept.min() < 0:
        raise ValueError(f"tokens must be {count} different numbers, one for each token of the process; got {tokens}")
    return kept


def _vocabulary(model: Any) -> float | int:
    """The number of tokens that the model knows, as transformers and TransformerLens tell it; infinite if untold."""
    told = getattr(getattr(model, "config", None), "vocab_size", None)
    return told or getattr(getattr(model, "cfg", None), "d_vocab", None) or np.inf


def _called(ask: Callable[[Any, Any], _Read], model: Any, words: np.ndarray) -> _Read:
    """What the model gives for some words, as arrays in main memory, in single precision at least."""
    import torch  # pyright: ignore[reportMissingImports]

    device = next(model.parameters()).device
    with torch.no_grad():
        logits, sites = ask(model, torch.as_tensor(words, dtype=torch.long, device=device))
    array = lambda tensor: tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32)).cpu().numpy()
    return array(logits), {name: array(site) for name, site in sites.items()}


def _ask_transformers(model: Any, words: Any) -> _Read:
    read = model(words, output_hidden_states=True)
    names = ["embed", *(f"layer {layer}" for layer in range(1, len(read.hidden_states) - 1)), "final norm"]
    return read.logits, dict(zip(names, read.hidden_states, strict=True))


def _ask_lens(model: Any, words: Any) -> _Read:
    hooks = {"embed": "blocks.0.hook_resid_pre"}
    hooks |= {f"layer {layer + 1}": f"blocks.{layer}.hook_resid_post" for layer in range(model.cfg.n_layers)}
    hooks["final norm"] = "ln_final.hook_normalized"
    logits, cache = model.run_with_cache(words, names_filter=[*hooks.values()])
    return logits, {name: cache[hook] for name, hook in hooks.items()}


def _laws_of(logits: np.ndarray, kept: np.ndarray) -> Float[Array, "row token"]:
    """The log-probabilities of the process's tokens, and of all others together if there are others."""
    log_laws = log_softmax(jnp.asarray(logits))
    others = np.setdiff1d(np.arange(logits.shape[1]), kept)
    rest = [jax.nn.logsumexp(log_laws[:, others], 1, keepdims=True)] if len(others) else []
    return jnp.concatenate([log_laws[:, kept], *rest], 1)
