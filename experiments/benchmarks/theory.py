"""How fast the theory is, as ratios to common alternatives, measured side by side in one run.

Baselines: a mixed-state presentation grown node by node from a queue, one matrix product per node and token, merged by
rounding in a dictionary, as in today's toolkits. `emic`, which computes the measures of a given epsilon-machine (our
measures start from the process and find the machine first) and infers a machine from tokens by CSSR. The joint of five
factors sampled as one dense process. The serial filter.
Sizes: Mess3 to depth 10 has 88,573 mixed states, of which ours also expands the last level; z1r has 100,000 tokens.
Filters over length and batch are compiled before, which takes about a second each. Repetitions are interleaved, so that
a slow moment of the machine hits all alike; medians are compared.

    pip install -e ".[bench]" && python experiments/benchmarks/theory.py
"""

import importlib.metadata
from collections import deque
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import report
import tyro
from emic import EpsilonMachineBuilder
from emic.analysis import analyze
from emic.inference import CSSR, CSSRConfig

import beliefgeo as bg
from beliefgeo.beliefs.causal_states import epsilon_machine
from beliefgeo.beliefs.inference import infer_causal_states
from beliefgeo.beliefs.measures import information_measures
from beliefgeo.beliefs.mixed_states import mixed_state_presentation
from beliefgeo.beliefs.parallel import filter_beliefs_parallel
from beliefgeo.processes.factored import factored_mess3_bloch
from beliefgeo.processes.quantum import bloch_walk

DEPTH, N_TOKENS = 10, 100_000
FACTOR_BATCH, FACTOR_LENGTH = 256, 64
LENGTHS, BATCHES, MOST_TOKENS = (100, 1000, 10_000, 100_000, 1_000_000), (1, 64), 1_000_000
# Each measurement has its own key.
INFERRING, COMPOSING, FILTERING = jax.random.split(jax.random.key(0), 3)


def presentation_by_queue(process: bg.Process, max_depth: int) -> dict[tuple, int]:
    """Rounded beliefs and their depths, by a breadth-first search over single nodes."""
    matrices, initial = np.asarray(process.transitions, np.float64), np.asarray(process.initial, np.float64)
    known, queue = {tuple(initial.round(9)): 0}, deque([(initial, 0)])
    while queue:
        belief, depth = queue.popleft()
        for matrix in matrices if depth < max_depth else ():
            joint = belief @ matrix
            if (probability := joint.sum()) > 0:
                successor = joint / probability
                if (key := tuple(successor.round(9))) not in known:
                    known[key] = depth + 1
                    queue.append((successor, depth + 1))
    return known


def presenting() -> report.Compared:
    """The times for the mixed states of mess3 to DEPTH; checks that both find the same number."""
    process = bg.mess3()
    theirs = lambda: presentation_by_queue(process, DEPTH)
    ours = lambda: mixed_state_presentation(process, DEPTH)
    assert len(ours().beliefs) == len(theirs()) == (3 ** (DEPTH + 1) - 1) // 2
    return report.compare({"queue of nodes": theirs}, {"mixed_state_presentation": ours}, repetitions=5)


def measuring(process: bg.Process) -> report.Compared:
    """The times for h, C_mu, E, crypticity (ours: T and S too); checks that both agree."""
    machine = epsilon_machine(process)
    builder = EpsilonMachineBuilder()
    for token, state, following in np.argwhere(np.asarray(machine.transitions) > 0).tolist():
        builder.add_transition(str(state), token, str(following), float(machine.transitions[token, state, following]))
    law = {str(state): float(p) for state, p in enumerate(machine.initial)}
    given = builder.with_start_state("0").with_stationary_distribution(law).build()
    six = lambda: information_measures(process)
    theirs, ours = analyze(given), np.array(six()[:4]) / np.log(2)
    both = (theirs.entropy_rate, theirs.statistical_complexity, theirs.excess_entropy, theirs.crypticity)
    np.testing.assert_allclose(ours, both, atol=1e-4)  # emic adds up E term by term: on rrxor it stops 3e-5 short
    return report.compare(
        {"emic analyze (epsilon-machine given)": lambda: analyze(given)},
        {
            "information_measures, from the process": six,
            "epsilon_machine, from the process": lambda: epsilon_machine(process).transitions,
        },
        repetitions=25,
    )


