"""The learning rates that were tried, those chosen, and how long each task is learnt.

Chosen on a pilot of one network each, on other HMMs: `python experiments/fixed_or_prompted rates`, whose seed is 7.
"""

from learners import Learner
from tasks import Name

TRIED = (3e-3, 1e-2, 3e-2, 1e-1)
"""The peak learning rates tried for each learner in each task."""
RATES: dict[Name, dict[Learner, float]] = {
    "fixed": {"transformer": 3e-2, "LSTM": 3e-2, "GRU": 3e-2},
    "told": {"transformer": 3e-2, "LSTM": 1e-1, "GRU": 3e-2},
    "inferred": {"transformer": 3e-2, "LSTM": 3e-2, "GRU": 1e-1},
}
"""The best of them on a pilot, by the gap; in `told`, and of the transformer in `fixed`, after all steps: after half of
them .1 was best for some that it then drives apart."""
LONGER: dict[Name, int] = {"fixed": 1, "told": 4, "inferred": 2}
"""How many times the number of steps each task is learnt for."""
