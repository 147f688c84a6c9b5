"""Does a generator hold generative structure? Noise in, words out: what its hidden states know beyond its past tokens.

A predictor's state is a function of the past tokens. The state of the hidden Markov model that generates the words
knows more: excess knowledge, H(X_t | past tokens) - H(X_t | h_t), is 0 for a predictor. Recurrent generators learn
Mess3 from its exact law, P(word) = E_noise prod_t p(x_t | h_t): from noise alone, from noise and their own tokens, and
against a critic. Beside them, measured in the same way: the three-state model and the ideal observer as generators by
hand, untrained generators, shuffled hidden states, and feedback that starts as the trained generator without.
Source: asked for by readers of Shai et al. 2405.15943; the measure and its controls are ours.
Expected from `default`, six generators of a kind, words of five tokens: excess knowledge at least .28 nats a token from
noise alone (three states .346), at most .05 with feedback. Eleven minutes on one busy core.

    python experiments/generators                     the default preset
    python experiments/generators quick               a smoke run, under a minute
"""

from dataclasses import dataclass

import by_hand
import figures
import measures
import tasks
from claims import CLAIMS, HAND, KINDS, SECOND, verdict

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.reading import over_seeds


@dataclass(frozen=True)
class Config:
    """The words, the generators and their training."""

    length: int = 5
    """The number of tokens of a word."""
    width: int = 16
    """The width of the hidden state."""
    noise: int = 2
    """The number of Gaussian numbers read before each token."""
    paths: int = 128
    """The number of noise paths of a step."""
    fewer: tuple[int, ...] = (8, 32)
    """Fewer noise paths, to see what their number changes."""
    more: tuple[int, ...] = (512,)
    """More noise paths, of generators without feedback."""
    steps: int = 600
    """The number of steps of maximum likelihood."""
    adversarial_steps: int = 3000
    """The number of steps against the critic."""
    seeds: int = 6
    """The number of generators of a kind."""
    evaluation: int = 16384
    """The number of fresh noise paths that measure a generator."""
    seed: int = 0
    """The seed of the whole run."""


QUICK = Config(4, paths=16, fewer=(8,), more=(), steps=100, adversarial_steps=100, seeds=1, evaluation=1024)
PRESETS = {"quick": QUICK, "default": Config()}


def main(run: runs.Run, config: Config) -> dict:
    """Process, generators by hand, learn, measure."""
    process, task = tasks.words(config)
    study = measures.Study(process, task, config.evaluation, run.key("noise"))
    hand = (by_hand.state_generator(process), by_hand.observer_generator(process, config.length))
    hand = dict(zip(HAND, hand, strict=True))
    learned = {kind: tasks.learn(run, kind, task, config) for kind in KINDS}
    learned[SECOND] = tasks.learn(run, SECOND, task, config, start=learned["noise only"].trained)
    found = {name: study.measure(*one) for name, one in hand.items()}
    for kind, shots in learned.items():
        nets = {"trained": shots.trained} | ({"untrained": shots.untrained} if kind in KINDS else {})
        measured = {net: [study.measure(shots.unroll, one) for one in each] for net, each in nets.items()}
        found[kind] = {net: over_seeds(each) for net, each in measured.items()}
    others = {}
    for kind, numbers in zip(KINDS, (config.fewer + config.more, config.fewer), strict=False):
        each = {config.paths: found[kind]["trained"]["value"]}
        for count in numbers:
            shots = tasks.learn(run, kind, task._replace(paths=count), config)
            each[count] = over_seeds([study.know(shots.unroll, one)["value"] for one in shots.trained])
        others[kind] = {str(count): each[count] for count in sorted(each)}
    shown = hand | {kind: (shots.unroll, shots.trained[0]) for kind, shots in learned.items()}
    return found | {
        "exact": by_hand.exact(process, config.length),
        "verdict": verdict(found),
        "paths": others,
        "clouds": {name: study.cloud(study.states(*one)) for name, one in shown.items()},
        "fractal": by_hand.mixtures(process, bg.word_tree(process, 8).beliefs[:, -1]),
    }


if __name__ == "__main__":
    runs.start(main, PRESETS, claims=CLAIMS, draw=figures.draw)
