"""How many heads an attention layer needs: the least loss for each number, and rules for when fewer heads suffice."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from beliefgeo.arrays import ArrayLike, contract
from beliefgeo.beliefs.constrained import evidence
from beliefgeo.processes.process import Process
from beliefgeo.reading import Seeds, sampled_words

# The numbers of sampled words of each factor, and of random starts, for an ideal layer.
_WORDS, _STARTS = 500, 2


def fewest_by_share(gaps: Mapping[int, float], share: float) -> int:
    """The fewest heads that miss little of the largest gain: gap(h) - gap(most) <= share (gap(few) - gap(most)).

    Args:
        gaps: excess losses by number of heads.
        share: the largest share of the gain that may be missing.

    Raises:
        ValueError: no gaps, or gaps that are not finite.

    >>> fewest_by_share({1: 10.0, 2: 4.0, 3: 3.0}, 0.2)
    2
    """
    if not gaps or not np.isfinite([*gaps.values()]).all():
        raise ValueError(f"gaps must be finite numbers by number of heads; got {dict(gaps)}")
    few, most = gaps[min(gaps)], gaps[max(gaps)]
    return min(heads for heads, gap in gaps.items() if gap - most <= share * (few - most))


def fewest_unbeaten(gaps: Mapping[int, ArrayLike]) -> int:
    """The fewest heads that no larger number of heads beats, at 95%, two-sided, in pairs with the same data.

    Args:
        gaps: excess losses `[seed]` by number of heads.

    Raises:
        ValueError: no gaps, fewer than two seeds, different numbers of seeds, or gaps that are not finite.

    >>> fewest_unbeaten({1: np.array([5.0, 5.1]), 2: np.array([3.0, 3.1]), 3: np.array([2.0, 4.0])})
    2
    """
    gaps = _check_gaps(gaps)
    beats = lambda more, heads: _interval(Seeds(gaps[heads] - gaps[more]))[0] > 0
    return min(heads for heads in gaps if not any(beats(more, heads) for more in gaps if more > heads))


def _interval(seeds: Seeds) -> np.ndarray:
    """The interval of two seeds or more; `_check_gaps` has checked their number."""
    assert seeds.interval is not None
    return seeds.interval


def _check_gaps(gaps: Mapping[int, ArrayLike]) -> dict[int, np.ndarray]:
    known = {heads: np.asarray(seeds, np.float64) for heads, seeds in gaps.items()}
    shapes = {heads: seeds.shape for heads, seeds in known.items()}
    if len(set(shapes.values())) != 1 or len(shape := next(iter(shapes.values()))) != 1 or shape[0] < 2:
        raise ValueError(f"gaps must be [seed], of the same two seeds or more by number of heads; got shapes {shapes}")
    if not all(np.isfinite(seeds).all() for seeds in known.values()):
        raise ValueError(f"gaps must be finite; got {known}")
    return known


class Needed(NamedTuple):
    """The fewest heads that suffice."""

    by_share: int | None
    """The number by share; None if it is not resolved."""
    by_significance: int
    ideal_layer: int
    """The number for the ideal layer, by share."""
    gain: Seeds
    """The gain of the most heads over the fewest heads. Nats."""
    ideal_gain: float
    """The same gain for the ideal layer."""


def needed_heads(gaps: Mapping[int, ArrayLike], ideal: Mapping[int, float], *, share: float, no_gain: float) -> Needed:
    """The fewest heads that suffice, by two rules for the networks and by the first rule for the ideal layer.

    By share: `fewest_by_share` of the means, if the most heads gain something over the fewest heads at 95%. If they do
    not, the fewest heads suffice; but if the ideal layer gains less than this test can see, the number is not resolved:
    None. By significance: `fewest_unbeaten`.

    Args:
        gaps: excess losses of networks `[seed]` by number of heads; seeds of one index saw the same data.
        ideal: excess losses of the ideal layer, by the same numbers of heads.
        share: as in `fewest_by_share`.
        no_gain: the ideal layer gains nothing if it gains no more than this share of what the fewest heads leave.

    Raises:
        ValueError: as `fewest_unbeaten`, or other numbers of heads in `ideal`.
    """
    gaps = _check_gaps(gaps)
    if set(ideal) != set(gaps):
        raise ValueError(f"gaps and ideal must have the same numbers of heads; got {sorted(gaps)} and {sorted(ideal)}")
    few, most = min(gaps), max(gaps)
    drop = Seeds(gaps[few] - gaps[most])
    low, high = _interval(drop)
    gain = ideal[few] - ideal[most]
    gain = gain if gain > no_gain * ideal[few] else 0.0
    if low > 0:
        by_share = fewest_by_share({heads: float(seeds.mean()) for heads, seeds in gaps.items()}, share)
    else:
        by_share = None if 0 < gain < high - drop.mean else few
    theory = fewest_by_share(ideal, share) if gain else few
    return Needed(by_share, fewest_unbeaten(gaps), theory, drop, gain)


class _Text(NamedTuple):
    """Words of one factor: what each token tells, the exact laws after it, and the map from beliefs to laws."""

    told: Float[Array, "*factor word time state"]
    laws: Float[Array, "*factor word time token"]
    initial: Float[Array, "*factor state"]
    emissions: Float[Array, "*factor state token"]


def ideal_layer_gap(key: PRNGKeyArray, factors: Sequence[Process], heads: int, *, context: int, steps: int) -> float:
    """The least gap of a layer whose sums are used linearly: positive patterns and any gains, but no MLP. Nats.

    The belief about factor i is pi_i + sum_s w_i(t - s) evidence_i[z_s], w_i = sum_h gain_hi pattern_h + (lag 0) own_i,
    because the token itself reaches the sum past the heads; the factors' losses add. With w_i = zeta_i^lag these are
    the constrained beliefs. The layer is fitted on sampled words of each factor, which leaves a few per cent of noise,
    common to all numbers of heads.

    Args:
        key: draws the words and the starts.
        factors: independent factors, of equal numbers of states and tokens.
        heads: the number of patterns.
        context: the number of tokens read.
        steps: the number of steps of Adam.

    Raises:
        ValueError: no factors, factors of different sizes, or a factor with a token that cannot come first, whose
            evidence is undefined; no heads, no context or no steps.
    """
    if len({factor.transitions.shape for factor in factors}) != 1:
        raise ValueError(f"factors must be of one size; got {[factor.transitions.shape for factor in factors]}")
    if min(heads, context, steps) < 1:
        raise ValueError(f"heads, context and steps must be 1 or more; got {heads}, {context} and {steps}")
    if any(np.isnan(evidence(factor)).any() for factor in factors):
        raise ValueError("ideal_layer_gap needs factors of which every token can come first; got one with another")
    starts, *each = jax.random.split(key, 1 + len(factors))
    texts = [_text(own, factor, context) for own, factor in zip(each, factors, strict=True)]
    return float(_fit(starts, jax.tree.map(lambda *leaves: jnp.stack(leaves), *texts), heads, steps))


def _text(key: PRNGKeyArray, factor: Process, context: int) -> _Text:
    words = sampled_words(key, factor, _WORDS, context)
    beliefs = jnp.asarray(words.beliefs[:, 1:], factor.transitions.dtype)
    laws = contract("nti,xij->ntx", beliefs, factor.transitions)
    return _Text(evidence(factor)[words.tokens], laws, factor.initial, factor.transitions.sum(2).T)


@partial(jax.jit, static_argnames=("heads", "steps"))
def _fit(key: PRNGKeyArray, texts: _Text, heads: int, steps: int) -> Float[Array, ""]:
    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, steps))

    def step(state, _):
        layer, rest = state
        changes, rest = optimizer.update(jax.grad(_loss)(layer, texts), rest)
        return (optax.apply_updates(layer, changes), rest), None

    def fit(key):
        start = _start(key, texts, heads)
        (layer, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
        return _loss(layer, texts)  # pyright: ignore[reportArgumentType]

    return jax.lax.map(fit, jax.random.split(key, _STARTS)).min()


def _start(key: PRNGKeyArray, texts: _Text, heads: int) -> dict[str, Array]:
    scores, gains = jax.random.split(key)
    n_factors, _, context, _ = texts.told.shape
    return {
        "scores": jax.random.normal(scores, (heads, context)),
        "gains": 1 + jax.random.normal(gains, (n_factors, heads)),
        "own": jnp.zeros(n_factors),
    }


def _loss(layer: dict[str, Array], texts: _Text) -> Float[Array, ""]:
    """The sum of the factors' gaps."""
    weights = contract("fh,hl->fl", layer["gains"], jax.nn.softmax(layer["scores"], -1))
    return jax.vmap(_gap)(weights.at[:, 0].add(layer["own"]), texts).sum()


def _gap(weights: Float[Array, " lag"], text: _Text) -> Float[Array, ""]:
    """KL from the laws to the prediction of the sums of evidence weighted by lag; mean over positions."""
    position = jnp.arange(len(weights))
    lag = position[:, None] - position[None]
    sums = contract("ts,nsi->nti", jnp.where(lag >= 0, weights[lag], 0), text.told)
    predicted = contract("nti,ix->ntx", text.initial[None, None] + sums, text.emissions)
    predicted = jnp.maximum(predicted, 1e-6)  # a sum may leave the simplex, and then it is not a law
    predicted = predicted / predicted.sum(2, keepdims=True)
    possible = text.laws > 0  # 0 log 0 is 0
    log_laws = jnp.log(jnp.where(possible, text.laws, 1))
    return jnp.where(possible, text.laws * (log_laws - jnp.log(predicted)), 0).sum(2).mean()
