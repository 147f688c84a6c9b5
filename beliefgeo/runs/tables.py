"""Rows and a reading as tables for other tools: Parquet and safetensors with a card, and SAELens's activations."""

from pathlib import Path
from typing import Any

import numpy as np

import beliefgeo
from beliefgeo.processes.factored import require_observer
from beliefgeo.processes.process import Observer, Process, vocabulary
from beliefgeo.reading.read import Reading
from beliefgeo.reading.rows import Rows
from beliefgeo.runs.outputs import commit
from beliefgeo.runs.safetensors import write_safetensors

_MEANINGS = {
    "tokens": "the tokens of the process in the prefix; in safetensors padded with -1",
    "length": "the number of these tokens",
    "word": "the first of the words that begin with the prefix",
    "position": "the position of the word at which the network has read exactly the prefix, from 0, a BOS included",
    "count": "how many words share the prefix: the weight under which every word and position counts equally",
    "probability": "the probability of the prefix; these sum to 1 over the prefixes of each length",
    "belief": "what an ideal observer believes after the prefix",
    "law": "the exact law of the next token after the prefix",
    "log_law": "the network's log-probabilities of the next token, the process's tokens first",
}

_ACTIVATIONS = "what the network holds at this site"

_CARD = """---
pretty_name: Beliefs and activations after every prefix
tags: [belief-state-geometry, hidden-markov-model, interpretability]
size_categories: ["{size}"]
configs:
- config_name: default
  data_files: rows.parquet
---

# Beliefs and activations after every prefix

The process: {process}; {vocabulary}; a belief has {states} entries.

A row is a distinct prefix, the shortest first: {rows}, {drawn}.

Alignment: the network reads each word {bos}. A row holds what the network holds at `position`, where it has read
exactly the tokens of the prefix, beside what an ideal observer believes after these tokens. `law` and `log_law` are of
the token that follows. Row vectors: the next belief is `belief @ transitions[token]`, normalised. Logarithms are
natural.

| column | type | shape | what it holds |
|---|---|---|---|
{columns}

`rows.parquet` and `rows.safetensors` hold the same arrays. Made by beliefgeo {version}, commit {commit}.
"""

# What a data set's card calls fewer than 10^3 rows, 10^4, ...
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")


def columns(rows: Rows, reading: Reading | None = None) -> dict[str, np.ndarray]:
    """Everything by name, `[row, ...]`: prefixes, weights, beliefs and laws, then the network's laws and activations.

    >>> import jax
    >>> from beliefgeo.processes.classical import golden_mean
    >>> from beliefgeo.reading.rows import rows
    >>> {name: array.shape for name, array in columns(rows(jax.random.key(0), golden_mean(), 2)).items()}["belief"]
    (5, 2)
    """
    words, length = rows.words[rows.word], rows.length
    found = {
        "tokens": np.where(np.arange(words.shape[1]) < length[:, None], words, -1),
        "length": length,
        "word": rows.word,
        "position": rows.position,
        "count": rows.counts,
    }
    found = {name: array.astype(np.int64) for name, array in found.items()}
    found |= {"probability": rows.probabilities, "belief": rows.beliefs, "law": rows.laws}
    if reading is not None:
        found |= {"log_law": np.asarray(reading.log_laws)}
        found |= {site: np.asarray(values) for site, values in reading.features.items()}
    return found


def export_rows(process: Observer, rows: Rows, reading: Reading | None, folder: str | Path) -> Path:
    """Write a data set: `rows.parquet` and `rows.safetensors`, a row a prefix, `process.json`, and a card, `README.md`.

    `datasets.load_dataset(folder)` and `polars.read_parquet(folder / "rows.parquet")` read the table, a column for each
    of `columns`. Needs the package pyarrow, which the extra `interop` installs.

    Args:
        process: the process of the rows; the card names it, and `process.json` holds it if it is a `Process`.
        rows: from `reading.rows`.
        reading: the network on these rows; None for the rows alone.
        folder: the new folder.

    Returns:
        The folder.

    Raises:
        ModuleNotFoundError: pyarrow is missing.
        ValueError: a process or a reading that is not of these rows.
    """
    import pyarrow  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet  # pyright: ignore[reportMissingImports]

    _require_same(process, rows, reading)
    arrays, folder = columns(rows, reading), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = {name: _column(pyarrow, values) for name, values in arrays.items()}
    ends = np.append(0, np.cumsum(rows.length)).astype(np.int32)
    table["tokens"] = pyarrow.ListArray.from_arrays(ends, arrays["tokens"][arrays["tokens"] >= 0])
    pyarrow.parquet.write_table(pyarrow.table(table), folder / "rows.parquet")
    write_safetensors(folder / "rows.safetensors", arrays, {"beliefgeo": beliefgeo.__version__})
    if isinstance(process, Process):
        process.save(folder / "process.json")
    (folder / "README.md").write_text(card(process, rows, arrays))
    return folder


