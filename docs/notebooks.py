"""Notebooks as pages of the site: run while the site is built, and shown with what they print and draw.

They are committed without outputs, so that what the site shows is what this code does. Figures are part of the page,
which needs no other file. If `repo_url` of `mkdocs.yml` is a repository on GitHub, a page opens its notebook in Colab.
"""

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import groupby
from pathlib import Path
from urllib.parse import urlparse

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
SECONDS = 600
# Most of the time of a notebook is compilation: programs are kept where experiments keep theirs.
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(Path.home() / ".cache/beliefgeo"),
    "JAX_COMPILATION_CACHE_MAX_SIZE": str(2**30),
}
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs with all files: runs the notebooks side by side, and adds them for readers to take.

    Their pages are listed in `claims.elsewhere`.
    """
    paths = sorted(ROOT.glob("docs/notebooks/*.ipynb"))
    for path in paths:
        files.append(File.generated(config, f"notebooks/{path.name}", abs_src_path=str(path)))
    with ThreadPoolExecutor() as pool:  # each notebook has a process of its own
        list(pool.map(executed, [path.read_text() for path in paths]))
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:
    """Called by mkdocs for the text of each page: of a notebook its cells and their outputs, else None."""
    path = Path(page.file.abs_src_path or "")
    if path.suffix != ".ipynb":
        return None
    return as_markdown(executed(path.read_text()), links(path.name, config.repo_url))


@cache  # `mkdocs serve` builds again at each change of any page
def executed(text: str) -> nbformat.NotebookNode:
    """The notebook after its cells have run, in an empty folder, with the package of this checkout.

    Raises:
        CellExecutionError: a cell raised.
    """
    notebook = nbformat.reads(text, 4)
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        quiet = ["--log-level=ERROR"]
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", resources=place, extra_arguments=quiet
        )
        return client.execute(env={**CACHE, **os.environ, "PYTHONPATH": path})


def links(name: str, repository: str | None) -> str:
    """Where a reader takes the notebook: Colab, if the repository is known, and the file."""
    place = urlparse(repository or "")
    colab = f"https://colab.research.google.com/github{place.path.rstrip('/')}/blob/main/docs/notebooks/{name}"
    opened = f'<a href="{colab}">Open in Colab</a> · ' if place.netloc == "github.com" else ""
    return f'{opened}<a href="{name}" download>Download this notebook</a>'


def as_markdown(notebook: nbformat.NotebookNode, after_title: str) -> str:
    """Texts as they are, code and what it prints as code, figures as pictures."""
    title, *cells = notebook.cells
    parts = [title.source, after_title]
    for cell in cells:
        parts += [cell.source] if cell.cell_type == "markdown" else [fenced("python", cell.source), *outputs(cell)]
    return "\n\n".join(parts) + "\n"


def outputs(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell prints and shows. What it writes to stderr, such as warnings of devices, is left out."""
    shown = []
    for kind, group in groupby(cell.outputs, lambda output: output.get("name", "result")):
        if kind == "stdout":
            shown.append(fenced("text", STYLES.sub("", "".join(output.text for output in group)).rstrip()))
        elif kind == "result":
            shown += [_result(output.data) for output in group if any(output.data.values())]
    return shown


def _result(data: dict[str, str]) -> str:
    if "image/png" in data:
        return (
            f'<img alt="The figure that the code above draws" src="data:image/png;base64,{data["image/png"].strip()}">'
        )
    return fenced("text", STYLES.sub("", data["text/plain"]))


def fenced(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"
