"""Slow float64 truth, in loops and with nothing shared with the package."""

import itertools
from typing import NamedTuple

import numpy as np


def matrices(process):
    return np.asarray(process.transitions, np.float64)


def joint_probability(process, word):
    """P(word): the initial vector through the product of matrices, unnormalised, onto the readout."""
    vector = np.asarray(process.initial, np.float64)
    for token in word:
        vector = vector @ matrices(process)[token]
    return vector @ np.asarray(process.readout, np.float64)


def belief(process, word):
    """The belief after a word: unnormalised product, normalised once at the end."""
    vector = np.asarray(process.initial, np.float64)
    for token in word:
        vector = vector @ matrices(process)[token]
    return vector / (vector @ np.asarray(process.readout, np.float64))


def all_words(vocab_size, length):
    return list(itertools.product(range(vocab_size), repeat=length))


def conditional(process, word):
    """P(next token | word) as a ratio of probabilities of words."""
    extended = [joint_probability(process, (*word, token)) for token in range(len(matrices(process)))]
    return np.array(extended) / joint_probability(process, word)


def block_entropy(process, length):
    probabilities = [joint_probability(process, word) for word in all_words(len(matrices(process)), length)]
    return -sum(p * np.log(p) for p in probabilities if p > 1e-15)


def hidden_path_probability(process, word):
    """P(word) by summing over every hidden path one at a time (HMMs only)."""
    transitions, initial = matrices(process), np.asarray(process.initial, np.float64)
    total = 0.0
    for path in itertools.product(range(len(initial)), repeat=len(word) + 1):
        term = initial[path[0]]
        for token, here, there in zip(word, path[:-1], path[1:], strict=True):
            term *= transitions[token, here, there]
        total += term
    return total


class Truth(NamedTuple):
    """What a filter should give, and how far one of a given precision may be off; see `filter_truth`."""

    beliefs: np.ndarray  # [time + 1, state], NaN after an impossible token
    probabilities: np.ndarray  # [time], of each token given those before it, 0 from an impossible one on
    errors: np.ndarray  # [time + 1, state], of the beliefs
    margins: np.ndarray  # [time], of the probabilities; a greater probability can be told from 0

    @property
    def doubts(self):
        """The margins relative to the probabilities, infinite where these are 0."""
        possible = self.probabilities > 0
        return np.where(possible, self.margins, np.inf) / np.where(possible, self.probabilities, 1)


@np.errstate(divide="ignore", invalid="ignore")  # from an impossible token on all is 0 / 0
def filter_truth(transitions, initial, word, precision, basis=None, *, unbounded=False):
    """Filter an HMM in extended precision, normalised at each token so that nothing underflows, with running errors.

    The errors are those of one who keeps beliefs b = h B (`basis` B, the identity for an HMM) of mass 1 in `precision`
    and moves them by M = B^-1 T B: each step adds gamma |b| |M| for the rounding of sums of S products and of M
    itself, gamma = (3 S + 8) eps, and S times the smallest normal number for what underflows, unless the exponents are
    `unbounded`; h-errors are moved, and magnified where the token is improbable, like beliefs. Nothing cancels in an
    HMM, so there every entry has a relative error of t gamma.
    """
    n_states = len(initial)
    info = np.finfo(precision)
    gamma = (3 * n_states + 8) * np.longdouble(info.eps)
    least = 0 if unbounded else 2 * n_states * np.longdouble(info.tiny)
    gamma *= 1 if basis is None else 4  # B^-1 T B is itself a product of rounded matrices
    basis = np.eye(n_states) if basis is None else np.asarray(basis, np.float64)
    inverse = np.linalg.inv(basis)
    scale = inverse.sum(1)[abs(inverse.sum(1)).argmax()]  # the package's readout has largest entry +1

    belief = np.asarray(initial, np.longdouble)
    error = gamma * (abs(belief @ basis) @ abs(inverse))
    beliefs, errors, probabilities, margins = [belief], [error], [], []
    for token in word:
        matrix = np.asarray(transitions[token], np.longdouble)
        joint = belief @ matrix
        probability = joint.sum()
        size = abs(inverse @ transitions[token] @ basis)
        moved = error @ matrix + gamma * (abs(belief @ basis) @ size @ abs(inverse)) + least
        margins.append(error.sum() * probability + moved.sum())
        probabilities.append(probability)
        belief, error = joint / probability, moved / probability
        beliefs.append(belief)
        errors.append(error)
    beliefs, errors = np.array(beliefs), np.array(errors)
    errors = errors @ abs(basis) + abs(beliefs @ basis) * errors.sum(1, keepdims=True)
    parts = scale * (beliefs @ basis), np.nan_to_num(probabilities), abs(scale) * errors, margins
    return Truth(*(np.array(part, np.float64) for part in parts))


