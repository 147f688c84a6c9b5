"""Whether a machine that was made from data can emit these data: every state is followed through all tokens."""

import numpy as np
from jaxtyping import Bool, Int


def allowed(
    successors: Int[np.ndarray, "state token"], sequences: Int[np.ndarray, "batch time"]
) -> Bool[np.ndarray, " batch"]:
    """Whether some state has a path through the whole sequence, so that the sequence has a positive probability.

    The states are followed through about time^1/2 pieces of each sequence at once; then the pieces are joined.

    Args:
        successors: the state after each token, negative where the token is impossible.
        sequences: tokens within 0..V-1, -1 after the end of a shorter sequence.

    >>> alternate = np.array([[1, -1], [-1, 0]])
    >>> allowed(alternate, np.array([[0, 1, 0], [0, 1, 1]])).tolist()
    [True, False]
    """
    (n_states, vocab_size), (n_rows, length) = successors.shape, sequences.shape
    size = max(1, int(length**0.5))
    padded = np.pad(sequences, [(0, 0), (0, -length % size)], constant_values=-1)
    pieces = np.where(padded < 0, vocab_size, padded).reshape(-1, size)
    # Add a state that nothing leaves, for impossible tokens, and a token that changes no state, for the padding.
    table = np.pad(np.where(successors < 0, n_states, successors), ((0, 1), (0, 1)), constant_values=n_states)
    table[:, vocab_size] = np.arange(n_states + 1)
    table = table.reshape(-1)
    reached = np.repeat(np.arange(n_states)[None], len(pieces), 0)
    for tokens in pieces.T:
        reached = table[reached * (vocab_size + 1) + tokens[:, None]]
    reached = reached.reshape(n_rows, -1, n_states).transpose(1, 0, 2)
    dead = np.full((n_rows, 1), n_states)
    states = np.repeat(np.arange(n_states)[None], n_rows, 0)
    for piece in reached:
        states = np.take_along_axis(np.concatenate([piece, dead], 1), states, 1)
    return (states < n_states).any(1)


def first_impossible(successors: Int[np.ndarray, "state token"], tokens: Int[np.ndarray, " time"]) -> int:
    """The position of the first token that no state allows after the tokens before it; the length if there is none.

    >>> first_impossible(np.array([[1, -1], [-1, 0]]), np.array([0, 1, 1]))
    2
    """
    table, states = successors.tolist(), set(range(len(successors)))
    for position, token in enumerate(tokens.tolist()):
        states = {table[state][token] for state in states if table[state][token] >= 0}
        if not states:
            return position
    return len(tokens)


def repeats(sequences: Int[np.ndarray, "batch time"]) -> bool:
    """Whether every sequence repeats a word ten times or more, perhaps with a part of it at the end; or is empty.

    >>> repeats(np.array([[0, 1, 1] * 10 + [0]])), repeats(np.array([[0, 1, 1] * 10 + [1]]))
    (True, False)
    """
    return all(_period(row[row >= 0]) for row in sequences if (row >= 0).any())


def _period(tokens: Int[np.ndarray, " time"]) -> int:
    """The least shift, up to a tenth of the length, that changes nothing, by a search for a substring; 0 for none."""
    text = (tokens % 251).astype(np.uint8).tobytes()
    shift = max(0, text.find(text[: len(text) - len(text) // 10], 1))
    return shift if (tokens[shift:] == tokens[: len(tokens) - shift]).all() else 0


def called(token: int | np.integer, names: tuple[str, ...] | None) -> str:
    """A token in a message: its name, else its number."""
    return repr(names[token]) if names else str(token)


def require_explained(
    successors: Int[np.ndarray, "state token"],
    sequences: Int[np.ndarray, "batch time"],
    history_length: int,
    future_length: int,
    suspect: str = "",
    names: tuple[str, ...] | None = None,
) -> None:
    """Raise ValueError unless a machine allows every sequence it was made from, and no choice if these repeat.

    The lengths are those within which its states were told apart. `suspect` says what may be wrong if a sequence is not
    allowed. `names` are the names of the tokens.
    """
    found = f"the {len(successors)} states found with history_length {history_length}, future_length {future_length}"
    if ((successors >= 0).sum(1) > 1).any() and repeats(sequences[:, history_length:]):
        raise ValueError(
            f"{found} leave a choice, though the data repeat one word: raise history_length or future_length"
        )
    explained = allowed(successors, sequences)
    if explained.all():
        return
    row = int(explained.argmin())
    lengths = (sequences >= 0).sum(1, keepdims=True)
    position = first_impossible(successors, sequences[row, : lengths[row, 0]])
    counted = np.where(np.arange(sequences.shape[1]) <= lengths - future_length, sequences, -1)[:, history_length:]
    if allowed(successors, counted).all():
        advice = (
            f"it is among the first {history_length} or last {future_length - 1} tokens of a sequence, which are not "
            "counted, and what is does not explain it: leave them out"
        )
    else:
        advice = (
            f"{suspect or 'histories that differ later were taken for one'}: raise future_length or history_length "
            "(sequences of different processes: give them one at a time)"
        )
    token, place = called(sequences[row, position], names), f"{f'{row}, ' * (len(sequences) > 1)}{position}"
    raise ValueError(
        f"{found} give the data probability 0: none explains token {token} at position {place} after those before it; "
        f"{advice}"
    )