def inferring() -> report.Compared:
    """The times to infer z1r from N_TOKENS tokens; prints how many states each finds."""
    tokens = np.asarray(bg.sample(INFERRING, bg.z1r(), N_TOKENS).tokens)
    listed = tokens.tolist()
    theirs = lambda: CSSR(CSSRConfig(max_history=6, significance=1e-3)).infer(listed)
    ours = lambda: infer_causal_states(tokens, 6)
    print(f"states of z1r: emic CSSR {len(theirs().machine.states)}, infer_causal_states {ours().process.n_states}")
    return report.compare({"emic CSSR": theirs}, {"infer_causal_states": ours}, repetitions=5)


def dense_sample(key: jax.Array, process: bg.Process, evidence: jax.Array) -> tuple[jax.Array, ...]:
    """Tokens, beliefs and log-probabilities of one joint process, `evidence` = T^(x) w computed beforehand."""

    def step(belief, uniform):
        law = evidence @ belief
        cumulative = jnp.cumsum(law)
        token = jnp.sum(cumulative[:-1] <= uniform * cumulative[-1])
        return belief @ process.transitions[token] / law[token], (token, belief, law[token])

    _, (tokens, beliefs, probabilities) = jax.lax.scan(step, process.initial, jax.random.uniform(key, (FACTOR_LENGTH,)))
    return tokens, beliefs, jnp.log(probabilities)


def composing() -> report.Compared:
    """The times to sample five factors, 432 tokens: together on 243 joint states, and factor by factor."""
    factored = factored_mess3_bloch()
    joint = factored.joint()
    keys = jax.random.split(COMPOSING, FACTOR_BATCH)
    dense = jax.jit(jax.vmap(dense_sample, (0, None, None)))
    apart = jax.jit(jax.vmap(lambda key: bg.sample(key, factored, FACTOR_LENGTH)))
    evidence = joint.transitions @ joint.readout
    entropies = [-float(np.mean(drawn[2])) for drawn in (dense(keys, joint, evidence), apart(keys))]
    np.testing.assert_allclose(*entropies, rtol=0.02)  # sampling error of 16,384 tokens
    return report.compare(
        {"the dense joint": lambda: dense(keys, joint, evidence)}, {"sample(product)": lambda: apart(keys)}, 5
    )


def filtering(process: bg.Process, length: int, batch: int) -> report.Compared:
    """The times to filter a batch of sequences, serially and in parallel over time; checks that both agree.

    The process is an argument of the compiled function or, faster, one of its constants.
    """
    keys = jax.random.split(FILTERING, batch)
    tokens = jax.vmap(bg.sample, (0, None, None))(keys, process, length).tokens
    functions = {"serial": bg.filter_beliefs, "parallel": filter_beliefs_parallel}
    calls = {}
    for name, function in functions.items():
        argument = jax.jit(jax.vmap(function, (None, 0)))
        constant = jax.jit(jax.vmap(lambda word, function=function: function(process, word)))
        calls[name] = lambda argument=argument: argument(process, tokens)
        calls[f"{name}, constant process"] = lambda constant=constant: constant(tokens)
    totals = [np.asarray(call().log_probabilities, np.float64).sum(1) for call in calls.values()]
    np.testing.assert_allclose(totals, totals[:1] * 4, rtol=1e-5)
    return report.compare({"serial": calls.pop("serial")}, calls, repetitions=11)


def main(history: Path = report.HISTORY) -> None:
    """Measure, print the ratios to the first baseline of each group, and keep them.

    Args:
        history: the file that gets a new line.
    """
    measures = {f"mess3 to depth {DEPTH}": presenting}
    measures |= {f"measures of {p.__name__}": lambda p=p: measuring(p()) for p in (bg.golden_mean, bg.even, bg.rrxor)}
    measures[f"inference of z1r from {N_TOKENS:,} tokens"] = inferring
    measures[f"five factors, {FACTOR_BATCH} x {FACTOR_LENGTH}, tokens with beliefs"] = composing
    sizes = [(length, batch) for batch in BATCHES for length in LENGTHS if length * batch <= MOST_TOKENS]
    for build in (bg.mess3, bloch_walk):
        for length, batch in sizes:
            name = f"filter of {build.__name__}, {batch} x {length:,}"
            measures[name] = lambda b=build, l=length, n=batch: filtering(b(), l, n)
    groups = {}
    for group, measure in measures.items():
        groups[group] = measure()
        report.print_compared(group, groups[group])
    report.append(history, "theory", report.numbers(groups), {"emic": importlib.metadata.version("emic")})


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
