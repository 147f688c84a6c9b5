"""Pages tell the truth: the code they show runs and prints what they say, and every module has its line."""

import ast
import contextlib
import importlib.util
import io
import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

from beliefgeo.runs.command import command

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in (ROOT / "beliefgeo").glob("*/__init__.py"))
NUMBER = re.compile(r"-?\d*\.\d+|-?\d+\.|-?\d+")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("experiments/**/*.md"), *ROOT.glob("docs/**/*.md")])
place = lambda page: str(page.relative_to(ROOT))
EXACT = [f"docs/pages/{name}.md" for name in ("index", "concepts", "reproducing", "without_networks")]
TRAINING = [
    "README.md",
    *(f"docs/pages/{name}.md" for name in ("walkthrough", "own_networks", "ten_minutes", "fitting")),
]
# Quoted; run where the packages are; run with a model of PyTorch.
OTHERWISE = ["docs/CONTRIBUTING.md", "docs/pages/interop.md", "experiments/any_model/README.md"]


def blocks(page):
    """Each block of Python, and what the page says it prints."""
    found = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", (ROOT / page).read_text(), re.DOTALL)
    assert found
    return found


def printed(code, names):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, names)
    return "".join(line for line in said.getvalue().splitlines(True) if not line.startswith("step "))


def require_alike(said, expected, tolerance):
    """Words are equal, up to spaces; numbers within the tolerance."""
    words = lambda text: NUMBER.sub("#", text).split()
    numbers = lambda text: [float(number) for number in NUMBER.findall(text)]
    assert words(said) == words(expected)
    assert numbers(said) == pytest.approx(numbers(expected), abs=tolerance)


def run(page, monkeypatch, folder, tolerance, needs=None):
    """Run the blocks one after the other; those that mention `needs` alone, or all others."""
    monkeypatch.chdir(folder)
    names = {}
    with np.printoptions():  # a page sets its own, and they end with it
        for code, expected in blocks(page):
            if ("import torch" in code) == (needs == "torch"):
                said = printed(code, names)
                if expected:
                    require_alike(said, expected, tolerance)


