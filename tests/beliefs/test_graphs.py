"""Graphs of processes and presentations: as networkx has them, and as Graphviz reads them."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.beliefs.mixed_states import transition_matrix
from tests.processes.test_edges import WEATHER


def test_a_graph_and_back():
    process = bg.from_edges(WEATHER)
    graph = bg.to_networkx(process)
    assert list(graph.nodes) == ["high", "low"]
    assert graph["low"]["high"]["sun"] == {"token": "sun", "probability": pytest.approx(0.2)}
    edges = [(one, data["token"], two, data["probability"]) for one, two, data in graph.edges(data=True)]
    assert sorted(edge[:3] for edge in edges) == sorted(edge[:3] for edge in WEATHER)
    again = bg.from_edges(edges)
    np.testing.assert_array_equal(again.transitions, process.transitions)


def test_a_graph_of_numbers():
    graph = bg.to_networkx(bg.golden_mean())
    edges = sorted((one, two, data["token"], data["probability"]) for one, two, data in graph.edges(data=True))
    assert edges == [(0, 0, 0, 0.5), (0, 1, 1, 0.5), (1, 0, 0, 1.0)]
    assert bg.to_networkx(bg.product([bg.coin(), bg.golden_mean()])).number_of_edges() == 6
    with pytest.raises(TypeError, match="to_networkx outside jit"):
        jax.jit(lambda p: bg.to_networkx(bg.coin(p)).size())(0.5)


def test_networkx_waits():
    code = "import sys, beliefgeo; print([m for m in ('networkx', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_presentation_has_its_moves():
    presentation = bg.mixed_state_presentation(bg.rrxor())
    graph = bg.to_networkx(presentation)
    matrix = np.zeros((36, 36))
    for source, target, chance in graph.edges(data="probability"):
        matrix[source, target] += chance
    np.testing.assert_allclose(matrix, transition_matrix(presentation).toarray())
    assert sum(graph.nodes[node]["recurrent"] for node in graph) == 5
    assert [graph.nodes[node]["depth"] for node in graph] == presentation.depth.tolist()
    np.testing.assert_array_equal(graph.nodes[7]["belief"], presentation.beliefs[7])


def test_moves_beyond_the_cut_have_no_edge():
    presentation = bg.mixed_state_presentation(bg.mess3(), max_depth=2)
    graph = bg.to_networkx(presentation)
    assert (len(graph), graph.number_of_edges()) == (13, 12)
    assert {graph.out_degree(node) for node in graph if graph.nodes[node]["depth"] == 2} == {0}


def test_dot_by_hand():
    even = bg.from_edges([('A "x"', "0", 'A "x"', 0.5), ('A "x"', "1", "B", 0.5), ("B", "1", 'A "x"', 1.0)])
    assert bg.to_dot(even).splitlines() == [
        "digraph {",
        r'  "A \"x\"";',
        '  "B";',
        r'  "A \"x\"" -> "A \"x\"" [label="0: 0.5"];',
        r'  "A \"x\"" -> "B" [label="1: 0.5"];',
        r'  "B" -> "A \"x\"" [label="1: 1"];',
        "}",
    ]
    lines = bg.to_dot(bg.mixed_state_presentation(bg.golden_mean())).splitlines()
    assert lines[1:4] == ['  "0" [peripheries=2, style=dashed];', '  "1";', '  "2";']
    assert lines[4] == '  "0" -> "1" [label="0: 0.6667"];'


@pytest.mark.filterwarnings("ignore")
def test_graphviz_reads_dot():
    pydot = pytest.importorskip("pydot")
    presentation = bg.mixed_state_presentation(bg.rrxor())
    (read,) = pydot.graph_from_dot_data(bg.to_dot(presentation))
    assert len(read.get_edges()) == bg.to_networkx(presentation).number_of_edges()
