"""A model nobody here wrote the architecture of is read by its arrays alone: what process does it believe in?

GPT-2 of the package transformers, with small sizes, learns Mess3 by PyTorch's AdamW. Then only a function is handed
over, from tokens to probabilities of the next token. From it come the laws of all futures after every prefix, their
dimension, one matrix for each token, and the hidden Markov model behind these. Nothing of this is told the process.
Source: asked for by readers of Shai et al. 2405.15943; the measures are ours.
Expected from `default`, three networks: 2 dimensions, a process within 2e-4 nats a token of the true process, states
that stay with .90 and emit their token with .85 to within .02, R2 of the points to exact beliefs above .99. The
process read off untrained networks is more than .1 nats away. A quarter of an hour on one of two busy cores.

    pip install torch transformers
    python experiments/any_model                    the default preset
    python experiments/any_model quick              a smoke run, under a minute
    python experiments/any_model default --data samples independent sequences
"""

from dataclasses import dataclass

import figures
import gpt2
import measures

import beliefgeo as bg
from beliefgeo import reading, runs

NETS = ("trained", "untrained")
SCORES = [
    ("loss above the optimum (nats)", "gap", ".2e"),
    ("its words: KL a token (nats)", "words/divergence", ".2e"),
    *((f"KL to the process of {size} dimensions (nats a token)", f"divergences/at {size}", ".2e") for size in range(4)),
    ("dimensions chosen", "dimension", ".2f"),
    ("process read off: KL a token (nats)", "found/divergence", ".2e"),
    ("process read off: total variation of words", "found/total_variation", ".4f"),
    ("process read off: error of the matrices", "found/operators", ".4f"),
    ("process read off: moduli of eigenvalues", "found/moduli", ".3f"),
    ("two dimensions: share of the KL left", "two/unexplained", ".4f"),
    ("two dimensions: process, KL a token (nats)", "two/divergence", ".2e"),
    ("two dimensions: points against exact beliefs, R2", "r2", ".4f"),
    ("two dimensions: commutator", "two/moore/commutator", ".4f"),
    ("two dimensions: networks with a Moore form, of all", "two/moore/hidden", ".2f"),
    ("two dimensions: states stay", "two/moore/stay", ".3f"),
    ("two dimensions: states emit their token", "two/moore/alpha", ".3f"),
    ("laws told by the last token alone: R2", "last_token", ".4f"),
]
TRUE = {"found/moduli": "1 .85 .85", "two/moore/stay": ".9 .9 .9", "two/moore/alpha": ".85 .85 .85"}
CLAIMS = [
    runs.Claim(f"{net}: {label}{f' (true {TRUE[path]})' if path in TRUE else ''}", f"{net}/{path}", form=form)
    for label, path, form in SCORES
    for net in NETS
    if net == "trained" or path not in ("found/operators", "found/moduli")  # no dimension chosen, no matrices
]


@dataclass(frozen=True)
class Config:
    """The networks, and how far to look."""

    context: int = 10
    """The number of tokens that a network reads."""
    steps: int = 6000
    """The number of training steps, of 64 sequences each."""
    learning_rate: float = 1e-3
    """The largest rate of AdamW."""
    data: gpt2.Data = "quasirandom"
    """How sequences are drawn."""
    prefixes: int = 7
    """The largest number of tokens read before the futures begin."""
    future: int = 3
    """The number of tokens of a future."""
    seeds: int = 3
    """The number of networks."""
    seed: int = 0
    """The seed of the whole run."""


PRESETS = {"quick": Config(context=6, steps=400, prefixes=3, seeds=1), "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, learn, hand over, discover, compare."""
    if config.prefixes + config.future > config.context or min(config.prefixes, config.future) < 2:
        raise ValueError(
            f"prefixes and future must each be 2 or more, and together at most the context of {config.context} tokens "
            f"that a network reads; got {config.prefixes} and {config.future}"
        )
    gpt2.require()
    process = bg.mess3()
    sizes = gpt2.Sizes(process.vocab_size, config.context)
    training = gpt2.Training(config.steps, learning_rate=config.learning_rate, data=config.data)
    laws = dict(zip(NETS, gpt2.learn(run, process, sizes, training, config.seeds), strict=True))
    rows = reading.rows(run.key("words"), process, config.context)
    study = measures.Study(process, rows, config.prefixes, config.future)
    found = {}
    for net, models in laws.items():
        numbers, clouds = zip(*map(study.measure, models), strict=True)
        found[net] = {**reading.over_seeds([*numbers]), "cloud": clouds[0]}
    return found


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
