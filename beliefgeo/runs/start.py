"""An experiment from its command line to its figures: everything but the method, once for all claims."""

import contextlib
import dataclasses
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import jax
import tyro
from rich.console import Console
from rich.table import Table

from beliefgeo.runs import hosts
from beliefgeo.runs.claims import Claim, tell, write_claims, write_table
from beliefgeo.runs.devices import cache_compilation, compile_quickly, one_device_per_core
from beliefgeo.runs.explore import write_page
from beliefgeo.runs.folder import open_run, run_folder
from beliefgeo.runs.outputs import commit, device, save_figure, save_movie, versions, write_json, write_results
from beliefgeo.runs.run import Run
from beliefgeo.runs.scene import scene_of
from beliefgeo.runs.timing import compiled_seconds

# The page of a run shows so many words at most, in seconds; that of `beliefgeo explore` more.
_WORDS = 7_000

Config = TypeVar("Config")
Results = TypeVar("Results")


def start(
    main: Callable[[Run, Config], Results],
    presets: Mapping[str, Config],
    *,
    claims: Sequence[Claim] = (),
    draw: Callable[[Any], Mapping[str, Any]] | None = None,
    args: Sequence[str] | None = None,
    name: str | None = None,
    said: str | None = None,
) -> Any:
    """Call `main(run, config) -> results` as the command line says: `[preset] [--field value ...] [--out folder]`.

    Then write the results, print the claims beside the published numbers, and draw. The folder of main's file names the
    claim, and --help shows the docstring of that file. To run several processes as one run, start the same command once
    for each process with the variables of `hosts.join`.

    Args:
        main: the method; its config has a `seed`.
        presets: a dataclass with every field set for each name; "default" is used if the command line names none, and
            the programs of "quick" are compiled quickly, without most optimisations.
        claims: the lines of the table.
        draw: a function from results to figures and movies by name.
        args: what the user typed; default: the command line.
        name: the name of the claim; default: the name of the folder of main's file.
        said: the whole command, for the record; default: the command that starts a claim's folder.

    Returns:
        The results.

    Raises:
        SystemExit: an unknown preset or field; any ValueError, FloatingPointError or OSError of the experiment (only
            its message is printed); or an interrupt (status 130). If a process of several fails, the others end within
            a minute: with a message too, or by JAX (status 134).
    """
    args = list(sys.argv[1:] if args is None else args)
    preset = args.pop(0) if args and not args[0].startswith("-") else "default"
    if preset not in presets:
        raise SystemExit(f"error: no preset {preset!r}; choose one of {', '.join(presets)}")
    kind, home = type(presets[preset]), Path(main.__code__.co_filename).parent
    claim = home.name if name is None else name

    def command(
        config: Annotated[kind, tyro.conf.arg(name="")] = presets[preset],  # pyright: ignore[reportInvalidTypeForm]
        out: Annotated[Path, tyro.conf.arg(help="Folder of runs and of the networks they train.")] = Path("runs"),
        publish: Annotated[
            Literal["nothing", "claims", "all"],
            tyro.conf.arg(help="Put the claims and the page's table beside the code; all: the pictures too."),
        ] = "nothing",
    ) -> Any:
        with _told():
            _require_values(config, presets.values())
            hosts.join()
            if not hosts.first():
                sys.stdout = open(os.devnull, "w")
            words = ["python", _place(home), *([preset] if preset != "default" else []), *_kept(args)]
            record = shlex.join(words) if said is None else said
            results = _conduct(main, claim, preset, config, out, claims, draw, record)
            if publish != "nothing" and hosts.first():
                _publish(home, out, claim, preset, config, pictures=publish == "all")
            hosts.any_of(False)  # no process leaves while the first still draws
            return results

    cache_compilation()
    if preset == "quick":
        compile_quickly()
    one_device_per_core()
    description = main.__globals__["__doc__"]
    return tyro.cli(command, args=args, description=description, config=(tyro.conf.OmitArgPrefixes,))


