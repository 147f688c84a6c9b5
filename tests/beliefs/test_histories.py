import numpy as np
from scipy.stats import chi2_contingency

from beliefgeo.beliefs.histories import IMPOSSIBLE, agreement, extend, grow
from beliefgeo.beliefs.windows import count_futures


def test_agreement_against_scipy():
    rng = np.random.default_rng(0)
    one, others = rng.integers(1, 50, (3, 4)), rng.integers(1, 50, (5, 3, 4))
    others[2, 1] = 0  # a continuation never seen says nothing
    for state, p_value in enumerate(agreement(one, others)):
        seen = [j for j in range(3) if others[state, j].any()]
        tables = [np.stack([one[j], others[state, j]]) for j in seen]
        p_values = [chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue for table in tables]
        np.testing.assert_allclose(p_value, len(seen) * min(p_values))


def test_a_token_that_the_shortest_history_lacks_is_taken_from_its_like():
    """A coin whose token 1 follows neither of the two 2s that there are, but many a 0: all are one state."""
    tokens = np.random.default_rng(0).integers(0, 2, 4000)
    tokens[[1000, 3000]], tokens[[1001, 3001]] = 2, 0
    growth = grow(count_futures(tokens[None], 3, 1), 1e-3)
    assert growth.known == [(0, 0)] and growth.successors == [[0, 0, 0]]


def test_a_token_of_unlike_histories_only_is_no_move():
    """After 1 come four 0s; with futures of 3 the histories 1 and 10 are one state, from which 1 is never seen."""
    growth = grow(count_futures((np.arange(7000) % 5 == 0).astype(int)[None], 6, 3), 1e-3)
    state = growth.known.index((1, 1))
    assert growth.successors[state] == [state, IMPOSSIBLE]


def test_words_are_followed_from_state_to_state():
    np.testing.assert_array_equal(extend(np.array([[1, -1], [0, -2]]), np.array([0, 1, -1])), [1, -1, 0, -2, -1, -1])
