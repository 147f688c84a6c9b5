"""What no page writes by hand: the claims with their verdicts, the gallery, and mathematics set as MathML.

A page holds a mark, as `<!-- gallery -->`, where the site shows what is made of the pages of the experiments. Links
that are made are those of the repository; `claims.py`, which comes after, makes them those of the site. Formulas stand
between dollars, which the repository's own pages show too; on the site they need no script.
"""

import html
import re
from pathlib import Path
from typing import NamedTuple

from latex2mathml.converter import convert
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
UP = "../../experiments"
PICTURE = re.compile(r"^!\[(.+?)\]\((\S+)\)$", re.MULTILINE)
CLAIMS = re.compile(r"^\| folder \| claim .*\n\|[-|]+\|\n(?:\| .*\n?)+", re.MULTILINE)
NUMBERS = re.compile(r"<td>((?:[-+\d.,;%e ()]|to|of){1,24})</td>")
PRINTED = re.compile(r'(?<=<div class=")language-text(?= highlight">(.+?)</div>)', re.DOTALL)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


class Experiment(NamedTuple):
    """A page of claims, as far as other pages show it."""

    name: str
    title: str
    found: str
    """Its take-away, the bold paragraph below the title."""
    command: str
    pictures: list[tuple[str, str]]
    """What each shows, and its file."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs with the text of each page: marks become what they stand for."""
    made = {"<!-- verdicts -->": verdicts, "<!-- gallery -->": gallery}
    for mark, make in made.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return CLAIMS.sub(lambda table: sections(table[0]), markdown)


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Called by mkdocs with the HTML of each page: formulas become MathML; numbers of a table stay on a line."""
    del page
    content = NUMBERS.sub(r'<td class="number">\1</td>', content)
    content = PRINTED.sub(lambda block: f"language-text {'wide' if longest(block[1]) > 92 else ''}", content)
    display = {"span": "inline", "div": "block"}
    return FORMULA.sub(lambda found: convert(html.unescape(found[2]), display=display[found[1]]), content)


def longest(block: str) -> int:
    """The number of characters in the longest line of a block of HTML."""
    return max(map(len, html.unescape(re.sub("<[^>]+>", "", block)).splitlines()))


def rows(text: str) -> list[list[str]]:
    """The cells of the claims in the table of `experiments/README.md`: name, claim, verdict, and what its head says."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| [`")]


def sections(table: str) -> str:
    """Each claim as a section of the page of all claims, on which the table would be too wide to read."""
    head = table.splitlines()[0].strip("| ").split(" | ")
    return "\n\n".join(section(row, head[3:]) for row in rows(table))


def section(row: list[str], head: list[str]) -> str:
    """The claim of one row, its other cells as a list, each below the word at the head of its column."""
    name, claim, verdict, *cells = row
    listed = [f"* *{what}*: {cell}" for what, cell in zip(head, cells, strict=True)]
    return f"## {name.replace('`', '')}\n\n{claim[0].upper()}{claim[1:]}: **{verdict}**\n\n" + "\n".join(listed)


def verdicts() -> str:
    """The claims of `experiments/README.md` with their verdicts."""
    cells = [[row[0].replace("`", ""), *row[1:3]] for row in rows(read("README.md")) if "/README.md)" in row[0]]
    moved = [re.sub(r"\]\((?!http)", rf"]({UP}/", " | ".join(row)) for row in cells]
    return "\n".join(["| experiment | claim | verdict |", "|---|---|---|", *(f"| {row} |" for row in moved)])


def gallery() -> str:
    """Every picture of every experiment, below what was found there and the command that draws it."""
    return "\n\n".join(shown(experiment) for experiment in experiments())


def shown(experiment: Experiment) -> str:
    """The pictures of one experiment, each a link to its page."""
    page = f"{UP}/{experiment.name}/README.md"
    pictures = [
        f"- [![{what}]({UP}/{experiment.name}/{file})]({page})\n\n    {what}" for what, file in experiment.pictures
    ]
    return "\n\n".join(
        [
            f"## {experiment.title}",
            f"{experiment.found} [More]({page})",
            f"```bash\n{experiment.command}\n```",
            '<div class="gallery" markdown>',
            "\n\n".join(pictures),
            "</div>",
        ]
    )


def experiments() -> list[Experiment]:
    """The experiments in the order of `experiments/README.md`."""
    names = re.findall(r"^\| \[`\w+`\]\((\w+)/README\.md\)", read("README.md"), re.MULTILINE)
    return [of_page(name, read(f"{name}/README.md")) for name in names]


def of_page(name: str, text: str) -> Experiment:
    """What the page of an experiment says."""
    title, first = re.match(r"# ([^\n]+)\n\n(.+?)\n\n", text, re.DOTALL).groups()
    found = " ".join(first.split()) if first.startswith("**") else ""
    command = re.search(r"^python experiments/.+$", text, re.MULTILINE)[0]
    return Experiment(name, title, found, command, PICTURE.findall(text))


def read(page: str) -> str:
    """A page below `experiments`."""
    return (ROOT / "experiments" / page).read_text()
