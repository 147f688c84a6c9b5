"""Pages tell the truth: the code they show runs and prints what they say, and every module has its line."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent.name for path in (ROOT / "beliefgeo").glob("*/__init__.py"))
NUMBER = re.compile(r"-?\d*\.\d+|-?\d+\.|-?\d+")


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


@pytest.mark.parametrize("page", ["docs/pages/index.md", "docs/pages/concepts.md"])
def test_pages_of_exact_numbers(page, monkeypatch, tmp_path):
    run(page, monkeypatch, tmp_path, 2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/pages/walkthrough.md", "docs/pages/own_networks.md"])
def test_pages_that_train(page, monkeypatch, tmp_path):
    run(page, monkeypatch, tmp_path, 0.02)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is in the extra bench")
def test_page_of_pytorch(monkeypatch, tmp_path):
    run("docs/pages/own_networks.md", monkeypatch, tmp_path, 0.1, needs="torch")


def test_contributing_quotes_its_example():
    example = (ROOT / "docs/examples/golden_mean/__main__.py").read_text()
    assert f"```python\n{example}```" in (ROOT / "docs/CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_is_on_the_page_of_its_room(room):
    listed = re.findall(rf"^::: beliefgeo\.{room}\.(\w+)$", (ROOT / f"docs/pages/api/{room}.md").read_text(), re.M)
    modules = {path.stem for path in (ROOT / "beliefgeo" / room).glob("*.py")} - {"__init__"}
    assert sorted(listed) == sorted(modules)


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *ROOT.glob("experiments/**/*.md"), *ROOT.glob("docs/**/*.md")]),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_and_commands_lead_somewhere(page):
    text = page.read_text()
    for link in re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        assert (page.parent / link).exists(), link
    for command in re.findall(r"python ((?:experiments|docs/examples)/[\w/.]+)", text):
        assert (ROOT / command / "__main__.py").exists() or (ROOT / command).is_file(), command
