"""An experiment's command line: a preset, any field of its configuration overridden, mistakes told in a sentence."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

Config = TypeVar("Config")


def run_experiment(
    main: Callable[[str, Config, Path], None],
    presets: Mapping[str, Config],
    *,
    out: str,
    description: str,
    args: list[str] | None = None,
) -> None:
    """Call `main(preset, config, out)` as the command line says: `[preset] [--field value ...] [--out folder]`.

    Args:
        main: the experiment.
        presets: name -> dataclass with every field set; "default" is used where none is named.
        out: folder for the runs.
        description: shown by --help.
        args: what the user typed; default: the command line.

    Raises:
        SystemExit: an unknown preset or field, any ValueError or FloatingPointError of the experiment (their
            message alone is printed), or an interrupt.
    """
    args = list(sys.argv[1:] if args is None else args)
    preset = args.pop(0) if args and not args[0].startswith("-") else "default"
    if preset not in presets:
        raise SystemExit(f"error: no preset {preset!r}; choose one of {', '.join(presets)}")
    kind = type(presets[preset])

    def command(
        config: Annotated[kind, tyro.conf.arg(name="")] = presets[preset],  # pyright: ignore[reportInvalidTypeForm]
        out: Annotated[Path, tyro.conf.arg(help="Folder in which the run gets a folder of its own.")] = Path(out),
    ) -> None:
        try:
            main(preset, config, out)
        except (ValueError, FloatingPointError) as error:
            raise SystemExit(f"error: {error}") from error
        except KeyboardInterrupt:
            raise SystemExit("interrupted: the same command continues from the last checkpoint") from None

    tyro.cli(command, args=args, description=description, config=(tyro.conf.OmitArgPrefixes,))