@np.errstate(divide="ignore", invalid="ignore")  # an impossible word is 0 / 0
def smoothed(transitions, initial, word):
    """P(state after t tokens | all tokens) of an HMM, and ln P(word), in extended precision; NaN if impossible."""
    matrices = np.asarray(transitions, np.longdouble)[list(word)]
    forward, backward, log_probability = [np.asarray(initial, np.longdouble)], [np.ones(len(initial), np.longdouble)], 0
    for matrix in matrices:
        joint = forward[-1] @ matrix
        log_probability += np.log(joint.sum())
        forward.append(joint / joint.sum())
    for matrix in matrices[::-1]:
        future = matrix @ backward[-1]
        backward.append(future / future.max())
    both = np.array(forward) * np.array(backward[::-1])
    return np.asarray(both / both.sum(1, keepdims=True), np.float64), float(log_probability)


@np.errstate(divide="ignore")
def path_log_probabilities(transitions, initial, word, path):
    """ln P of the first state of a path, and of each token and move after it."""
    moves = [transitions[token][here, there] for token, here, there in zip(word, path[:-1], path[1:], strict=True)]
    return np.log([initial[path[0]], *moves])


@np.errstate(divide="ignore")
def likeliest_log_probability(transitions, initial, word):
    """The greatest ln P(states, word) over hidden paths."""
    score = np.log(np.asarray(initial, np.longdouble))
    for token in word:
        score = (score[:, None] + np.log(np.asarray(transitions[token], np.longdouble))).max(0)
    return float(score.max())


def closed_classes(matrix):
    """The sets of states that are never left, by who reaches whom."""
    reach = np.eye(len(matrix), dtype=bool) | (np.asarray(matrix) > 0)
    for middle in range(len(matrix)):
        reach |= reach[:, middle, None] & reach[None, middle]
    return {
        tuple(np.flatnonzero(row)) for row in reach if all((reach[other] == row).all() for other in row.nonzero()[0])
    }


def stationary_law(matrix, states):
    """The stationary law of one closed class by elimination of states, without subtractions (Grassmann et al. 1985)."""
    chain = np.asarray(matrix, np.longdouble)[np.ix_(states, states)].copy()
    for last in range(len(chain) - 1, 0, -1):
        chain[:last, last] /= chain[last, :last].sum()
        chain[:last, :last] += chain[:last, last, None] * chain[last, :last]
    law = np.zeros(len(matrix), np.longdouble)
    law[states[0]] = 1
    for place in range(1, len(chain)):
        law[states[place]] = law[list(states[:place])] @ chain[:place, place]
    return np.asarray(law / law.sum(), np.float64)


def canonical_correlations(left, right, weights):
    """Cosines between the column spaces of two sets of full rank, each column about its mean and at unit scale."""
    share = np.asarray(weights, np.float64) / np.sum(weights)
    axes = []
    for values in (left, right):
        about = np.asarray(values, np.float64) - share @ np.asarray(values, np.float64)
        axes.append(np.linalg.qr(np.sqrt(share)[:, None] * about / abs(about).max(0))[0])
    return np.linalg.svd(axes[0].T @ axes[1], compute_uv=False)


def weighted_least_squares(features, targets, weights, *, offset=True):
    """R2 and predictions of float64 weighted least squares by the singular value decomposition."""
    features, targets = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    root = np.sqrt(np.asarray(weights, np.float64))[:, None]
    if offset:
        share = root**2 / (root**2).sum()
        center, middle = (share * features).sum(0), (share * targets).sum(0)
    else:
        center, middle = np.zeros(features.shape[1]), np.zeros(targets.shape[1])
    scale = np.sqrt((root**2 * (features - center) ** 2).sum(0))
    scale[scale == 0] = 1
    design = (features - center) / scale
    solution = np.linalg.lstsq(root * design, root * (targets - middle), rcond=1e-10)[0]
    predictions = design @ solution + middle
    share = root**2 / (root**2).sum()
    residual = (share * (targets - predictions) ** 2).sum()
    variance = (share * (targets - (share * targets).sum(0)) ** 2).sum()
    return 1 - residual / variance, predictions
