"""beliefgeo: belief-state geometry in JAX, exact wherever exactness is possible.

    process -> sample -> train -> activations -> probe -> score against controls -> picture

`processes` generate data, `beliefs` are what an ideal observer knows of it, `networks` learn to predict it by
`learning`, `reading` sets the two side by side, `probes` and `mechanisms` ask what is there and how it works,
`discovery` finds the process without being told, `plots` draws, `runs` is the door to the disk. Each is an attribute of
this package, loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from beliefgeo.beliefs.causal_states import epsilon_machine as epsilon_machine
from beliefgeo.beliefs.constrained import constrained_beliefs as constrained_beliefs
from beliefgeo.beliefs.dimension import statistical_complexity_dimension as statistical_complexity_dimension
from beliefgeo.beliefs.entropies import block_entropies as block_entropies
from beliefgeo.beliefs.entropies import myopic_entropies as myopic_entropies
from beliefgeo.beliefs.estimates import estimate_entropy_rate as estimate_entropy_rate
from beliefgeo.beliefs.filtering import filter_beliefs as filter_beliefs
from beliefgeo.beliefs.filtering import log_probability as log_probability
from beliefgeo.beliefs.filtering import predict_next_token as predict_next_token
from beliefgeo.beliefs.filtering import update_belief as update_belief
from beliefgeo.beliefs.graphs import to_dot as to_dot
from beliefgeo.beliefs.graphs import to_networkx as to_networkx
from beliefgeo.beliefs.hidden_paths import likeliest_path as likeliest_path
from beliefgeo.beliefs.hidden_paths import sample_path as sample_path
from beliefgeo.beliefs.hidden_paths import smooth_beliefs as smooth_beliefs
from beliefgeo.beliefs.inference import infer_causal_states as infer_causal_states
from beliefgeo.beliefs.information import entropy_rate as entropy_rate
from beliefgeo.beliefs.information import entropy_rate_bounds as entropy_rate_bounds
from beliefgeo.beliefs.information import excess_entropy_bounds as excess_entropy_bounds
from beliefgeo.beliefs.measures import crypticity as crypticity
from beliefgeo.beliefs.measures import excess_entropy as excess_entropy
from beliefgeo.beliefs.measures import information_measures as information_measures
from beliefgeo.beliefs.measures import statistical_complexity as statistical_complexity
from beliefgeo.beliefs.measures import synchronization_information as synchronization_information
from beliefgeo.beliefs.measures import transient_information as transient_information
from beliefgeo.beliefs.mixed_states import blackwell_samples as blackwell_samples
from beliefgeo.beliefs.mixed_states import mixed_state_presentation as mixed_state_presentation
from beliefgeo.beliefs.parallel import filter_beliefs_parallel as filter_beliefs_parallel
from beliefgeo.beliefs.spectral import spectral_learn as spectral_learn
from beliefgeo.beliefs.symbols import read_symbols as read_symbols
from beliefgeo.beliefs.trees import expand_beliefs as expand_beliefs
from beliefgeo.beliefs.trees import word_tree as word_tree
from beliefgeo.beliefs.trees import words as words
from beliefgeo.processes.bos import with_bos as with_bos
from beliefgeo.processes.chain import chain as chain
from beliefgeo.processes.classical import checksum as checksum
from beliefgeo.processes.classical import coin as coin
from beliefgeo.processes.classical import composite_mess3 as composite_mess3
from beliefgeo.processes.classical import cycle as cycle
from beliefgeo.processes.classical import days_of_week as days_of_week
from beliefgeo.processes.classical import even as even
from beliefgeo.processes.classical import golden_mean as golden_mean
from beliefgeo.processes.classical import leaky_rrxor as leaky_rrxor
from beliefgeo.processes.classical import matching_parens as matching_parens
from beliefgeo.processes.classical import mess as mess
from beliefgeo.processes.classical import mess3 as mess3
from beliefgeo.processes.classical import mr_name as mr_name
from beliefgeo.processes.classical import random_hmm as random_hmm
from beliefgeo.processes.classical import rrxor as rrxor
from beliefgeo.processes.classical import sns as sns
from beliefgeo.processes.classical import z1r as z1r
from beliefgeo.processes.components import split_mixture as split_mixture
from beliefgeo.processes.compose import markov_approximation as markov_approximation
from beliefgeo.processes.compose import mixture as mixture
from beliefgeo.processes.compose import noisy as noisy
from beliefgeo.processes.compose import relabel as relabel
from beliefgeo.processes.compose import transduce as transduce
from beliefgeo.processes.conditional import conditional_transitions as conditional_transitions
from beliefgeo.processes.conditional import fully_conditional as fully_conditional
from beliefgeo.processes.construct import from_moore as from_moore
from beliefgeo.processes.construct import ghmm as ghmm
from beliefgeo.processes.construct import hmm as hmm
from beliefgeo.processes.edges import from_edges as from_edges
from beliefgeo.processes.end import with_end as with_end
from beliefgeo.processes.factor_tree import factor_tree as factor_tree
from beliefgeo.processes.factored import joint as joint
from beliefgeo.processes.factored import product as product
from beliefgeo.processes.fitted import from_dynamax as from_dynamax
from beliefgeo.processes.fitted import from_hmmlearn as from_hmmlearn
from beliefgeo.processes.fitted import from_pomegranate as from_pomegranate
from beliefgeo.processes.loaded import load_process as load_process
from beliefgeo.processes.noisy_product import noisy_product as noisy_product
from beliefgeo.processes.process import Observer as Observer
from beliefgeo.processes.process import Process as Process
from beliefgeo.processes.quantum import bloch_walk as bloch_walk
from beliefgeo.processes.quantum import frdn as frdn
from beliefgeo.processes.quantum import from_kraus as from_kraus
from beliefgeo.processes.quantum import moon as moon
from beliefgeo.processes.quantum import quantum_rrxor as quantum_rrxor
from beliefgeo.processes.quasirandom import sample_quasirandom as sample_quasirandom
from beliefgeo.processes.sampling import sample as sample
from beliefgeo.processes.stacked import stack as stack
from beliefgeo.processes.stationary_law import stationary_distribution as stationary_distribution
from beliefgeo.processes.sticky import arch as arch
from beliefgeo.processes.sticky import strata as strata
from beliefgeo.processes.sticky import wing as wing
from beliefgeo.processes.switching import switching as switching
from beliefgeo.processes.time_varying import time_varying as time_varying

__version__ = "0.5.0"

if TYPE_CHECKING:
    from beliefgeo import beliefs as beliefs
    from beliefgeo import discovery as discovery
    from beliefgeo import learning as learning
    from beliefgeo import mechanisms as mechanisms
    from beliefgeo import networks as networks
    from beliefgeo import plots as plots
    from beliefgeo import probes as probes
    from beliefgeo import processes as processes
    from beliefgeo import reading as reading
    from beliefgeo import runs as runs
    from beliefgeo.probes.describe import describe as describe
    from beliefgeo.probes.least_squares import Probe as Probe
    from beliefgeo.probes.least_squares import Score as Score
    from beliefgeo.probes.least_squares import fit_probe as fit_probe
    from beliefgeo.probes.least_squares import score_probe as score_probe

_ROOMS = (
    "beliefs",
    "discovery",
    "learning",
    "mechanisms",
    "networks",
    "plots",
    "probes",
    "processes",
    "reading",
    "runs",
)
_PROBES = ("Probe", "Score", "describe", "fit_probe", "score_probe")


def __getattr__(name: str) -> Any:
    """The rooms, and the probes that are named here, when they are used: networks and flax come with them."""
    if name in _ROOMS:
        return importlib.import_module(f"beliefgeo.{name}")
    if name in _PROBES:
        return getattr(importlib.import_module("beliefgeo.probes"), name)
    raise AttributeError(f"module 'beliefgeo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_ROOMS, *_PROBES]
