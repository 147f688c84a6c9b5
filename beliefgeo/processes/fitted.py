"""Processes from the fitted models of hmmlearn, dynamax and pomegranate, none of which is imported.

The three share a convention: the current state emits, then moves (a Moore machine), and the initial law is the law of
the state that emits the first token. `from_moore` takes it as it is; the belief after t tokens is the law of the state
that emits the next token, so their filtered law of the state that emitted token t is one move behind.
"""

from typing import Any

import numpy as np

from beliefgeo.processes.construct import from_moore
from beliefgeo.processes.process import Process


def from_hmmlearn(model: Any) -> Process:
    """The process of hmmlearn's `CategoricalHMM`; `log_probability(process, tokens)` is its `score(tokens[:, None])`.

    It starts from `startprob_`, which a fit rarely makes stationary.

    Args:
        model: with `startprob_` `[state]`, `transmat_` `[state, next_state]` and `emissionprob_` `[state, token]`.

    Raises:
        ValueError: a model without these, such as one of real numbers, or one that counts several trials.

    >>> from types import SimpleNamespace
    >>> parts = {"startprob_": [1.0, 0.0], "transmat_": [[0.5, 0.5], [1.0, 0.0]], "emissionprob_": [[1, 0], [0, 1]]}
    >>> from_hmmlearn(SimpleNamespace(**parts)).transitions[0].tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    if not hasattr(model, "emissionprob_") or hasattr(model, "n_trials"):
        raise ValueError(
            f"from_hmmlearn needs a fitted CategoricalHMM, which emits a token at a time; got {type(model).__name__}"
        )
    return from_moore(model.startprob_, model.transmat_, model.emissionprob_)


def from_dynamax(params: Any) -> Process:
    """The process of dynamax's `CategoricalHMM`; `log_probability` is its `marginal_log_prob(params, tokens[:, None])`.

    Args:
        params: what `initialize` or a fit returned: `initial.probs` `[state]`, `transitions.transition_matrix`
            `[state, next_state]` and `emissions.probs` `[state, 1, token]`.

    Raises:
        ValueError: params without these, or of several tokens at a time.

    >>> from types import SimpleNamespace as Part
    >>> moves, emissions = [[0.5, 0.5], [1.0, 0.0]], [[[1.0, 0.0]], [[0.0, 1.0]]]
    >>> parts = {"initial": Part(probs=[1.0, 0.0]), "emissions": Part(probs=emissions)}
    >>> from_dynamax(Part(**parts, transitions=Part(transition_matrix=moves))).transitions[0].tolist()
    [[0.5, 0.5], [0.0, 0.0]]
    """
    emissions = np.asarray(getattr(getattr(params, "emissions", None), "probs", ()))
    if emissions.ndim != 3 or emissions.shape[1] != 1:
        raise ValueError(
            "from_dynamax needs the params of a CategoricalHMM with emission_dim=1, emissions.probs [state, 1, token]; "
            f"got {type(params).__name__} with emissions.probs of shape {emissions.shape}"
        )
    return from_moore(params.initial.probs, params.transitions.transition_matrix, emissions[:, 0])


def from_pomegranate(model: Any) -> Process:
    """The process of pomegranate's `DenseHMM` of `Categorical` distributions.

    A sequence of pomegranate may end, and its `log_probability` is that of a sequence and its end. If the moves and the
    end of each state sum to 1 together, as after a fit, the process has one more token, V, which comes after the end
    and then only repeats: theirs is `log_probability(process, [*tokens, V])`. If the moves sum to 1 alone, the process
    has no end, and theirs is greater by the logarithm of the end, which is ln (1 / states) unless it was given.

    Args:
        model: with `starts` and `ends` `[state]` and `edges` `[state, next_state]`, logarithms all, and
            `distributions`, each with `probs` `[1, token]`.

    Raises:
        ValueError: a model without these, such as a `SparseHMM`, or one whose moves do not sum to 1.

    >>> from types import SimpleNamespace as Part
    >>> distributions = [Part(probs=[[1.0, 0.0]]), Part(probs=[[0.0, 1.0]])]
    >>> with np.errstate(divide="ignore"):
    ...     starts, ends, edges = (np.log(law) for law in ([1.0, 0.0], [0.0, 0.5], [[0.5, 0.5], [0.5, 0.0]]))
    >>> process = from_pomegranate(Part(distributions=distributions, starts=starts, ends=ends, edges=edges))
    >>> process.transitions[1].tolist()
    [[0.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    edges, starts = (_chances(getattr(model, name, ())) for name in ("edges", "starts"))
    emissions = [_numbers(getattr(one, "probs", ())) for one in getattr(model, "distributions", None) or ()]
    if edges.ndim != 2 or not emissions or any(one.ndim != 2 or len(one) != 1 for one in emissions):
        raise ValueError(
            "from_pomegranate needs a DenseHMM of Categorical distributions of one token, fitted or given edges and "
            f"starts; got {type(model).__name__}"
        )
    emissions = np.concatenate(emissions)
    if abs(edges.sum(1) - 1).max() <= 1e-5:
        return from_moore(starts, edges, emissions)
    # The end is a state, which emits the last token for ever.
    moves = np.pad(edges, ((0, 1), (0, 1)))
    moves[:, -1] = [*_chances(model.ends), 1]
    emissions = np.pad(emissions, ((0, 1), (0, 1)))
    emissions[-1, -1] = 1
    return from_moore(np.append(starts, 0), moves, emissions)


def _chances(logarithms: Any) -> np.ndarray:
    return np.asarray(np.exp(_numbers(logarithms)))


def _numbers(values: Any) -> np.ndarray:
    """PyTorch's tensors, which may carry gradients, and anything else, in float64."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, np.float64)
