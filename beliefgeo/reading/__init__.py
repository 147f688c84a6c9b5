"""A network beside an observer, prefix by prefix: the one place that aligns."""

from beliefgeo.reading.each import Checkpoint as Checkpoint
from beliefgeo.reading.each import each as each
from beliefgeo.reading.each import readings as readings
from beliefgeo.reading.losses import Losses as Losses
from beliefgeo.reading.losses import divergences as divergences
from beliefgeo.reading.losses import loss_gap as loss_gap
from beliefgeo.reading.losses import losses as losses
from beliefgeo.reading.losses import optimal_loss as optimal_loss
from beliefgeo.reading.losses import token_losses as token_losses
from beliefgeo.reading.read import Reading as Reading
from beliefgeo.reading.read import of_arrays as of_arrays
from beliefgeo.reading.read import read as read
from beliefgeo.reading.read import read_words as read_words
from beliefgeo.reading.resumed import resume as resume
from beliefgeo.reading.rows import Rows as Rows
from beliefgeo.reading.rows import beliefs_after as beliefs_after
from beliefgeo.reading.rows import rows as rows
from beliefgeo.reading.rows import rows_of as rows_of
from beliefgeo.reading.rows import suffix_beliefs as suffix_beliefs
from beliefgeo.reading.sampled import sampled_words as sampled_words
from beliefgeo.reading.seeds import Seeds as Seeds
from beliefgeo.reading.seeds import over_seeds as over_seeds
from beliefgeo.reading.sites import Site as Site
from beliefgeo.reading.sites import by_layer as by_layer
from beliefgeo.reading.sites import concatenated as concatenated
from beliefgeo.reading.sites import site_of as site_of
