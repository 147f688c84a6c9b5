"""How networks learn: data, optimisers, and training as a pair of pure functions."""

from beliefgeo.learning.budget import TARGETS as TARGETS
from beliefgeo.learning.budget import Budget as Budget
from beliefgeo.learning.data import batches as batches
from beliefgeo.learning.parts import train_only as train_only
from beliefgeo.learning.parts import without as without
from beliefgeo.learning.training import Batch as Batch
from beliefgeo.learning.training import training as training
