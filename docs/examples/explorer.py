"""The pages of docs/pages/explorer: networks that learnt Mess3, RRXOR and bloch_walk, each as one HTML file.

    python docs/examples/explorer.py

trains the three networks, or loads them if they were trained before, and writes the files; some minutes on two cores.
"""

from pathlib import Path
from typing import NamedTuple

import jax

from beliefgeo import runs
from beliefgeo.runs.explore import write_page
from beliefgeo.runs.recipes import Name
from beliefgeo.runs.scene import scene_of

PAGES = Path(__file__).parents[1] / "pages/explorer"


class Example(NamedTuple):
    """A page: its title, how long its network trains, and how many words it shows."""

    title: str
    steps: int
    words: int


EXAMPLES: dict[Name, Example] = {
    "mess3": Example("Mess3", 1200, 7_000),
    "rrxor": Example("RRXOR", 3100, 7_000),
    "bloch_walk": Example("A quantum walk on the Bloch disc", 3100, 5_000),
}


def main() -> None:
    """Train, read, write."""
    for name, (title, steps, words) in EXAMPLES.items():
        process, network, budget, context = runs.recipe(name, steps=steps, seeds=1, data="laws")
        learned = runs.learn(jax.random.key(0), process, network, budget, context=context)
        scene = scene_of(jax.random.key(1), process, learned.checkpoints, context, title=title, words=words)
        written = write_page(PAGES / f"{name}.html", scene)
        print(f"{written}: {written.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