def _require_same(process: Observer, rows: Rows, reading: Reading | None) -> None:
    tokens = vocabulary(require_observer("export_rows", process))
    if tokens != rows.laws.shape[1]:
        raise ValueError(f"the rows are of a process of {rows.laws.shape[1]} tokens; got a process of {tokens}")
    if reading is not None and len(reading.log_laws) != len(rows.word):
        raise ValueError(f"the reading must be of these {len(rows.word)} rows; got {len(reading.log_laws)}")


def _column(pyarrow: Any, values: np.ndarray) -> Any:
    """A column of numbers, or of lists of one length for each further axis."""
    column = pyarrow.array(values.reshape(-1))
    for size in reversed(values.shape[1:]):
        column = pyarrow.FixedSizeListArray.from_arrays(column, size)
    return column


def card(process: Observer, rows: Rows, arrays: dict[str, np.ndarray]) -> str:
    """The text of a data set's card: what the columns are, of which process, how they are aligned, and what made them.

    Args:
        process: the process of the rows.
        rows: the rows.
        arrays: from `columns`.
    """
    saved = ", in `process.json` (`beliefgeo.load_process`)" if isinstance(process, Process) else ""
    named = getattr(process, "token_names", None)
    has_bos = rows.tokens.shape[1] > rows.length.max()
    return _CARD.format(
        size=_SIZES[max(0, len(str(len(rows.word))) - 3)],
        process=type(process).__name__ + saved,
        vocabulary=f"{rows.laws.shape[1]} tokens" + (f" {list(named)}" if named else ""),
        states=rows.beliefs.shape[1],
        rows=f"{len(rows.word):,} prefixes of {len(rows.tokens):,} words of {rows.length.max()} tokens",
        drawn="drawn at random" if rows.sampled else "all that the process allows",
        bos=f"after the BOS {rows.tokens[0, 0]}" if has_bos else "without a BOS",
        columns="\n".join(
            f"| `{name}` | {array.dtype} | {list(array.shape[1:]) or ''} | {_MEANINGS.get(name, _ACTIVATIONS)} |"
            for name, array in arrays.items()
        ),
        version=beliefgeo.__version__,
        commit=commit(Path(beliefgeo.__file__).parent) or "unknown",
    )


def export_saelens(rows: Rows, reading: Reading, folder: str | Path) -> Path:
    """Write the activations as SAELens caches them: a row a word, a column a site, by TransformerLens's hook names.

    In SAELens: `use_cached_activations=True`, `cached_activations_path=folder`, `context_size` the tokens of a word,
    `d_in` the width, `hook_name` such as "blocks.0.hook_resid_post" for "layer 1". Needs the package datasets, which
    the extra `interop` installs.

    Every listed word is a row, so that each counts the same. For words as frequent as the process makes them, draw
    them: `reading.rows(key, process, context, most=...)`.

    Args:
        rows: from `reading.rows`.
        reading: the network on these rows.
        folder: the new folder.

    Returns:
        The folder.

    Raises:
        ModuleNotFoundError: datasets is missing.
    """
    import datasets  # pyright: ignore[reportMissingImports]

    at = row_of(rows)
    sites = {hook_of(site): np.asarray(values)[at] for site, values in reading.features.items()}
    kinds: dict[str, Any] = {name: datasets.Array2D(values.shape[1:], "float32") for name, values in sites.items()}
    kinds["token_ids"] = datasets.Sequence(datasets.Value("int32"), length=rows.tokens.shape[1])
    held = {
        **{name: list(values.astype(np.float32)) for name, values in sites.items()},
        "token_ids": rows.tokens.tolist(),
    }
    datasets.Dataset.from_dict(held, features=datasets.Features(kinds)).save_to_disk(folder)
    return Path(folder)


def row_of(rows: Rows) -> np.ndarray:
    """The row of each word and position, `[word, time]`: `features[row_of(rows)]` is what a network gives for words.

    >>> import jax
    >>> from beliefgeo.processes.classical import golden_mean
    >>> from beliefgeo.reading.rows import rows
    >>> row_of(rows(jax.random.key(0), golden_mean(), 2)).tolist()
    [[0, 2], [0, 3], [1, 4]]
    """
    words = np.arange(len(rows.tokens))
    by_position = [np.flatnonzero(rows.position == position) for position in range(rows.tokens.shape[1])]
    # The prefixes of one position are in the order of their first words.
    return np.stack([at[np.searchsorted(rows.word[at], words, "right") - 1] for at in by_position], 1)


def hook_of(site: str) -> str:
    """TransformerLens's name of a site that `by_layer` names; other names stay.

    >>> hook_of("layer 2"), hook_of("layer 1 mid"), hook_of("final norm")
    ('blocks.1.hook_resid_post', 'blocks.0.hook_resid_mid', 'ln_final.hook_normalized')
    """
    words = site.split()
    if words[0] == "layer" and len(words) in (2, 3):
        return f"blocks.{int(words[1]) - 1}.hook_resid_{words[2] if len(words) == 3 else 'post'}"
    return {"embed": "blocks.0.hook_resid_pre", "final norm": "ln_final.hook_normalized"}.get(site, site)
