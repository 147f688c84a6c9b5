"""Claims: one list makes the terminal's table, the page's table, and the test that pages tell the truth."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from beliefgeo.reading.seeds import Seeds

_BEGIN, _END = "<!-- claims -->", "<!-- end of claims -->"


class Claim(NamedTuple):
    """A number of an experiment beside the published number.

    >>> Claim("loss above the optimum (nats)", "losses/gap", "1.6e-4", ".1e").told({"losses": {"gap": 2e-4}})["ours"]
    '2.0e-04'

    Attributes:
        label: What the number is.
        path: Where the results hold the number: names of fields or keys, and indices, separated by slashes.
        published: The published number, as text; empty if there is none.
        form: How numbers are written, as in `format`.
    """

    label: str
    path: str
    published: str = ""
    form: str = ".3g"

    def told(self, results: Any) -> dict[str, Any] | None:
        """The line of claims.json: label, published, ours, seeds, interval; None where the results lack it."""
        found = look_up(results, self.path)
        if found is None:
            return None
        line = {"label": self.label, "published": self.published}
        if not isinstance(found, Seeds):
            return line | {"ours": self._written(found)}
        line |= {"ours": self._written(found.mean), "seeds": len(found.values)}
        if found.interval is not None:
            low, high = (self._written(end) for end in found.interval)
            line["interval"] = f"{low} to {high}"
        return line

    def _written(self, value: Any) -> str:
        """A number, or several in a row, in this format; a record with its own text, such as a rank, as that text."""
        if isinstance(value, (str, tuple)):
            return str(value)
        return " ".join(format(float(number), self.form) for number in np.ravel(value))


def look_up(results: Any, path: str) -> Any:
    """What the results hold at a path; None where they lack it, as for a preset that leaves a part out."""
    for name in path.split("/"):
        if isinstance(results, Mapping):
            keys = {str(key): key for key in results}
            results = results.get(keys.get(name))
        elif name.lstrip("-").isdigit() and isinstance(results, (Sequence, np.ndarray)):
            results = results[int(name)] if -len(results) <= int(name) < len(results) else None
        elif isinstance(results, Seeds) and name.startswith("at "):
            results = Seeds(results.values[(slice(None), *map(int, name[3:].split(",")))])
        else:
            results = getattr(results, name, None)
        if results is None:
            return None
    return results


def tell(claims: Sequence[Claim], results: Any) -> list[dict[str, Any]]:
    """The lines of all claims whose numbers the results hold."""
    return [line for claim in claims if (line := claim.told(results)) is not None]


def write_claims(path: Path, lines: list[dict[str, Any]], made: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write claims.json with one line for each claim; lines that another command made stay.

    Args:
        path: the path of claims.json.
        lines: the lines from `tell`.
        made: what made the lines: the command, the commit, the device.

    Returns:
        All lines of the file.
    """
    held = json.loads(path.read_text()) if path.exists() else []
    kept = [line for line in held if line["command"] != made["command"]]
    every = [{**line, **made} for line in lines] + kept
    path.write_text("[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in every) + "\n]\n")
    return every


def markdown(lines: list[dict[str, Any]]) -> str:
    """The tables of a page, a table for each command."""
    tables = []
    for command in dict.fromkeys(line["command"] for line in lines):
        of_command = [line for line in lines if line["command"] == command]
        made = of_command[0]
        rows = [
            f"| {line['label']} | {line['published']} | {line['ours']} | {line.get('interval', '')} |"
            for line in of_command
        ]
        heading = f"`{command}`, commit {made['commit']}, {made['device']}:"
        tables.append("\n".join([heading, "", "| | published | ours | 95% interval |", "|---|---|---|---|", *rows]))
    return "\n\n".join(tables)


def write_table(page: Path, lines: list[dict[str, Any]]) -> None:
    """Put the tables between the page's marks.

    Raises:
        ValueError: a page without the marks.
    """
    text = page.read_text()
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"{page} must hold {_BEGIN} and {_END}, between which the table of claims is written")
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    page.write_text(pattern.sub(lambda _: f"{_BEGIN}\n{markdown(lines)}\n{_END}", text, count=1))


def table_of(page: Path) -> str:
    """The text between the page's marks: the test of a page compares it with `markdown` of its claims.json."""
    text = page.read_text()
    return text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)].strip()
