"""A process in a file: its arrays by their names, in NumPy's npz format, without pickle."""

from os import PathLike
from zipfile import BadZipFile

import jax.numpy as jnp
import numpy as np

from beliefgeo.arrays import is_traced
from beliefgeo.processes.process import Process

_ARRAYS = ("transitions", "initial", "readout", "generalised")


def save_process(process: Process, path: str | PathLike) -> None:
    """Write `transitions`, `initial`, `readout` and `generalised` to exactly this path; what was there is replaced.

    Raises:
        TypeError: a traced process.
    """
    if is_traced(process):
        raise TypeError("a traced process has no values to save: call save outside jit, vmap and grad")
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **{name: np.asarray(getattr(process, name)) for name in _ARRAYS})


def load_process(path: str | PathLike) -> Process:
    """The process that `process.save(path)` wrote: bit for bit where the session has the precision of its arrays.

    Raises:
        ValueError: a file that holds no process.
        OSError: no such file.

    >>> import tempfile
    >>> from beliefgeo.processes.classical import golden_mean
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     golden_mean().save(f"{folder}/golden.npz")
    ...     load_process(f"{folder}/golden.npz").initial.round(4).tolist()
    [0.6667, 0.3333]
    """
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as held:
                arrays = {name: held[name] for name in _ARRAYS}
        except (ValueError, KeyError, EOFError, BadZipFile, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} holds no process: a file of Process.save has the arrays {', '.join(_ARRAYS)} ({error})"
            ) from error
    matrices, initial, readout = (arrays[name] for name in _ARRAYS[:3])
    if matrices.ndim != 3 or {initial.shape, readout.shape, matrices.shape[1:2], matrices.shape[2:]} != {initial.shape}:
        raise ValueError(
            f"{path} holds no process: transitions [token, state, next_state], initial [state] and readout [state] "
            f"have shapes {matrices.shape}, {initial.shape} and {readout.shape}"
        )
    return Process(jnp.asarray(matrices), jnp.asarray(initial), jnp.asarray(readout), bool(arrays["generalised"]))
