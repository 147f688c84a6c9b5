"""What is read off one model, beside the process that it learnt; and off the tokens themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

import beliefgeo as bg
from beliefgeo import discovery, probes, reading, runs
from beliefgeo.beliefs.causal_states import linear_dimension
from beliefgeo.discovery.models import arrays64
from beliefgeo.discovery.operators import divergence, word_probabilities, words_of
from beliefgeo.networks import Network
from beliefgeo.probes.least_squares import score_predictions

# The tokens of prefixes and of futures, by the number of tokens of the vocabulary; together at most the context.
LENGTHS = {2: (8, 4), 3: (6, 4), 4: (4, 3)}
# The number of networks that are looked at while they train.
MOMENTS = 2
# The tokens of histories, and of the futures of spectral learning, of the baselines on tokens.
HISTORY = {2: 5, 3: 4, 4: 3}


@dataclass(frozen=True)
class Study:
    """The process that the networks learnt: discovery never sees it, only the scores do."""

    process: bg.Process
    network: Network
    key: PRNGKeyArray

    @cached_property
    def dimension(self) -> int:
        """Of the beliefs: one less than the fewest states."""
        return linear_dimension(self.process) - 1

    def measure(self, params: Any) -> dict:
        """Everything about one network."""
        futures, found = self._found(params)
        return self._scores(params, futures, found) | {
            "entropy rate": entropy_rate(found.process, sum(LENGTHS[self.process.vocab_size]) + 1),
            "states": self._states(futures),
            "moore": self._moore(found),
            "geometry": self._geometry(found),
        }

    def scores(self, params: Any) -> dict:
        """The dimension, and how near the process found is: enough for an untrained network."""
        return self._scores(params, *self._found(params))

    def _found(self, params: Any) -> tuple[discovery.Futures, discovery.Found]:
        prefixes, length = LENGTHS[self.process.vocab_size]
        futures = discovery.future_laws(discovery.network_laws(self.network, params), prefixes, length)
        return futures, discovery.discover_process(futures)

    def _scores(self, params: Any, futures: discovery.Futures, found: discovery.Found) -> dict:
        held, after = discovery.network_activations(self.network, params, futures)
        inside = discovery.discover_process(futures, self.dimension, activations=held, after=after)
        beliefs, words = self._exact(futures)
        steps = sum(LENGTHS[self.process.vocab_size]) + 1
        network = divergence(words, words_of(futures)) / steps
        compared = discovery.compare_processes(self.process, found.process, steps)
        pca = probes.principal_components(held[1:], futures.weights[1:])
        leading = np.concatenate([np.full((1, self.dimension), np.nan), pca(held[1:])[:, : self.dimension]])
        scores = {
            "outputs": held_out(futures, found.points, beliefs),
            "outputs, true dimension": held_out(futures, self._points(futures, found), beliefs),
            "activations": held_out(futures, inside.points, beliefs),
            "principal components": held_out(futures, leading, beliefs),
        }
        return {
            "dimension": found.dimension,
            "unexplained": found.unexplained,
            "right": float(found.dimension == self.dimension),
            "divergences": np.pad(found.divergences, (0, 9 - len(found.divergences)), constant_values=np.nan),
            "singular values": found.subspace.singular_values[:8],
            "network": network,
            "found": compared.divergence,
            "ratio": compared.divergence / network if network else np.nan,
            # A network that reads n tokens tells words of n + 1; the process found tells words of any length.
            "beyond": discovery.compare_processes(self.process, found.process, steps + 1).divergence,
            "total variation": compared.total_variation,
            "most negative": compared.most_negative,
            "operators": np.nan if compared.operators is None else compared.operators,
            "from activations": discovery.compare_processes(self.process, inside.process, steps).divergence,
            "r2": scores,
        }

    def cloud(self, params: Any) -> dict[str, np.ndarray]:
        """For the picture: exact beliefs after longer words, and the states of the process found, mapped to them."""
        prefixes, length = LENGTHS[self.process.vocab_size]
        futures = discovery.future_laws(discovery.network_laws(self.network, params), prefixes, length)
        found = discovery.discover_process(futures, self.dimension).process
        (beliefs, chances), (states, _) = (after_words(one, prefixes + length - 1) for one in (self.process, found))
        known = chances > 1e-7
        probe = bg.fit_probe(states[known][:, 1:], beliefs[known], chances[known], rcond=1e-9)
        return {"exact": beliefs[known], "found": np.asarray(probe(states[known][:, 1:])), "weights": chances[known]}

    def appeared(self, params: Any) -> dict:
        """The dimension at a moment of training, from prefixes a token shorter."""
        prefixes, length = LENGTHS[self.process.vocab_size]
        futures = discovery.future_laws(discovery.network_laws(self.network, params), prefixes - 1, length)
        found = discovery.discover_process(futures)
        return {"dimension": found.dimension, "singular values": found.subspace.singular_values[: self.dimension + 1]}

    def of_tokens(self, key: PRNGKeyArray, count: int) -> dict:
        """Spectral learning and inferred causal states, from as many tokens as a network was trained on."""
        tokens = np.asarray(bg.sample(key, self.process, count).tokens)
        history = HISTORY[self.process.vocab_size]
        steps = sum(LENGTHS[self.process.vocab_size]) + 1
        learnt = bg.spectral_learn(tokens, history, history)
        states = np.nan
        try:
            states = float(bg.infer_causal_states(tokens, history).process.n_states)
        except ValueError:  # no closed set of states, as for a process of infinitely many
            pass
        return {
            "spectral dimension": learnt.process.n_states - 1,
            "spectral": discovery.compare_processes(self.process, learnt.process, steps).divergence,
            "states": states,
        }

    def _exact(self, futures: discovery.Futures) -> tuple[np.ndarray, np.ndarray]:
        """The belief after each prefix, NaN if it is impossible, and the probabilities of the words."""
        maps, start, readout = arrays64(self.process)
        states = np.tile(start, (len(futures.words), 1))
        for tokens in futures.words.T:
            moved = np.einsum("ri,rij->rj", states, maps[np.maximum(tokens, 0)])
            states = np.where((tokens < 0)[:, None], states, moved)
        chances = (states @ readout)[:, None]
        beliefs = np.where(chances > 1e-9, states / np.where(chances > 1e-9, chances, 1), np.nan)
        return beliefs, np.maximum(word_probabilities(futures, maps, start, readout), 0)

    def _points(self, futures: discovery.Futures, found: discovery.Found) -> np.ndarray:
        return found.subspace.points(futures.futures, self.dimension)

    @cached_property
    def settled(self) -> tuple[int, int] | None:
        """The numbers of states of the process itself, mixed and causal, where they settle."""
        return discovery.state_plateau(exact_futures(self.process)).settled

    def _states(self, futures: discovery.Futures) -> dict:
        """Where the number of states settles, and the machine at the middle of the plateau, nats a token."""
        plateau = discovery.state_plateau(futures)
        found = {"right": float(plateau.settled == self.settled), "counts": plateau.counts}
        if plateau.settled is None or plateau.between is None:
            return found | dict.fromkeys(("mixed", "causal", "decades", "machine"), np.nan)
        low, high = plateau.between
        machine = discovery.merge_states(futures, float(np.sqrt(low * high))).process
        steps = sum(LENGTHS[self.process.vocab_size]) + 1
        far = np.nan if machine is None else discovery.compare_processes(self.process, machine, steps).divergence
        mixed, causal = plateau.settled
        return found | {"mixed": mixed, "causal": causal, "decades": float(np.log10(high / low)), "machine": far}

    def _moore(self, found: discovery.Found) -> dict:
        """The commutator, and the numbers of the Moore form, NaN without one."""
        form = discovery.moore_form(found.process)
        size = self.process.n_states
        told = form.process is not None and form.process.n_states == size
        moves, emissions = (form.transition_matrix, form.emission_probs) if told else (None, None)
        diagonal = np.full(size, np.nan) if moves is None else np.diagonal(moves)
        return {
            "commutator": form.commutator if len(found.process.transitions) > 2 else np.nan,
            "stay": diagonal,
            "emits": np.full(size, np.nan) if emissions is None else np.sort(emissions, 1)[:, -1],
        }

    def _geometry(self, found: discovery.Found) -> dict:
        """How much of the smallest simplex the cloud fills; the dimension of the fractal of the process found."""
        if found.dimension == 0 or found.dimension > 4:
            return {"fill": np.nan, "fractal": np.nan}
        try:
            fill = discovery.enclosing_simplex(self.key, found.points).fill
        except ValueError:
            fill = np.nan
        fractal = bg.statistical_complexity_dimension(self.key, found.process, 1000).value
        return {"fill": fill, "fractal": fractal}


def held_out(futures: discovery.Futures, points: np.ndarray, beliefs: np.ndarray, folds: int = 4) -> float:
    """R2 of an affine map to the exact beliefs, on subtrees that did not fit it: all words that begin alike."""
    known = np.isfinite(beliefs).all(1) & np.isfinite(points).all(1)
    rows, weights = futures.words[known], futures.weights[known]
    if not points.shape[1]:
        return 0.0
    subtree = rows[:, 0] * futures.vocab_size**2 + rows[:, 1] * futures.vocab_size + rows[:, 2]
    fold = np.where(futures.length[known] < 3, -1, subtree % folds)
    given = np.concatenate([np.ones((known.sum(), 1)), points[known]], 1)
    guess = np.full(beliefs[known].shape, np.nan)
    for one in range(folds):
        train, test = fold != one, fold == one
        root = np.sqrt(weights[train])[:, None]
        onto = np.linalg.lstsq(root * given[train], root * beliefs[known][train], rcond=1e-9)[0]
        guess[test] = given[test] @ onto
    tested = fold >= 0
    return float(score_predictions(guess[tested], beliefs[known][tested], weights[tested]).r2)


def entropy_rate(process: bg.Process, length: int) -> float:
    """The entropy of the next token after length - 1 tokens, nats; negative probabilities count as none."""
    maps, vectors, readout = arrays64(process)
    vectors, blocks = vectors[None], []
    for _ in range(length):
        vectors = np.einsum("ni,xij->nxj", vectors, maps).reshape(-1, maps.shape[1])
        chances = np.maximum(vectors @ readout, 0)
        blocks.append(-float(chances @ np.log(np.where(chances > 0, chances, 1))))
    return blocks[-1] - blocks[-2]


def exact_futures(process: bg.Process) -> discovery.Futures:
    """The futures of a perfect network."""
    return discovery.future_laws(discovery.process_laws(process), *LENGTHS[process.vocab_size])


def exact(study: Study) -> dict:
    """What a perfect network would give: the numbers to compare with."""
    futures = exact_futures(study.process)
    found, plateau = discovery.discover_process(futures), discovery.state_plateau(futures)
    return {
        "dimension": study.dimension,
        "entropy rate": entropy_rate(study.process, sum(LENGTHS[study.process.vocab_size]) + 1),
        "states": "none" if plateau.settled is None else plateau.settled,
        "counts": plateau.counts,
        "tolerances": plateau.tolerances,
        "geometry": study._geometry(found),
    }


def told(measured: list[dict]) -> dict:
    """The measures of several networks; text in place of a number that some networks do not give."""

    def text(seeds: reading.Seeds) -> Any:
        rows = np.atleast_1d(np.isnan(np.asarray(seeds.values, float).reshape(len(seeds.values), -1)).all(1))
        if not rows.any():
            return seeds
        given = np.asarray(seeds.values)[~rows]
        shown = " ".join(f"{number:.3g}" for number in np.ravel(given.mean(0))) if len(given) else "none"
        return f"{shown} ({len(given)} of {len(rows)} networks)" if len(given) else shown

    return jax.tree.map(text, reading.over_seeds(measured), is_leaf=lambda node: isinstance(node, reading.Seeds))


def after_words(process: bg.Process, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The state after each of the V^length words, and the probabilities of the words."""
    maps, vectors, readout = arrays64(process)
    vectors = vectors[None]
    for _ in range(length):
        vectors = np.einsum("ni,xij->nxj", vectors, maps).reshape(-1, maps.shape[1])
    chances = vectors @ readout
    return vectors / np.where(abs(chances) > 1e-12, chances, 1)[:, None], chances


def once(run: runs.Run, study: Study, learned: runs.Learned) -> dict:
    """What is asked once for a process: exact values, baselines on tokens, the way there, a picture."""
    budget = int(learned.trained.tokens)
    moments = [
        reading.over_seeds([study.appeared(params) for params in one.seeds[:MOMENTS]]) for one in learned.checkpoints
    ]
    return {
        "exact": exact(study),
        "tokens": reading.over_seeds(
            [study.of_tokens(run.key(f"sample {one}"), budget) for one in range(len(learned.trained.seeds))]
        ),
        "training": {"tokens": [one.tokens for one in learned.checkpoints], "moments": moments},
        "cloud": study.cloud(learned.trained.seeds[0]),
    }


def right_in_all(found: Mapping[str, Any], kind: str) -> int:
    """The number of processes whose dimension every network of a kind has right."""
    return sum(bool((one[kind]["trained"]["right"].values == 1).all()) for one in found.values() if kind in one)
