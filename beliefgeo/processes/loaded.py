"""A process from its file."""

import dataclasses
from os import PathLike

from beliefgeo.arrays import as_floats
from beliefgeo.processes.construct import check_numbers
from beliefgeo.processes.process import Process
from beliefgeo.processes.saved import read_process


def load_process(path: str | PathLike) -> Process:
    """The process that `process.save(path)` wrote: bit for bit if the session has the precision of its arrays.

    Raises:
        ValueError: a file that holds no process, or whose numbers are not those of a process.
        OSError: no such file.

    >>> import tempfile
    >>> from beliefgeo.processes.classical import golden_mean
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     golden_mean().save(f"{folder}/golden.json")
    ...     load_process(f"{folder}/golden.json").initial.round(4).tolist()
    [0.6667, 0.3333]
    """
    arrays, names = read_process(path)
    matrices, initial, readout = (arrays[name] for name in ("transitions", "initial", "readout"))
    if matrices.ndim != 3 or {initial.shape, readout.shape, matrices.shape[1:2], matrices.shape[2:]} != {initial.shape}:
        raise ValueError(
            f"{path} holds no process: transitions [token, state, next_state], initial [state] and readout [state] "
            f"have shapes {matrices.shape}, {initial.shape} and {readout.shape}"
        )
    for what, count in zip(("state_names", "token_names"), (matrices.shape[1], matrices.shape[0]), strict=True):
        if what in names and len(set(names[what])) != count:
            raise ValueError(f"{path} holds no process: it needs {count} different {what}; got {list(names[what])}")
    process = Process(as_floats(matrices), as_floats(initial), as_floats(readout), bool(arrays["generalised"]))
    try:
        check_numbers(process)
    except ValueError as error:
        raise ValueError(f"{path} holds no process: {error}") from error
    return dataclasses.replace(process, **names)
