"""Controls of a probe's score: shuffled beliefs, and the parts of a belief that the next-token law sees or does not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.held_out import Predict, held_out, held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.probes.weighted import as_ranks, as_reals
from beliefgeo.reading.rows import Rows

# How many numbers the targets of the shuffles that are scored at once may have: 64 MiB of float32.
_CHUNK = 2**24


class PermutationTest(NamedTuple):
    """The held-out R2 of the beliefs, the R2 of the other targets, and how often chance does as well.

    Attributes:
        r2: Held-out R2 of the beliefs.
        shuffled: Held-out R2 of each shuffle.
        p_value: (1 + number of shuffles that score at least as well) / (1 + number of shuffles).
    """

    r2: float
    shuffled: Float[np.ndarray, " shuffle"]
    p_value: float


@dataclass(frozen=True)
class Control:
    """Other targets, drawn again and again, that a probe must beat.

    >>> import beliefgeo as bg
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(), 5)
    >>> test = Control(shuffle_prefixes, jax.random.key(1), 20).against(found.beliefs, found, found.counts)
    >>> round(test.r2, 4), bool(test.shuffled.max() < 0.2), round(test.p_value, 4)
    (1.0, True, 0.0476)

    Attributes:
        shuffle: Targets from a key and the rows: `shuffle_prefixes`, `shuffle_unseen`, or a function of your own.
        key: The key that draws the shuffles.
        count: The number of shuffles, 1 or more; no p-value is below 1 / (count + 1).
    """

    shuffle: Callable[[PRNGKeyArray, Rows], Float[Array, "row target"]]
    key: PRNGKeyArray
    count: int = 1000

    def against(
        self, features: ArrayLike, rows: Rows, weights: ArrayLike, *, score: Predict | None = None
    ) -> PermutationTest:
        """Test whether the probe of the beliefs beats probes of shuffled beliefs; each probe chooses its own cut-offs.

        Args:
            features: `[row, feature]`, activations of each prefix.
            rows: from `reading.rows`.
            weights: `[row]`, `rows.counts` or `rows.probabilities`.
            score: how left-out rows are predicted, as in `held_out`. The default is the nested affine probe. It
                decomposes the features once for each set of left-out folds, whatever the number of shuffles.

        Raises:
            ValueError: as `held_out`; or no shuffles.
        """
        if self.count < 1:
            raise ValueError(f"a control needs a count of 1 shuffle or more; got {self.count}")
        keys = jax.random.split(self.key, self.count)
        if score is None:
            r2, shuffled = self._nested(keys, features, rows, weights)
        else:
            r2 = held_out(features, rows, weights, score=score).r2
            of = lambda key: held_out(features, rows, weights, targets=self.shuffle(key, rows), score=score).r2
            shuffled = np.array([of(key) for key in keys])
        # A shuffle that moves nothing scores the same up to rounding, and must not count as worse.
        return PermutationTest(r2, shuffled, float(1 + (shuffled >= r2 - 1e-6).sum()) / (1 + self.count))

    def _nested(
        self, keys: Array, features: ArrayLike, rows: Rows, weights: ArrayLike
    ) -> tuple[float, Float[np.ndarray, " shuffle"]]:
        beliefs = jnp.asarray(rows.beliefs, as_reals("features", features).dtype)
        size = max(1, _CHUNK // beliefs.size)
        # Not compiled as a whole: the rows would be constants, and XLA spends seconds on evaluating large constants.
        draw = jax.vmap(lambda key: self.shuffle(key, rows).astype(beliefs.dtype))
        score = lambda targets: np.asarray(cross_validated_r2(features, targets, held_out_folds(rows), weights))
        chunks = (keys[first : first + size] for first in range(0, self.count, size))
        scores = [score(jnp.concatenate([beliefs[None], draw(some)])) for some in chunks]
        return float(scores[0][0]), np.concatenate([some[1:] for some in scores])


def shuffle_beliefs(
    key: PRNGKeyArray, beliefs: Float[Array | np.ndarray, "row state"], length: Int[Array | np.ndarray, " row"]
) -> Float[Array, "row state"]:
    """Beliefs permuted among the prefixes of the same length: the same values in random places.

    >>> shuffle_beliefs(jax.random.key(0), jnp.arange(3.0)[:, None], jnp.array([1, 2, 2]))[0].tolist()
    [0.0]
    """
    return _permuted(key, jnp.asarray(beliefs), as_ranks(length))


@jax.jit
def _permuted(
    key: PRNGKeyArray, beliefs: Float[Array, "row state"], group: Int[Array, " row"]
) -> Float[Array, "row state"]:
    home = jnp.argsort(group, stable=True)
    drawn = jnp.lexsort((jax.random.uniform(key, group.shape), group))
    return jnp.zeros_like(beliefs).at[home].set(beliefs[drawn])


def shuffle_prefixes(key: PRNGKeyArray, rows: Rows) -> Float[Array, "row state"]:
    """`shuffle_beliefs` of all prefixes."""
    return shuffle_beliefs(key, rows.beliefs, rows.length)


def shuffle_unseen(key: PRNGKeyArray, rows: Rows) -> Float[Array, "row state"]:
    """Beliefs that keep the part the next-token law sees; the other part is permuted among prefixes of the same length.

    A probe that scores better on the beliefs than on these targets knows more than the next-token law. The law sees
    the sum of a belief's entries, because laws sum to 1. Where the law sees everything, as in Mess3, nothing moves.

    Raises:
        ValueError: laws that are not linear in the beliefs, as in a product of factors.

    >>> from beliefgeo.processes.classical import rrxor
    >>> from beliefgeo.reading.rows import rows
    >>> found = rows(jax.random.key(0), rrxor(), 3)
    >>> moved = shuffle_unseen(jax.random.key(0), found) - found.beliefs
    >>> [round(float(abs(change).max()), 2) for change in (moved, moved @ seen_projector(found.beliefs, found.laws))]
    [0.5, 0.0]
    """
    seen = rows.beliefs @ seen_projector(rows.beliefs, rows.laws)
    return jnp.asarray(seen) + shuffle_beliefs(key, rows.beliefs - seen, rows.length)


def seen_projector(
    beliefs: Float[np.ndarray, "row state"], laws: Float[np.ndarray, "row token"]
) -> Float[np.ndarray, "state state"]:
    """The orthogonal projector on what the next-token law sees of a belief eta; it cannot see eta - eta @ projector.

    Let M be the linear map with law = eta M on the span of the beliefs. The projector, M M^+, is on the part of that
    span that is orthogonal to the kernel of M. It is in float64; singular values below 1e-5 of the largest count as 0.

    >>> seen_projector(np.eye(3), np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])).round(2).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.5, 0.5]]
    """
    linear = np.linalg.lstsq(beliefs, laws, rcond=1e-5)[0]
    if (error := abs(beliefs @ linear - laws).max()) > 1e-4:
        raise ValueError(
            f"next-token laws must be linear in the beliefs, as for a Process; got an error of {error:.2g}: take the "
            "joint beliefs of a product, or the laws of one factor"
        )
    return linear @ np.linalg.pinv(linear, rcond=1e-5)


def shuffle_words(
    key: PRNGKeyArray, rows: Rows
) -> tuple[Int[np.ndarray, " word_position"], Float[Array, "word_position state"]]:
    """The shuffle of Shai et al. 2405.15943: every word and position gets the belief of another word.

    Returns:
        The row of each word and position, and for each a belief permuted within the position.
    """
    row = np.repeat(np.arange(len(rows.counts)), rows.counts)
    return row, shuffle_beliefs(key, rows.beliefs[row], rows.length[row])


class Rank(NamedTuple):
    """How many of the beliefs' dimensions the next-token law tells.

    Attributes:
        rank: The rank of the map from belief to law.
        of: The number of dimensions of the span of the beliefs.
    """

    rank: int
    of: int

    def __str__(self) -> str:  # noqa: D105
        return f"{self.rank} of {self.of}"


def law_rank(rows: Rows) -> Rank:
    """How many of the beliefs' dimensions the next-token law tells: the rank of the linear map from beliefs to laws.

    Where the two numbers are equal, the belief is an affine image of the law: a probe that finds the belief may have
    found no more than the prediction.

    Raises:
        ValueError: laws that are not linear in the beliefs; see `seen_projector`.

    >>> import beliefgeo as bg
    >>> str(law_rank(bg.reading.rows(jax.random.key(0), bg.rrxor(), 5)))
    '2 of 5'
    """
    rank = np.trace(seen_projector(rows.beliefs, rows.laws))  # the trace of a projector is its rank
    return Rank(round(float(rank)), int(np.linalg.matrix_rank(rows.beliefs, rtol=1e-5)))


class Parts(NamedTuple):
    """Held-out R2 of the beliefs and of their parts.

    Attributes:
        r2: R2 of the whole beliefs.
        seen: R2 of the part that the next-token law sees.
        unseen: R2 of the part that the law cannot see; 1 where there is no such part, as in Mess3: it does not vary.
    """

    r2: float
    seen: float
    unseen: float


def score_parts(features: Float[Array, "row feature"], rows: Rows, weights: ArrayLike | None = None) -> Parts:
    """Held-out R2 of the beliefs, of the part that the next-token law sees, and of the part that it cannot see.

    Args:
        features: activations of each prefix.
        rows: from `reading.rows`.
        weights: `[row]`; default `rows.counts`, which counts every word and position equally.

    Raises:
        ValueError: laws that are not linear in the beliefs; see `seen_projector`.
    """
    seen = rows.beliefs @ seen_projector(rows.beliefs, rows.laws)
    unseen = rows.beliefs - seen
    # Where the law sees everything, as in Mess3, the rest is rounding.
    unseen = np.where(abs(unseen).max() > 1e-6 * abs(rows.beliefs).max(), unseen, 0)
    targets = np.stack([rows.beliefs, seen, unseen])
    weights = rows.counts if weights is None else weights
    return Parts(*(float(r2) for r2 in cross_validated_r2(features, targets, held_out_folds(rows), weights)))