def _conduct(
    main: Callable[[Run, Config], Any],
    claim: str,
    preset: str,
    config: Config,
    out: Path,
    claims: Sequence[Claim],
    draw: Callable[[Any], Mapping[str, Any]] | None,
    said: str,
) -> Any:
    began, compiled = time.perf_counter(), compiled_seconds()
    folder = run_folder(out / claim, preset, config)
    _require_writable(out)
    print(f"{claim} {preset}: {folder}", flush=True)
    run = Run(out, config.seed)  # pyright: ignore[reportAttributeAccessIssue]
    results = main(run, config)
    open_run(folder, config)
    with run.stage("draw"):
        pictures = [_save(folder, name, picture) for name, picture in (draw(results) if draw else {}).items()]
    write_results(folder, results)
    with run.stage("explore"):
        page = _explore(folder, claim, run)
    lines = tell(claims, results)
    made = {"command": said, "commit": commit(Path(main.__code__.co_filename).parent), "device": device()}
    # Measuring is everything that was neither training, drawing, exploring nor compiling.
    seconds = run.seconds | {"compile": compiled_seconds() - compiled}
    seconds = {"measure": time.perf_counter() - began - sum(seconds.values()), **seconds}
    write_json(folder / "run.json", {"networks": run.networks, "seconds": seconds, "versions": versions(), **made})
    if lines:
        write_claims(folder / "claims.json", lines, made)
        print_claims(said, lines)
    spent = " + ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    left = f"results.json{', figures' if pictures else ''}{', explorer.html' if page else ''}"
    print(f"{folder}: {left}; {spent} = {sum(seconds.values()):.0f} s", flush=True)
    return results


def _explore(folder: Path, claim: str, run: Run) -> Path | None:
    """Leave the page of the run's first networks. A page that cannot be made is told, and the run goes on."""
    if run.shown is None or jax.process_count() > 1:
        return None
    process, learned, context, bos = run.shown
    try:
        scene = scene_of(run.key("explorer"), process, learned.checkpoints, context, bos=bos, words=_WORDS, title=claim)
        return write_page(folder / "explorer.html", scene)
    except Exception as error:
        print(f"no explorer.html: {error}", flush=True)
        return None


def _save(folder: Path, name: str, picture: Any) -> Path:
    if hasattr(picture, "savefig"):
        path = folder / f"{name}.png"
        save_figure(path, picture)
        return path
    return save_movie(folder / name, picture)


def _place(home: Path) -> str:
    """The folder of the claim as it is called from the checkout that holds it."""
    root = next((folder for folder in home.parents if (folder / "pyproject.toml").exists()), home.parent)
    return home.relative_to(root).as_posix()


def _kept(args: Sequence[str]) -> list[str]:
    """The part of a command line that can change the results."""
    words, kept = iter(args), []
    for word in words:
        if word in ("--publish", "--out"):
            next(words, None)
        else:
            kept.append(word)
    return kept


def _publish(home: Path, out: Path, claim: str, preset: str, config: Any, *, pictures: bool) -> None:
    """Copy what the run left to the folder of its code: the claims, the page's table, and pictures if asked for."""
    folder = run_folder(out / claim, preset, config)
    lines = json.loads((folder / "claims.json").read_text())
    for picture in [path for path in folder.iterdir() if pictures and path.suffix in (".png", ".gif", ".mp4")]:
        (home / picture.name).write_bytes(picture.read_bytes())
    write_table(home / "README.md", write_claims(home / "claims.json", lines, {"command": lines[0]["command"]}))


def print_claims(title: str, lines: list[dict[str, Any]]) -> None:
    """Print the claims as a table on the terminal."""
    table = Table("", "published", "ours", "95% interval", title=title, title_justify="left")
    for line in lines:
        table.add_row(line["label"], line["published"], line["ours"], line.get("interval", ""))
    Console().print(table)


def _require_values(config: Any, presets: Iterable[Any]) -> None:
    """Raise where a list is empty that no preset leaves empty."""
    for name in (field.name for field in dataclasses.fields(config)):
        if getattr(config, name) == () and all(getattr(preset, name) for preset in presets):
            usual = " ".join(map(str, getattr(next(iter(presets)), name)))
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} needs at least one value, got none: for instance {option} {usual}")


def _require_writable(out: Path) -> None:
    """Raise, before anything is computed, if the results could not be written."""
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ValueError(
            f"cannot write the run folder {out}: {nearest} is no folder that can be written; choose another"
        )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """End the program with only the message of an error that a person can mend."""
    try:
        yield
    except (ValueError, FloatingPointError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt as interrupt:
        said = str(interrupt) or "interrupted"
        print(f"{said}: the same command continues from the last checkpoint", file=sys.stderr)
        raise SystemExit(130) from None
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0][:200]
        print(
            f"error: this process or another of the {jax.process_count()} failed ({reason}): start all of them "
            "again with the same command, which continues from the last checkpoint",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)  # an orderly exit would wait for the other processes, and one of them has probably ended
