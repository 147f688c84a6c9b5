"""Notebooks: committed without outputs, they run as they are, and become pages of the site."""

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

# What the last cells have found, within which bounds. Numbers of another device differ by rounding.
FOUND = {
    "fractal_in_five_minutes": {
        "held['trained'].r2": (0.975, 1),
        "held['untrained'].r2": (0.4, 0.9),
    },
    "from_data_to_machine": {
        "machine.n_states": (3, 3),
        "spectral.process.n_states": (3, 3),
        "found.dimension": (2, 2),
        "form.transition_matrix.diagonal().min()": (0.88, 0.92),
    },
    "your_own_model": {
        "card.sites['hidden'].by_count.held_out": (0.95, 0.98),
        "form.emission_probs.max(1).min()": (0.83, 0.88),
    },
}


def sources(path, kind):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


@every
def test_a_notebook_is_committed_without_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)


@every
def test_one_line_installs_the_package_where_there_is_none(path):
    first = sources(path, "code")[0].splitlines()
    assert first[-2:] == ['if importlib.util.find_spec("beliefgeo") is None:', "    %pip install --quiet beliefgeo"]


@every
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)\s#:]+)", "\n".join(sources(path, "markdown")))
    assert links and all((path.parent / link).exists() for link in links)


@every
def test_code_is_python(path):
    for code in sources(path, "code"):
        ast.parse(without_magic(code))


@pytest.mark.slow
@every
def test_a_notebook_runs(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in sources(path, "code"):
        exec(without_magic(code), names)
    for what, (least, most) in FOUND[path.stem].items():
        assert least <= eval(what, names) <= most, what


def without_magic(code):
    return re.sub(r"^(\s*)%.*", r"\1pass", code, flags=re.M)


def test_a_page_shows_code_what_it_prints_and_figures():
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "docs/notebooks.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    v4 = nbformat.v4
    printed = [
        v4.new_output("stream", name=name, text=text) for name, text in (("stdout", "a\n"), ("stdout", "\x1b[1mb"))
    ]
    figure = v4.new_output("display_data", {"image/png": "aGk=\n", "text/plain": "<Figure>"})
    value = v4.new_output("execute_result", {"text/plain": "3"}, execution_count=1)
    nothing = v4.new_output("display_data", {"text/html": "", "text/plain": ""})  # rich shows this before a table
    warned = v4.new_output("stream", name="stderr", text="beware")
    cells = [v4.new_markdown_cell("# T"), v4.new_code_cell("x", outputs=[*printed, nothing, warned, figure, value])]
    page = hook.as_markdown(v4.new_notebook(cells=cells), hook.links("t.ipynb", "https://github.com/some/one"))
    title, links, code, out, picture, result = page.strip().split("\n\n")
    assert (title, code, out, result) == ("# T", "```python\nx\n```", "```text\na\nb\n```", "```text\n3\n```")
    assert 'href="https://colab.research.google.com/github/some/one/blob/main/docs/notebooks/t.ipynb"' in links
    assert 'src="data:image/png;base64,aGk="' in picture
    assert hook.links("t.ipynb", None) == '<a href="t.ipynb" download>Download this notebook</a>'
