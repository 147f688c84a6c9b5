"""What is found without being told the process: dimension, process, states and geometry, read off any model."""

from beliefgeo.discovery.comparing import Comparison as Comparison
from beliefgeo.discovery.comparing import compare_processes as compare_processes
from beliefgeo.discovery.enclosing import Simplex as Simplex
from beliefgeo.discovery.enclosing import enclosing_simplex as enclosing_simplex
from beliefgeo.discovery.futures import Futures as Futures
from beliefgeo.discovery.futures import future_laws as future_laws
from beliefgeo.discovery.merging import Plateau as Plateau
from beliefgeo.discovery.merging import States as States
from beliefgeo.discovery.merging import merge_states as merge_states
from beliefgeo.discovery.merging import state_plateau as state_plateau
from beliefgeo.discovery.models import network_laws as network_laws
from beliefgeo.discovery.models import process_laws as process_laws
from beliefgeo.discovery.models import tabulated as tabulated
from beliefgeo.discovery.moore import MooreForm as MooreForm
from beliefgeo.discovery.moore import moore_form as moore_form
from beliefgeo.discovery.operators import Found as Found
from beliefgeo.discovery.operators import choose_dimension as choose_dimension
from beliefgeo.discovery.operators import discover_process as discover_process
from beliefgeo.discovery.subspace import PredictiveSubspace as PredictiveSubspace
from beliefgeo.discovery.subspace import predictive_subspace as predictive_subspace
