"""Sequences of symbols from a text or CSV file, numbered, with the symbols as names."""

import csv
from os import PathLike, fspath

from beliefgeo.beliefs.windows import Sequences, check_sequences


def read_symbols(path: str | PathLike, column: str | None = None) -> Sequences:
    """The sequences of a file: `infer_causal_states` takes them, and its process keeps the names.

    A line of text is a sequence: of words if there are spaces in the file, else of letters. But lines of one word each,
    from few words that repeat, are one sequence of words, as in `check_sequences`. A row of a CSV file is a sequence of
    cells; but if all rows have one cell, they are the symbols of one sequence. Empty lines and cells do not count.

    Args:
        path: a file in UTF-8; it is CSV if its name ends in `.csv`, and CSV with tabs if it ends in `.tsv`.
        column: the name of a column of a CSV file whose first row holds names: that column is the sequence.

    Returns:
        `.tokens` `[batch, time]`, numbered in the sorted order of the names, -1 after the end of a shorter sequence;
        and `.names`.

    Raises:
        ValueError: a file without symbols, or without that column.
        OSError: no such file.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(f"{folder}/weather.txt").write_text("sun rain rain")
    ...     read_symbols(f"{folder}/weather.txt")
    Sequences(tokens=array([[1, 0, 0]]), names=('rain', 'sun'))
    """
    suffix = fspath(path)[-4:].lower()
    with open(path, encoding="utf-8-sig", newline="") as file:
        if suffix in (".csv", ".tsv"):
            rows = list(csv.reader(file, delimiter="," if suffix == ".csv" else "\t"))
            words = _cells([[cell.strip() for cell in row] for row in rows], path, column)
            words = [[cell for cell in word if cell] for word in words]
        elif column is not None:
            raise ValueError(f"{path} is text and has no columns: leave column out, or name the file .csv")
        else:
            lines = [line.strip() for line in file.read().splitlines()]
            words = [line.split() for line in lines] if any(len(line.split()) > 1 for line in lines) else lines
    if not (words := [word for word in words if word]):
        raise ValueError(f"{path} holds no symbols")
    return check_sequences(words)


def _cells(rows: list[list[str]], path: str | PathLike, column: str | None) -> list[list[str]]:
    if column is None:
        return [[row[0] for row in rows if row]] if all(len(row) < 2 for row in rows) else rows
    names = rows[0] if rows else []
    if column not in names:
        raise ValueError(f"{path} has the columns {', '.join(names)}; got column={column!r}")
    at = names.index(column)
    return [[row[at] for row in rows[1:] if len(row) > at]]
