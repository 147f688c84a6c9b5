import itertools

import numpy as np

from beliefgeo.beliefs.replay import allowed, first_impossible, repeats

EVEN = np.array([[0, 1], [-1, 0]])  # 1s in pairs


def position(successors, tokens):
    """By following every state, one token after the other."""
    states = range(len(successors))
    for place, token in enumerate(tokens):
        states = {successors[state, token] for state in states} - {-1}
        if not states:
            return place
    return len(tokens)


def test_against_a_loop():
    rng = np.random.default_rng(0)
    for n_states, length in itertools.product((1, 2, 5), (1, 2, 3, 10, 37)):
        successors = rng.integers(-1, n_states, (n_states, 3))
        rows = rng.integers(0, 3, (50, length))
        expected = [position(successors, row) for row in rows]
        assert allowed(successors, rows).tolist() == [place == length for place in expected]
        assert [first_impossible(successors, row) for row in rows] == expected


def test_a_single_fault_in_many_tokens_is_found_where_it_is():
    rng = np.random.default_rng(0)
    tokens = np.concatenate([[0, 1, 1][: 1 + 2 * one] if one else [0] for one in rng.integers(0, 2, 50_000)])
    assert allowed(EVEN, tokens[None]).all()
    fault = int(np.flatnonzero(tokens == 1)[20_000])
    spoilt = np.insert(tokens, fault, 1)
    assert not allowed(EVEN, spoilt[None]).any()
    zero = fault + int((spoilt[fault:] == 0).argmax())  # the run of 1s is odd, which its end shows
    assert first_impossible(EVEN, spoilt) == zero


def test_words_repeated():
    rng = np.random.default_rng(0)
    for length in (1, 2, 7, 300):
        word = rng.integers(0, 300, length)
        assert repeats(np.tile(word, 12)[None]) and repeats(np.tile(word, 12)[None, : 10 * length + length // 2])
        assert not repeats(np.append(np.tile(word, 12), 299 - word[0])[None])
        assert not repeats(np.append(np.tile(word, 12), word[0] + 251)[None])  # alike but for a multiple of 251
    assert not repeats(np.stack([np.zeros(50, int), rng.integers(0, 2, 50)]))


def test_shorter_sequences():
    rng = np.random.default_rng(1)
    successors = rng.integers(-1, 4, (4, 3))
    rows = [rng.integers(0, 3, length) for length in rng.integers(0, 12, 200)]
    padded = np.full((200, 12), -1)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    expected = [position(successors, row) == len(row) for row in rows]
    assert allowed(successors, padded).tolist() == expected and len(set(expected)) == 2
    word = np.tile([0, 1], 30)
    alone = np.full((2, 60), -1)
    alone[0] = word
    assert repeats(alone)  # the empty one says nothing
    alone[1, :21] = word[:21]
    assert repeats(alone)
    alone[1, :21] = 0, 0, *word[:19]
    assert not repeats(alone)
