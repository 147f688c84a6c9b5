"""Slow float64 truth, in loops and with nothing shared with the package."""

import itertools

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
