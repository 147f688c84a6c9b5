"""The house: rooms in their order, arrows one way, no circles, no module too long."""

import ast
import re
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).parents[1] / "beliefgeo"
# An arrow may point only to a room that stands before it.
ROOMS = (
    "arrays",
    "processes",
    "beliefs",
    "networks",
    "learning",
    "reading",
    "probes",
    "mechanisms",
    "discovery",
    "plots",
    "runs",
)
MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path):
    """The modules of the package that a module imports, wherever in it."""
    known = {name_of(module) for module in MODULES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def arrows():
    """(module, imported module) apart from what rooms and the package export."""
    exporting = {name_of(path) for path in MODULES if path.name == "__init__.py"}
    return [(name_of(path), one) for path in MODULES for one in imported(path) if name_of(path) not in exporting]


def room(module):
    return module.split(".")[1] if "." in module else None


# Bare keys that draw nothing (shapes, or words that are all listed), or that fix a process or a benchmark's input.
BARE_KEYS = {
    "beliefgeo/mechanisms/impossible.py",
    "beliefgeo/networks/network.py",
    "beliefgeo/probes/describe.py",
    "beliefgeo/reading/each.py",
    "beliefgeo/runs/recipes.py",
    "experiments/benchmarks/kernels.py",
    "experiments/benchmarks/theory.py",
    "experiments/compression/tasks.py",
    "experiments/extrapolation/tasks.py",
    "experiments/fixed_or_prompted/learners.py",
}


def has_bare_key(path):
    """Whether it calls `key` with a number that is written out, outside docstrings."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    is_key = lambda node: isinstance(node, ast.Attribute) and ast.unparse(node) in ("jax.random.key", "random.key")
    return any(is_key(call.func) and isinstance(call.args[0], ast.Constant) for call in calls if call.args)


def test_draws_have_named_keys():
    """Two draws from one key are the same draw: a key has the name of its use, `run.key("words")`."""
    paths = [*MODULES, *(ROOT.parent / "experiments").rglob("*.py")]
    assert {path.relative_to(ROOT.parent).as_posix() for path in paths if has_bare_key(path)} == BARE_KEYS


def test_every_module_lies_in_a_room():
    found = {room(name_of(path)) for path in MODULES} - {None, "__main__"}
    assert found == set(ROOMS)
    assert sorted(path.name for path in ROOT.glob("*.py")) == ["__init__.py", "__main__.py", "arrays.py"]


def test_arrows_point_one_way():
    wrong = [
        (one, other)
        for one, other in arrows()
        if room(one) in ROOMS and room(other) in ROOMS and ROOMS.index(room(other)) > ROOMS.index(room(one))
    ]
    assert not wrong


def test_no_module_imports_itself_by_a_detour():
    graph = networkx.DiGraph(arrows())
    circles = [group for group in networkx.strongly_connected_components(graph) if len(group) > 1]
    assert not circles and not list(networkx.selfloop_edges(graph))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_one_idea(path):
    assert len(path.read_text().splitlines()) <= 300


def records(path):
    """The public named tuples, dataclasses and modules that a module defines."""
    for made in ast.walk(ast.parse(path.read_text())):
        if isinstance(made, ast.ClassDef) and not made.name.startswith("_"):
            kinds = " ".join(ast.unparse(kind) for kind in made.bases + made.decorator_list)
            if re.search("NamedTuple|Module|dataclass", kinds):
                yield made


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_record_says_what_it_holds(path):
    """A line for each field in the section Attributes, where `help` and the site show it."""
    for record in records(path):
        fields = [line.target.id for line in record.body if isinstance(line, ast.AnnAssign)]
        said = ast.get_docstring(record).partition("Attributes:\n")[2]
        assert re.findall(r"^    (\w+): \S", said, re.M) == fields, record.name


def test_only_plots_draw():
    """matplotlib is imported by plots alone; by runs inside the functions that save."""
    for path in MODULES:
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = {alias.name for node in top for alias in node.names} | {
            getattr(node, "module", "") or "" for node in top
        }
        assert room(name_of(path)) == "plots" or not any(name.startswith("matplotlib") for name in names), path


@pytest.mark.parametrize(
    "path", sorted((ROOT.parent / "experiments").glob("*/__main__.py")), ids=lambda p: p.parent.name
)
def test_a_claim_is_a_short_method_with_its_page(path):
    assert len(path.read_text().splitlines()) <= 120
    held = {each.name for each in path.parent.iterdir()}
    assert {"__main__.py", "figures.py", "claims.json", "README.md"} <= held
    assert not {each for each in held if each.endswith(".json")} - {"claims.json"}