@pytest.mark.parametrize("page", EXACT)
def test_pages_of_exact_numbers(page, monkeypatch, tmp_path):
    run(page, monkeypatch, tmp_path, 2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("page", TRAINING)
def test_pages_that_train(page, monkeypatch, tmp_path):
    run(page, monkeypatch, tmp_path, 0.02)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is in the extra bench")
def test_page_of_pytorch(monkeypatch, tmp_path):
    run("docs/pages/own_networks.md", monkeypatch, tmp_path, 0.1, needs="torch")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is in the extra bench")
def test_page_of_a_model_read_by_its_probabilities(monkeypatch, tmp_path):
    import torch

    torch.manual_seed(0)
    torch.save(torch.nn.Sequential(torch.nn.Embedding(3, 3)), tmp_path / "yours.pt")  # the last token decides
    run("experiments/any_model/README.md", monkeypatch, tmp_path, 0.1, needs="torch")


def test_no_page_with_code_is_forgotten():
    assert sorted([*EXACT, *TRAINING, *OTHERWISE]) == [
        place(page) for page in PAGES if "```python\n" in page.read_text()
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of other people's tools
def test_page_of_other_tools(monkeypatch, tmp_path):
    """The blocks whose packages are installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    names = {}
    for number, (code, expected) in enumerate(blocks("docs/pages/interop.md")):
        packages = re.findall(r"^(?:from|import) (\w+)", code, re.M)
        if all(importlib.util.find_spec(package) for package in packages):
            path = tmp_path / f"block_{number}.py"
            path.write_text(code)  # nnsight reads the source of what it runs
            said = printed(compile(code, path, "exec"), names)
            require_alike(said, expected or said, 0.1)


def test_contributing_quotes_its_example():
    example = (ROOT / "docs/examples/golden_mean/__main__.py").read_text()
    assert f"```python\n{example}```" in (ROOT / "docs/CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_is_on_the_page_of_its_room(room):
    listed = re.findall(rf"^::: beliefgeo\.{room}\.(\w+)$", (ROOT / f"docs/pages/api/{room}.md").read_text(), re.M)
    modules = {path.stem for path in (ROOT / "beliefgeo" / room).glob("*.py")} - {"__init__"}
    assert sorted(listed) == sorted(modules)


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link


def commands(page):
    """The words of every command of a page, without variables; those of the table of claims are records."""
    text = re.sub(r"<!-- claims -->.*<!-- end of claims -->", "", page.read_text(), flags=re.DOTALL)
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    lines += re.findall(r"`((?:python (?:experiments|docs)/|beliefgeo |mkdocs )[^`]+)`", text.replace("\n", " "))
    for words in (shlex.split(part, comments=True) for line in lines for part in re.split("&+", line)):
        while words and "=" in words[0]:
            words = words[1:]
        if words:
            yield words


def fields(*sources):
    """The names of all fields of the classes of some modules."""
    classes = [made for path in sources for made in ast.walk(ast.parse(path.read_text())) if hasattr(made, "bases")]
    return {line.target.id for made in classes for line in made.body if isinstance(line, ast.AnnAssign)}


def require_known(words):
    """Every command is one that is installed or lies here, with presets, fields and extras that it has."""
    package = ROOT / "beliefgeo"
    known = fields(*package.glob("networks/*.py"), *package.glob("learning/budget.py")) | {"out", "publish", "help"}
    program, *rest = words
    flags = {word[2:].replace("-", "_") for word in rest if word.startswith("--")}
    if program == "python" and rest[0].endswith(".py"):
        assert (ROOT / rest[0]).is_file(), rest[0]
    elif program == "python":
        main = ROOT / rest[0] / "__main__.py"
        presets = re.search(r"^PRESETS = \{.*?^\}|^PRESETS = .*?$", main.read_text(), re.M | re.DOTALL)[0]
        chosen = [word for word in rest[1:2] if not word.startswith(("-", ".."))]
        assert all(f'"{preset}":' in presets for preset in chosen), words
        assert flags <= known | fields(*main.parent.glob("*.py")), words
    elif program == "beliefgeo":
        with pytest.raises(SystemExit) as usage:
            command(["--help"])
        assert f"beliefgeo {rest[0]} " in str(usage.value), words
        assert flags <= known | fields(*package.glob("runs/command.py")), words
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = re.findall(r"[\w-]+", "".join(word[1:] for word in rest if word.startswith(".[")))
        assert set(asked) <= set(extras), words
    else:
        assert program in ("export", "mkdocs", "pre-commit", "pytest"), words


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_commands_are_understood(page):
    for words in commands(page):
        require_known(words)


RESULTS = sorted(path.parent for path in ROOT.glob("experiments/*/claims.json"))


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_a_result_begins_with_what_was_found(folder):
    """A bold sentence whose numbers are those of the claims, then a picture, before any table."""
    text, told = (folder / "README.md").read_text(), (folder / "claims.json").read_text()
    found = re.match(r"# [^\n]+\n\n\*\*(.+?)\*\*\n\n", text, re.DOTALL)
    assert text.index("\n![") < text.index("\n|--")
    claimed = [float(number) for number in re.findall(r"-?(?:\d*\.\d+|\d+)(?:e-?\d+)?", told)]
    for number, digits, power in re.findall(r"((?<![\w.])-?\d*\.(\d+)(?:e(-\d+))?)(?![\dM])", found[1]):
        half = 0.501 * 10.0 ** (int(power or 0) - len(digits))
        assert any(abs(float(number) - claim) <= half for claim in claimed), number


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_every_picture_is_on_its_page(folder):
    shown = re.findall(r"^!\[.+\]\((\S+)\)$", (folder / "README.md").read_text(), re.M)
    assert sorted(shown) == sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".gif"))
    assert re.search(r"^## ", (folder / "README.md").read_text(), re.M)


def test_every_claim_has_a_row_of_its_own():
    rows = lambda page, row: re.findall(row, (ROOT / page).read_text(), re.M)
    names = sorted(folder.name for folder in RESULTS)
    assert sorted(rows("experiments/README.md", r"^\| \[`(\w+)`\]\(")) == names
    assert sorted(rows("docs/pages/reproducing.md", r"^\| \[.+?\| `python experiments/(\w+)`")) == names


def test_every_row_has_a_verdict_and_the_commits_of_its_claims():
    verdicts = "reproduced|in part|not reproduced|cannot be told|holds|does not hold|answered|measured|exploratory"
    for row in re.findall(r"^\| \[`\w+`\].*$", (ROOT / "experiments/README.md").read_text(), re.M):
        name, _, verdict, *_, commits = row.strip("| ").split(" | ")
        assert re.match(rf"(?:{verdicts})\b", verdict), row
        lines = json.loads((ROOT / "experiments" / name.split("`")[1] / "claims.json").read_text())
        assert commits.split(", ") == list(dict.fromkeys(line["commit"] for line in lines)), row


def test_what_does_not_reproduce_quotes_the_table_of_claims():
    number = r"(?<![\w.])-?\d*\.\d+(?:e-?\d+)?"
    table = (ROOT / "experiments/README.md").read_text()
    page = (ROOT / "docs/pages/not_reproduced.md").read_text()
    for name, row in re.findall(r"^\| \[[^]]+\]\(\.\./\.\./experiments/(\w+)/README\.md\) (.+)$", page, re.M):
        held = re.search(rf"^\| \[`{name}`\].*$", table, re.M)[0]
        known = {float(each) for each in re.findall(number, held)}
        assert {float(each) for each in re.findall(number, row)} <= known, name


def test_every_cited_paper_is_in_the_bibliography():
    sources = [path for folder in ("beliefgeo", "experiments", "docs") for path in (ROOT / folder).rglob("*.py")]
    number = r"(?<![\d.])(?:0[7-9]|1\d|2\d)(?:0[1-9]|1[0-2])\.\d{4,5}(?![\d.])"
    cited = {each for path in [*sources, *PAGES] for each in re.findall(number, path.read_text())}
    listed = set(re.findall(rf"abs/({number})\)", (ROOT / "docs/pages/bibliography.md").read_text()))
    assert cited == listed
