"""What a probe's score is worth: the same score of shuffled beliefs, of the next-token law alone, of what it tells."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from beliefgeo.arrays import ArrayLike
from beliefgeo.probes.held_out import Predict, held_out, held_out_folds
from beliefgeo.probes.nested import cross_validated_r2
from beliefgeo.probes.weighted import as_reals
from beliefgeo.reading.rows import Rows

# Numbers in the targets of the shuffles scored at once: 64 MiB of float32.
_CHUNK = 2**24


class PermutationTest(NamedTuple):
    """The held-out R2 of the beliefs, those of other targets, and how often chance does as well."""

    r2: float
    shuffled: Float[np.ndarray, " shuffle"]
    p_value: float
    """(1 + number of shuffles that score at least as well) / (1 + number of shuffles)."""


class Control(NamedTuple):
    """Other targets, drawn again and again, that a probe must beat.

    >>> import beliefgeo as bg
    >>> found = bg.reading.rows(jax.random.key(0), bg.mess3(), 5)
    >>> test = Control(shuffle_prefixes, jax.random.key(1), 20).against(found.beliefs, found, found.counts)
    >>> round(test.r2, 4), bool(test.shuffled.max() < 0.2), round(test.p_value, 4)
    (1.0, True, 0.0476)
    """

    shuffle: Callable[[PRNGKeyArray, Rows], Float[Array, "row target"]]
    """Targets from a key and the rows: `shuffle_prefixes`, `shuffle_unseen`, or anybody's own."""
    key: PRNGKeyArray
    """Draws the shuffles."""
    count: int = 1000
    """The number of shuffles, 1 or more; no p-value is below 1 / (count + 1)."""

    def against(
        self, features: ArrayLike, rows: Rows, weights: ArrayLike, *, score: Predict | None = None
    ) -> PermutationTest:
        """Does the probe of the beliefs beat probes of shuffled beliefs, each with cut-offs of its own choice?

        Args:
            features: `[row, feature]`, activations of each prefix.
            rows: from `reading.rows`.
            weights: `[row]`, `rows.counts` or `rows.probabilities`.
            score: how left-out rows are predicted, as in `held_out`. By default the nested affine probe, of which the
                features are decomposed once for each set of folds left out, whatever the number of shuffles.

        Raises:
            ValueError: as `held_out`; no shuffles.
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
        # Shuffles that move nothing score the same but for rounding, and must not seem to do worse.
        return PermutationTest(r2, shuffled, float(1 + (shuffled >= r2 - 1e-6).sum()) / (1 + self.count))

    def _nested(
        self, keys: Array, features: ArrayLike, rows: Rows, weights: ArrayLike
    ) -> tuple[float, Float[np.ndarray, " shuffle"]]:
        beliefs = jnp.asarray(rows.beliefs, as_reals("features", features).dtype)
        size = max(1, _CHUNK // beliefs.size)
        # Not compiled as a whole: the rows would be constants of that program, and XLA spends seconds on folding them.
        draw = jax.vmap(lambda key: self.shuffle(key, rows).astype(beliefs.dtype))
        score = lambda targets: np.asarray(cross_validated_r2(features, targets, held_out_folds(rows), weights))
        chunks = (keys[first : first + size] for first in range(0, self.count, size))
        scores = [score(jnp.concatenate([beliefs[None], draw(some)])) for some in chunks]
        return float(scores[0][0]), np.concatenate([some[1:] for some in scores])


@jax.jit
def shuffle_beliefs(
    key: PRNGKeyArray, beliefs: Float[Array | np.ndarray, "row state"], length: Int[Array | np.ndarray, " row"]
) -> Float[Array, "row state"]:
    """Beliefs permuted among the prefixes of the same length: the same values, none where it belongs.

    >>> shuffle_beliefs(jax.random.key(0), jnp.arange(3.0)[:, None], jnp.array([1, 2, 2]))[0].tolist()
    [0.0]
    """
    length = jnp.asarray(length)
    home = jnp.argsort(length, stable=True)
    drawn = jnp.lexsort((jax.random.uniform(key, length.shape), length))
    beliefs = jnp.asarray(beliefs)
    return jnp.zeros_like(beliefs).at[home].set(beliefs[drawn])


def shuffle_prefixes(key: PRNGKeyArray, rows: Rows) -> Float[Array, "row state"]:
    """`shuffle_beliefs` of all prefixes."""
    return shuffle_beliefs(key, rows.beliefs, rows.length)


def shuffle_unseen(key: PRNGKeyArray, rows: Rows) -> Float[Array, "row state"]:
    """Beliefs whose part that the next-token law sees stays, the other permuted among prefixes of the same length.

    A probe that scores better on the beliefs than on these knows more than the next-token law. The sum of a
    belief's entries is seen, for laws sum to 1; where everything is, as in Mess3, nothing moves.

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
    """The orthogonal projector on what the next-token law sees of a belief; eta - eta @ projector it cannot see.

    Of the linear map M with law = eta M on the span of the beliefs, the part of that span orthogonal to the kernel
    of M: M M^+. In float64, singular values below 1e-5 of the largest taken for 0.

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
    """The shuffle of Shai et al. 2405.15943: every word and position by itself, its belief from another word.

    Returns:
        For each word and position its row, and a belief permuted within the position.
    """
    row = np.repeat(np.arange(len(rows.counts)), rows.counts)
    return row, shuffle_beliefs(key, rows.beliefs[row], rows.length[row])


class Rank(NamedTuple):
    """Of how many of the beliefs' dimensions the next-token law tells."""

    rank: int
    of: int

    def __str__(self) -> str:  # noqa: D105
        return f"{self.rank} of {self.of}"


def law_rank(rows: Rows) -> Rank:
    """Of how many of the beliefs' dimensions the next-token law tells: the rank of the linear map that gives it.

    Where the two numbers are equal the belief is an affine image of the law: a probe that finds it may have found no
    more than the prediction.

    Raises:
        ValueError: laws that are not linear in the beliefs; see `seen_projector`.

    >>> import beliefgeo as bg
    >>> str(law_rank(bg.reading.rows(jax.random.key(0), bg.rrxor(), 5)))
    '2 of 5'
    """
    rank = np.trace(seen_projector(rows.beliefs, rows.laws))  # of a projector
    return Rank(round(float(rank)), int(np.linalg.matrix_rank(rows.beliefs, rtol=1e-5)))


class Parts(NamedTuple):
    """Held-out R2 of the beliefs and of their parts."""

    r2: float
    seen: float
    """Of the part that the next-token law sees."""
    unseen: float
    """Of the part that it cannot see: 1 where there is none, as in Mess3, as of all that does not vary."""


def score_parts(features: Float[Array, "row feature"], rows: Rows, weights: ArrayLike | None = None) -> Parts:
    """Held-out R2 of the beliefs, and of their parts that the next-token law sees and that it cannot see.

    Args:
        features: activations of each prefix.
        rows: from `reading.rows`.
        weights: `[row]`; default `rows.counts`, every word and position equally.

    Raises:
        ValueError: laws that are not linear in the beliefs; see `seen_projector`.
    """
    seen = rows.beliefs @ seen_projector(rows.beliefs, rows.laws)
    unseen = rows.beliefs - seen
    # Where all is seen, as in Mess3, rounding is left.
    unseen = np.where(abs(unseen).max() > 1e-6 * abs(rows.beliefs).max(), unseen, 0)
    targets = np.stack([rows.beliefs, seen, unseen])
    weights = rows.counts if weights is None else weights
    return Parts(*(float(r2) for r2 in cross_validated_r2(features, targets, held_out_folds(rows), weights)))
