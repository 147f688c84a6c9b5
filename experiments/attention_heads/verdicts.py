"""The predictions, and the verdicts on them from losses, patterns and fading."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

import beliefgeo as bg
from beliefgeo.mechanisms.attention import match_patterns, predicted_patterns
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds

Name = Literal[".7, .7", ".7, .3", ".7, -.3", ".5, -.5", ".7, -.7"]

SHARE = 0.2  # a number of heads suffices if it lacks at most this share of what the most heads gain over one
NO_GAIN = 0.02  # an ideal layer gains nothing if it gains less than this share of what one head leaves
NEAR = 0.1  # how far a fitted zeta may lie from the true one
ALIKE = 0.95  # the least cosine of an attention pattern with the predicted one: a weak test, see `rival_cosine`


class Case(NamedTuple):
    """Two independent factors `bg.mess`, one for each zeta."""

    zetas: tuple[float, float]
    """Eigenvalues of the factors' mean dynamics: what a token tells has the weight zeta^lag."""
    states: int = 3
    """The number of states, and of tokens, of each factor."""
    alpha: float = 0.6
    """The probability that a state emits its own token."""

    @property
    def factors(self) -> list[bg.Process]:
        """The factors, with x = (1 - zeta) / states."""
        return [bg.mess((1 - zeta) / self.states, self.alpha, self.states) for zeta in self.zetas]

    @property
    def heads(self) -> int:
        """The predicted number of heads: a head for each pattern."""
        return len(predicted_patterns(self.zetas, 2))


# Two states of alpha .7 emit as three states of .6 do: both emission matrices have the eigenvalue .4.
CASES: dict[Name, Case] = {
    ".7, .7": Case((0.7, 0.7)),
    ".7, .3": Case((0.7, 0.3)),
    ".7, -.3": Case((0.7, -0.3)),
    ".5, -.5": Case((0.5, -0.5)),
    ".7, -.7": Case((0.7, -0.7), 2, 0.7),
}


class Patterns(NamedTuple):
    """Patterns and fading of the networks with as many heads as predicted."""

    cosines: Seeds
    """The cosine of each predicted pattern with the head assigned to it."""
    untrained_cosines: Seeds
    attention: str
    """Whether the least cosine is `ALIKE` or more."""
    fading: str
    """Whether the fitted zetas lie within `NEAR` of the true zetas."""
    fading_by_mean_attention: str
    interval_excludes_theory: Bool[np.ndarray, " factor"]
    """Whether the interval of each fitted zeta excludes the true zeta."""


class Verdict(NamedTuple):
    """The verdict on a prediction."""

    predicted: int
    """The predicted number of heads."""
    patterns: dict[str, Float[np.ndarray, " lag"]]
    by_share: str
    by_significance: str
    found: Patterns | None
    """What was found; None if networks of the predicted number of heads were not trained."""


def judge(case: Case, networks: Mapping[int, Mapping[str, Any]], needed: Any) -> Verdict:
    """The verdict by the rules above.

    Args:
        case: the predicted case.
        networks: by number of heads, "trained" and "untrained", with "factors" of `factors_of_layer`, as `Seeds`.
        needed: heads `by_share` (None: not resolved) and `by_significance`.
    """
    factors = {heads: nets["trained"]["factors"] for heads, nets in networks.items()}
    patterns = predicted_patterns(case.zetas, next(iter(factors.values())).by_lag.values.shape[2])
    predicted = len(patterns)
    told = lambda count: f"{count} ({'holds' if count == predicted else 'fails'})" if count else "not resolved"
    found = judge_patterns(case, networks[predicted], patterns) if predicted in networks else None
    return Verdict(predicted, patterns, told(needed.by_share), told(needed.by_significance), found)


def judge_patterns(
    case: Case, networks: Mapping[str, Any], patterns: Mapping[str, Float[np.ndarray, " lag"]]
) -> Patterns:
    """Cosines of trained and untrained networks; fading of the trained networks."""
    found, zetas = networks["trained"]["factors"], np.array(case.zetas)
    cosines = lambda net: np.array(
        [match_patterns(seed, [*patterns.values()]) for seed in networks[net]["factors"].by_lag.values]
    )
    trained = cosines("trained")
    holds = lambda rule: "holds" if rule else "fails"
    near = lambda fitted: holds(abs(fitted.mean - zetas).max() <= NEAR)
    low, high = found.zeta.interval
    return Patterns(
        Seeds(trained),
        Seeds(cosines("untrained")),
        holds(np.min(trained, 1).mean() >= ALIKE),
        near(found.zeta),
        near(found.zeta_by_mean_attention),
        (zetas < low) | (zetas > high),
    )


def check(network: TransformerConfig, head_counts: Sequence[int], cases: Sequence[Name], seeds: int) -> None:
    """Refuse a configuration that the claim is not about."""
    if network.layers != 1 or network.context < 6:
        got = f"layers {network.layers}, context {network.context}"
        raise ValueError(f"the claim is about one layer and lags up to 5: give layers 1, context 6 or more; got {got}")
    if network.heads != 1:
        raise ValueError(f"heads follow from head_counts, such as --head-counts 1 2; got heads {network.heads}")
    counts = list(head_counts)
    if counts != sorted(set(counts)) or counts[:1] != [1] or not 2 <= len(counts) <= 6:
        raise ValueError(f"head_counts must ascend from 1, two to six of them, such as 1 2 3; got {counts}")
    if not cases or seeds < 2:
        raise ValueError(
            f"verdicts need a case and the spread of 2 seeds or more; got {len(cases)} cases, {seeds} seeds"
        )


def rival_cosine(zeta: float, other: float, context: int) -> float:
    """The cosine, from lag 1 on, of two fading patterns: a head with this cosine does not tell them apart."""
    lags = np.arange(context)
    return float(match_patterns([other**lags], [zeta**lags])[0])
