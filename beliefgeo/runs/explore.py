"""`beliefgeo explore RUN`: one HTML file of a trained network beside the exact beliefs, from the folder of a run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from beliefgeo.plots.explorer import Scene, page
from beliefgeo.processes.loaded import load_process
from beliefgeo.processes.process import Observer
from beliefgeo.reading.each import Checkpoint
from beliefgeo.runs.folder import read_config
from beliefgeo.runs.identity import identity
from beliefgeo.runs.load import load_run
from beliefgeo.runs.run import named_key
from beliefgeo.runs.scene import scene_of


@dataclass(frozen=True)
class Options:
    """What the page shows of a run.

    Attributes:
        process: The file of the process, where the folder does not hold it, as for a run of an earlier version.
        network: The number of the network's folder, where a run trained networks in several.
        seed: The number of the network among those trained side by side.
        words: The largest number of words: all words of the context, or else of a shorter length, or else drawn words.
        title: The title of the page; default: the name of the experiment or of the folder.
        out: The file to write; default: explorer.html in the folder of the run.
    """

    process: Path | None = None
    network: int = 0
    seed: int = 0
    words: int = 66_000
    title: str | None = None
    out: Path | None = None


def explore(run: str | Path, options: Options = Options()) -> Path:
    """Write the page of a network's folder, or of an experiment's folder.

    Args:
        run: a folder that `load_run` reads, or the folder in which an experiment left its results.
        options: what to show.

    Returns:
        The file.

    Raises:
        ValueError: a folder without a network or without its process, another process than the network learnt, or
            beliefs that do not vary.
    """
    run = Path(run)
    folder = _network_folder(run, options.network)
    config = read_config(folder)
    process = _process(folder, config, options)
    each = config["context"] * config["budget"]["batch"]
    steps = sorted(int(path.name) for path in (folder / "checkpoints").glob("[0-9]*") if path.name.isdigit())
    shots = []
    for step in steps:  # one network object, so that its code is compiled once
        loaded = load_run(folder, shots[0].network if shots else None, seed=options.seed, step=step)
        shots.append(Checkpoint(loaded.network, jax.tree.map(lambda leaf: leaf[None], loaded.params), step * each))
    title = options.title or (folder.name if run == folder else run.absolute().parent.name)
    key = named_key(0, "words of the explorer")
    scene = scene_of(key, process, shots, config["context"], bos=config["bos"], words=options.words, title=title)
    return write_page(options.out or run / "explorer.html", scene)


def write_page(path: Path, scene: Scene) -> Path:
    """Write the page of a scene."""
    path.write_text(page(scene), encoding="utf-8")
    return path


def _network_folder(run: Path, number: int) -> Path:
    """The folder of the network itself, or of a network that a run's record names."""
    if (run / "checkpoints").is_dir():
        return run
    if not (run / "run.json").exists():
        raise ValueError(f"{run} holds no run: give the folder of a network, or the folder that an experiment printed")
    named = [Path(name) for name in json.loads((run / "run.json").read_text())["networks"]]
    if number >= len(named):
        raise ValueError(f"{run} names {len(named)} folders of networks; got network={number}")
    # The record has the path as the experiment was called; the folder of runs may have moved since.
    places = [named[number], run.parents[1] / "networks" / named[number].name]
    if not (found := [place for place in places if place.is_dir()]):
        raise ValueError(f"{run} was made from the network in {named[number]}, which is no longer there")
    return found[0]


def _process(folder: Path, config: dict[str, Any], options: Options) -> Observer:
    """The process that this seed learnt, compared with what the record says of it."""
    number = options.seed * len(config["process"]) // config["seeds"]
    path = folder / f"processes/{number}.json" if options.process is None else options.process
    if not path.exists():
        raise ValueError(
            f"{path} does not exist, so that the process is unknown: save it, process.save('mine.json'), and pass "
            "--process mine.json"
        )
    process = load_process(path)
    if identity(process, f"process {number}") != config["process"][str(number)]:
        raise ValueError(f"{path} is not the process that the network of {folder} learnt: pass that one")
    return process
