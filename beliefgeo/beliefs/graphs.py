"""A process, or its mixed-state presentation, as a graph of networkx and as text of Graphviz."""

import json
from typing import TYPE_CHECKING

import numpy as np

from beliefgeo.arrays import concrete
from beliefgeo.beliefs.mixed_states import MixedStatePresentation
from beliefgeo.processes.factored import require_process
from beliefgeo.processes.process import Observer

if TYPE_CHECKING:
    from networkx import MultiDiGraph


def to_networkx(process: Observer | MixedStatePresentation) -> "MultiDiGraph":
    """A process or presentation as a networkx graph: an edge is a move, with its `token` and `probability`.

    Nodes of a process are state names, or numbers if there are no names. Nodes of a mixed-state presentation are the
    numbers of its beliefs, and have `belief`, `depth` and `recurrent`; a move beyond the cut has no edge. Tokens are
    names or numbers, and are also the edges' keys. For a generalised process the probabilities are the entries of its
    matrices, of any sign. For a composition of processes the graph is the graph of its `joint`.

    Raises:
        TypeError: a traced process; what is neither a process nor made of processes.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> list(to_networkx(golden_mean()).edges(data="probability"))
    [(0, 0, 0.5), (0, 1, 0.5), (1, 0, 1.0)]
    """
    from networkx import MultiDiGraph  # networkx takes a while to import

    graph = MultiDiGraph()
    if isinstance(process, MixedStatePresentation):
        _add_mixed_states(graph, process)
        return graph
    process = require_process("to_networkx", process)
    if (matrices := concrete(process.transitions)) is None:
        raise TypeError("a traced process has no values to draw: call to_networkx outside jit, vmap and grad")
    states = process.state_names or range(process.n_states)
    tokens = process.token_names or range(process.vocab_size)
    graph.add_nodes_from(states)
    for source, target, token in np.argwhere(matrices.transpose(1, 2, 0) != 0).tolist():
        name, weight = tokens[token], float(matrices[token, source, target])
        graph.add_edge(states[source], states[target], key=name, token=name, probability=weight)
    return graph


def _add_mixed_states(graph: "MultiDiGraph", presentation: MixedStatePresentation) -> None:
    tokens = presentation.token_names or range(presentation.successors.shape[1])
    for node, belief in enumerate(presentation.beliefs):
        depth, recurrent = int(presentation.depth[node]), bool(presentation.recurrent[node])
        graph.add_node(node, belief=tuple(belief.tolist()), depth=depth, recurrent=recurrent)
    for source, token in np.argwhere(presentation.successors >= 0).tolist():
        name, target = tokens[token], int(presentation.successors[source, token])
        chance = float(presentation.probabilities[source, token])
        graph.add_edge(source, target, key=name, token=name, probability=chance)


def to_dot(process: Observer | MixedStatePresentation) -> str:
    """The graph of `to_networkx` in DOT, the language of Graphviz: an arrow a move, labelled `token: probability`.

    The first belief of a presentation has a second ring, and transient beliefs are dashed.

    Raises:
        TypeError: as `to_networkx`.

    >>> from beliefgeo.processes.classical import golden_mean
    >>> print(to_dot(golden_mean()))
    digraph {
      "0";
      "1";
      "0" -> "0" [label="0: 0.5"];
      "0" -> "1" [label="1: 0.5"];
      "1" -> "0" [label="0: 1"];
    }
    """
    graph = to_networkx(process)
    lines = [f"  {_quoted(node)}{_style(node, about)};" for node, about in graph.nodes(data=True)]
    lines += [
        f"  {_quoted(source)} -> {_quoted(target)} [label={_quoted(f'{token}: {chance:.4g}')}];"
        for source, target, token, chance in graph.edges(keys=True, data="probability")
    ]
    return "\n".join(["digraph {", *lines, "}"])


def _style(node: object, about: dict) -> str:
    styles = ["peripheries=2"] * (about.get("depth") == 0) + ["style=dashed"] * (about.get("recurrent") is False)
    return f" [{', '.join(styles)}]" if styles else ""


def _quoted(name: object) -> str:
    return json.dumps(str(name), ensure_ascii=False)
