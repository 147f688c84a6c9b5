"""A network read on every prefix of a set of words: exact loss gaps, and activations beside the right beliefs.

The one place that aligns. A causal network without BOS has, at position t (from 0), read t + 1 tokens, and is compared
with `beliefs[t + 1]`; with a BOS token prepended it has read t, and is compared with `beliefs[t]`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from beliefgeo.arrays import ArrayLike
from beliefgeo.beliefs.filtering import filter_beliefs
from beliefgeo.beliefs.trees import Words
from beliefgeo.processes.float64 import as_float64, epsilon, expand_float64
from beliefgeo.processes.process import Observer, Process

# Words read at once: few enough that a layer stays in the cache of one core, 2.5 times faster than thousands.
_BATCH = 256

# How far a row of log-probabilities may be off normalisation. Nats: float32 leaves 1e-6.
_OFF = 1e-4


class Prefixes(NamedTuple):
    """The distinct prefixes of some words, shortest first; words that share one share its activations."""

    tokens: Int[np.ndarray, "word time"]
    """What the network reads, BOS included where there is one."""
    word: Int[np.ndarray, " row"]
    """The first word that begins with this prefix."""
    position: Int[np.ndarray, " row"]
    """The position of `tokens` at which the network has read exactly this prefix."""
    length: Int[np.ndarray, " row"]
    """Tokens of the process read: position + 1, or position after a BOS."""
    counts: Int[np.ndarray, " row"]
    """Words that share it: the weight under which every word and position counts equally."""
    probabilities: Float[np.ndarray, " row"]
    """Its probability: these sum to 1 over the prefixes of each length."""
    beliefs: Float[np.ndarray, "row state"]
    """The belief after it."""
    laws: Float[np.ndarray, "row token"]
    """The exact law of the next token after it."""

    def subtrees(self, depth: int) -> Int[np.ndarray, " row"]:
        """Fold labels: the rank of the first `depth` tokens, -1 for shorter prefixes."""
        _, labels = np.unique(self.words[self.word, :depth], axis=0, return_inverse=True)
        return np.where(self.length >= depth, labels.reshape(-1), -1)

    @property
    def words(self) -> Int[np.ndarray, "word time"]:
        """The tokens of the process alone, without BOS."""
        return self.tokens[:, self.tokens.shape[1] - self.length.max(initial=0) :]


class Evaluation(NamedTuple):
    """What a network says after each prefix (rows as in `Prefixes`)."""

    log_laws: Float[Array, "row token"]
    """Its prediction: the log-probability of each next token, those of the process first.

    All that the network knows, a BOS or a larger vocabulary included: so every row normalises, and `loss_gap` can tell
    predictions from raw logits."""
    features: Any
    """The activations asked for, each `[row, width]`."""


def prefixes(process: Observer, words: Words, *, bos: int | None = None) -> Prefixes:
    """The distinct prefixes of words, with beliefs and weights aligned to what a network reads.

    Args:
        process: what is observed.
        words: all words of some length, as `bg.words` gives them, or sampled ones, as `sampled.sampled_words` does: in
            lexicographic order, repeated ones side by side.
        bos: the token that the network reads first, if it was trained with one; adds the empty prefix.

    Raises:
        ValueError: no words, words of no tokens without a BOS, or words out of order.

    >>> from beliefgeo.beliefs.trees import words
    >>> from beliefgeo.processes.classical import golden_mean
    >>> rows = prefixes(golden_mean(), words(golden_mean(), 2))
    >>> rows.length.tolist(), rows.counts.tolist()
    ([1, 1, 2, 2, 2], [2, 1, 1, 1, 1])
    """
    if not len(words.tokens) or (bos is None and not words.tokens.shape[1]):
        raise ValueError(
            f"prefixes needs a word or more, of a token or more unless there is a BOS; got shape {words.tokens.shape}"
        )
    _check_order(words.tokens)
    rows = []
    for length in range(0 if bos is not None else 1, words.tokens.shape[1] + 1):
        # Words come in lexicographic order, so those sharing a prefix are neighbours.
        new = np.ones(len(words.tokens), bool)
        new[1:] = (words.tokens[1:, :length] != words.tokens[:-1, :length]).any(1)
        first = np.flatnonzero(new)
        counts = np.diff(np.append(first, len(new)))
        probabilities = np.add.reduceat(words.probabilities, first)
        rows.append((first, np.full(len(first), length), counts, probabilities, words.beliefs[first, length]))
    word, length, counts, probabilities, beliefs = (np.concatenate(column) for column in zip(*rows, strict=True))
    if bos is None:
        tokens, position = words.tokens, length - 1
    else:
        tokens, position = np.pad(words.tokens, ((0, 0), (1, 0)), constant_values=bos), length
    return Prefixes(tokens, word, position, length, counts, probabilities, beliefs, _laws(process, beliefs))


def _laws(process: Observer, beliefs: Float[np.ndarray, "row state"]) -> Float[np.ndarray, "row token"]:
    wide = as_float64(process)
    if isinstance(process, Process):
        return expand_float64(wide, beliefs, epsilon(process))[1]
    with jax.enable_x64(True):
        return np.asarray(jax.jit(jax.vmap(wide.predict))(beliefs))


def _check_order(tokens: Int[np.ndarray, "word time"]) -> None:
    steps = np.diff(np.pad(tokens, ((0, 0), (0, 1))), axis=0)  # of no tokens, too
    first = np.take_along_axis(steps, (steps != 0).argmax(1)[:, None], 1)
    if len(wrong := np.flatnonzero(first < 0)):
        raise ValueError(
            f"words must be in lexicographic order; got {tokens[wrong[0] + 1].tolist()} after "
            f"{tokens[wrong[0]].tolist()}: take them from bg.words or analysis.sampled.sampled_words"
        )


def beliefs_after(
    observer: Observer | Callable[[Int[Array, " time"]], Float[Array, "time_plus_1 state"]], prefixes: Prefixes
) -> Float[np.ndarray, "row state"]:
    """What somebody else believes after the same prefixes: other targets for a probe, rows as in `prefixes`.

    Args:
        observer: of the same vocabulary, such as `bg.markov_approximation(process, 3)`, read in float64; or a
            function from the tokens of one word to its beliefs, one more than tokens, such as
            `partial(bg.constrained_beliefs, process)`.
        prefixes: from `prefixes`.

    Raises:
        ValueError: a prefix after which the observer has no belief: to it the prefix is impossible; or a function that
            does not give a belief before each token and one after the last.

    >>> from beliefgeo.beliefs.trees import words
    >>> from beliefgeo.processes.classical import coin, golden_mean
    >>> rows = prefixes(golden_mean(), words(golden_mean(), 2))
    >>> beliefs_after(coin(0.5), rows).tolist()
    [[1.0], [1.0], [1.0], [1.0], [1.0]]
    """
    tokens = jnp.asarray(prefixes.words)
    if isinstance(observer, Observer):
        with jax.enable_x64(True):
            wide = as_float64(observer)
            everything = jax.jit(jax.vmap(lambda word: filter_beliefs(wide, word).beliefs))(tokens)
    else:
        everything = jax.jit(jax.vmap(observer))(tokens)
    if everything.ndim != 3 or everything.shape[1] != tokens.shape[1] + 1:
        raise ValueError(
            f"a word of {tokens.shape[1]} tokens has beliefs [time + 1, state], one more than tokens; got shape "
            f"{everything.shape[1:]}"
        )
    beliefs = np.asarray(everything, np.float64)[prefixes.word, prefixes.length]
    if len(undefined := np.flatnonzero(np.isnan(beliefs).any(1))):
        prefix = prefixes.words[prefixes.word[undefined[0]], : prefixes.length[undefined[0]]].tolist()
        raise ValueError(
            f"{len(undefined)} of {len(beliefs)} prefixes are impossible to this observer, the first {prefix}: its "
            "beliefs are targets only if it allows every word of the process, in the same vocabulary"
        )
    return beliefs


def layerwise(
    activations: dict[str, Array], sites: tuple[str, ...] = ("embed", "resid_post", "final_norm")
) -> dict[str, Float[Array, "time width"]]:
    """The sites of any network by name, layer by layer, and all of them concatenated: a `select` for `evaluate`.

    Names: "embed", "layer 1" (resid_post), "layer 1 pre", "layer 1 mid", "final norm", "concatenated".

    Source of the panels: Shai et al. 2405.15943; the twelve sites of its distances are
    `("resid_pre", "resid_mid", "resid_post")`.

    >>> activations = {"embed": jnp.zeros((5, 8)), "resid_post": jnp.zeros((2, 5, 8)), "final_norm": jnp.zeros((5, 8))}
    >>> {name: site.shape[1] for name, site in layerwise(activations).items()}
    {'embed': 8, 'layer 1': 8, 'layer 2': 8, 'final norm': 8, 'concatenated': 32}
    """
    named = {}
    for site in sites:
        if activations[site].ndim == 2:
            named[site.replace("_", " ")] = activations[site]
        else:
            part = site.removeprefix("resid_").removesuffix("post")
            named |= {f"layer {layer} {part}".rstrip(): one for layer, one in enumerate(activations[site], 1)}
    return named | {"concatenated": jnp.concatenate(list(named.values()), axis=-1)}


def evaluate(
    apply: Callable[[Int[Array, " time"]], tuple[Array, dict[str, Array]]],
    prefixes: Prefixes,
    select: Callable[[dict[str, Array]], Any] = lambda activations: activations["resid_post"][-1],
) -> Evaluation:
    """Read every word once and keep, for each distinct prefix, the prediction and the selected activations.

    Args:
        apply: tokens `[time]` -> (logits `[time, vocab]`, activations), such as `partial(network.apply, params)`.
        prefixes: from `prefixes`.
        select: which activations, `[time, width]` each (any pytree of them); default: the last block's output.

    Raises:
        ValueError: logits or activations without a row for each token read, or fewer logits than the process has
            tokens.
    """
    n_read = prefixes.tokens.shape[1]

    def read(tokens):
        logits, activations = apply(tokens)
        selected = select(activations)
        if logits.ndim != 2 or len(logits) != n_read or logits.shape[1] < prefixes.laws.shape[1]:
            raise ValueError(
                f"apply must give logits [time, vocab] for the {n_read} tokens read, over the process's "
                f"{prefixes.laws.shape[1]} tokens or more; got shape {logits.shape}"
            )
        for site in jax.tree.leaves(selected):
            if site.shape[:1] != (n_read,):
                raise ValueError(
                    f"select must give activations [time, width], {n_read} tokens first; got shape {site.shape}: take "
                    "one layer"
                )
        return _log_softmax(logits), selected

    everything = jax.lax.map(read, jnp.asarray(prefixes.tokens), batch_size=_BATCH)
    return Evaluation(*jax.tree.map(lambda site: site[prefixes.word, prefixes.position], everything))


def _log_softmax(logits: Float[Array, "time vocab"]) -> Float[Array, "time vocab"]:
    """In float32 at least: in half precision the probabilities do not add up to 1."""
    return jax.nn.log_softmax(logits.astype(jnp.result_type(logits, jnp.float32)))


def token_losses(
    apply: Callable[[Int[Array, " time"]], tuple[Array, Any]],
    words: Int[Array | np.ndarray, "word time"],
    *,
    bos: int | None = None,
) -> Float[Array, "word predicted"]:
    """-log Q(x_t | x_1..x_{t-1}) of the tokens of each word, in nats; without BOS of all but the first.

    What a network lost on these very tokens. For its expected loss take `evaluate` and `loss_gap`, which have no noise.

    Args:
        apply: as in `evaluate`.
        words: tokens of the process.
        bos: the token that the network reads first, if it was trained with one.

    Raises:
        ValueError: negative tokens, such as padding; a token that the network does not predict loses NaN.
    """
    if not isinstance(words, Tracer) and (least := np.asarray(words).min(initial=0)) < 0:
        raise ValueError(f"words must be tokens, 0 or more; got {least}: cut the padding off, or read words by length")
    read = jnp.asarray(words) if bos is None else jnp.pad(words, ((0, 0), (1, 0)), constant_values=bos)

    def lost(tokens):
        log_laws = _log_softmax(apply(tokens[:-1])[0])
        return -jnp.take_along_axis(log_laws, tokens[1:, None], 1)[:, 0]

    return jax.lax.map(lost, read, batch_size=_BATCH)


def loss_gap(prefixes: Prefixes, log_laws: ArrayLike) -> Float[np.ndarray, " length"]:
    """Expected loss above the optimum after each number of tokens read, sum_w P(w) KL(P(.|w) || Q(.|w)). Nats.

    Exact: between laws, over all prefixes, not between a token drawn and a prediction.

    Raises:
        ValueError: as `divergences`.
    """
    totals = np.bincount(prefixes.length, prefixes.probabilities * divergences(prefixes, log_laws))
    return totals[prefixes.length.min() :]


def divergences(prefixes: Prefixes, log_laws: ArrayLike) -> Float[np.ndarray, " row"]:
    """KL(P(.|w) || Q(.|w)) after each prefix w, of the exact law P and the predicted one Q. Nats.

    Right to what log_laws are off normalisation, at most 1e-4.

    Args:
        prefixes: from `prefixes`.
        log_laws: of one network, `[row, token]`: of all tokens that it predicts, the process's first. Where it reads a
            BOS, which the process never emits, those of the process alone will do.

    Raises:
        ValueError: other rows or fewer tokens than the prefixes', or rows that do not normalise, such as raw logits.
    """
    laws, known = prefixes.laws, _check_log_laws(prefixes, np.asarray(log_laws, np.float64))
    log_ratio = np.log(np.where(laws > 0, laws, 1)) - np.where(laws > 0, known[:, : laws.shape[1]], 0)
    return (laws * log_ratio).sum(1)


def _check_log_laws(prefixes: Prefixes, log_laws: Float[np.ndarray, "..."]) -> Float[np.ndarray, "row token"]:
    rows, tokens = prefixes.laws.shape
    if log_laws.ndim != 2 or len(log_laws) != rows or log_laws.shape[1] < tokens:
        raise ValueError(
            f"log_laws must be [row, token], for {rows} prefixes and {tokens} tokens or more; got shape "
            f"{log_laws.shape}: pass those of one network, on these prefixes"
        )
    with np.errstate(invalid="ignore"):  # NaN is refused below
        mass = np.logaddexp.reduce(log_laws, axis=1)
    # Without the column of a BOS, its probability is missing.
    missing = log_laws.shape[1] == tokens <= prefixes.tokens.max()
    if (wrong := ~(np.where(missing, np.maximum(mass, 0), abs(mass)) <= _OFF)).any():
        raise ValueError(
            f"rows of log_laws do not normalise: logsumexp must be 0 within {_OFF:g}; got {mass[wrong][0]:.3g} in row "
            f"{wrong.argmax()}: pass jax.nn.log_softmax(logits), in float32, over all tokens that the network predicts"
        )
    return log_laws


def optimal_loss(prefixes: Prefixes) -> Float[np.ndarray, " length"]:
    """The least possible expected loss after each number of tokens read: the myopic entropies, in float64. Nats."""
    laws = prefixes.laws
    entropies = -np.where(laws > 0, laws * np.log(np.where(laws > 0, laws, 1)), 0).sum(1)
    return np.bincount(prefixes.length, prefixes.probabilities * entropies)[prefixes.length.min() :]
