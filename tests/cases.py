"""Every process, by name, and a generalised one with entries of both signs."""

import jax
import numpy as np
import pytest

import beliefgeo as bg

CLASSICAL = {
    "coin": lambda: bg.coin(0.3),
    "mess3": lambda: bg.mess3(),
    "mess2": lambda: bg.mess(0.85, 0.6, 2),
    "mess4": lambda: bg.mess(0.1, 0.7, 4),
    "composite_mess3": lambda: bg.composite_mess3(0.05, 0.85, 0.15, 0.6, 0.02),
    "rrxor": lambda: bg.rrxor(),
    "rrxor_biased": lambda: bg.rrxor(0.3, 0.6),
    "leaky_rrxor": lambda: bg.leaky_rrxor(0.5, 0.4, 0.05),
    "checksum": lambda: bg.checksum([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]),
    "z1r": lambda: bg.z1r(),
    "cycle": lambda: bg.cycle(5, 0.7),
    "even": lambda: bg.even(0.4),
    "golden_mean": lambda: bg.golden_mean(),
    "sns": lambda: bg.sns(0.3, 0.6),
    "mr_name": lambda: bg.mr_name(),
    "matching_parens": lambda: bg.matching_parens([1.0, 0.6, 0.3]),
    "random_hmm": lambda: bg.random_hmm(jax.random.key(3), 4, 3),
    "many_states": lambda: bg.random_hmm(jax.random.key(4), 9, 2),
    "days_of_week": lambda: bg.days_of_week(),
}


def signed_golden_mean():
    """Golden mean in a basis that mixes its states: an impossible word, reached by cancellation of signs."""
    golden = bg.golden_mean()
    basis = np.array([[0.7, -0.9], [1.3, 0.4]])
    inverse = np.linalg.inv(basis)
    transitions, initial = basis @ np.asarray(golden.transitions) @ inverse, np.asarray(golden.initial) @ inverse
    return bg.ghmm(transitions, initial, readout=basis @ np.ones(2))


GENERALISED = {
    "signed_golden_mean": signed_golden_mean,
    "bloch_walk": lambda: bg.bloch_walk(),
    "frdn": lambda: bg.frdn(),
    "moon": lambda: bg.moon(),
    "quantum_rrxor": lambda: bg.quantum_rrxor(0.3, 1.1),
}
ALL = CLASSICAL | GENERALISED


def some_slow(cases, slow):
    """The cases of a parametrized test, of which those in `slow` run with `-m slow` only: the others stand for them."""
    values = lambda case: case if isinstance(case, tuple) else (case,)
    return [pytest.param(*values(case), marks=pytest.mark.slow) if case in slow else case for case in cases]
