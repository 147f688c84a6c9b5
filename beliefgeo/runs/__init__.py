"""The door to the disk: networks trained once, runs that continue, and an experiment's command line."""

from beliefgeo.learning.budget import Budget as Budget
from beliefgeo.runs.claims import Claim as Claim
from beliefgeo.runs.huggingface import export_huggingface as export_huggingface
from beliefgeo.runs.learn import Learned as Learned
from beliefgeo.runs.learn import learn as learn
from beliefgeo.runs.learn import learn_several as learn_several
from beliefgeo.runs.load import LoadedRun as LoadedRun
from beliefgeo.runs.load import load_run as load_run
from beliefgeo.runs.recipes import Recipe as Recipe
from beliefgeo.runs.recipes import recipe as recipe
from beliefgeo.runs.run import Run as Run
from beliefgeo.runs.start import start as start
from beliefgeo.runs.tables import export_rows as export_rows
from beliefgeo.runs.tables import export_saelens as export_saelens
