"""Pictures of the Mess3 claim, drawn from its results alone."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from beliefgeo.plots import curves, simplex
from beliefgeo.probes import simplex_coordinates

PUBLISHED_GAP = {640e6: 1.6e-4}
PUBLISHED_ERROR = {64e3: 0.0118, 640e3: 0.0084, 3.2e6: 0.0025, 640e6: 0.000386}


class Clouds(NamedTuple):
    """The beliefs after every prefix, exact and as probes of the first seed see them."""

    beliefs: Float[np.ndarray, "row state"]
    counts: Int[np.ndarray, " row"]
    seen: Float[np.ndarray, "checkpoint row state"]
    shuffled: Float[np.ndarray, "row state"]


def draw(results: dict[str, Any]) -> dict[str, Figure | FuncAnimation]:
    """All pictures by name."""
    return dict(pictures(results))


def pictures(results: dict[str, Any]) -> Iterator[tuple[str, Figure | FuncAnimation]]:
    """Draw the pictures one after the other."""
    beliefs, counts, seen, shuffled = results["clouds"]
    tokens, emergence, trained = np.array(results["tokens"]), results["emergence"], results["trained"]
    r2 = emergence["r2"].values[0]
    colors, truth = simplex.belief_colors(beliefs), simplex_coordinates(beliefs)
    the = "network" if len(emergence["r2"].values) == 1 else "first network"
    title = lambda name, score: f"{name}\nR$^2$ = {abs(score):.4f}"
    yield (
        "geometry",
        simplex.simplex_panels(
            {
                "exact beliefs\n": truth,
                title(f"probe, {the} trained", r2[-1]): simplex_coordinates(seen[-1]),
                title("the same network untrained", r2[0]): simplex_coordinates(seen[0]),
                title("shuffled beliefs", float(results["shuffled words"].r2)): simplex_coordinates(shuffled),
            },
            colors,
            counts,
            corners=[f"state {state}" for state in range(beliefs.shape[1])],
        ),
    )
    label = lambda shot: f"{f'{tokens[shot]:,} tokens' if shot else 'untrained'}\nR$^2$ = {r2[shot]:.4f}"
    shown = np.unique(np.linspace(0, len(tokens) - 1, 8).round().astype(int))
    clouds = {label(shot): simplex_coordinates(seen[shot]) for shot in shown}
    yield "emergence", simplex.simplex_panels(clouds, colors, counts)
    frames = {label(shot).replace("\n", ", "): simplex_coordinates(points) for shot, points in enumerate(seen)}
    yield "emergence_movie", simplex.simplex_movie(frames, colors, counts, truth=truth)

    published = {"published_gap": PUBLISHED_GAP, "published_error": PUBLISHED_ERROR}
    variance = float(np.average((beliefs - np.average(beliefs, 0, counts)) ** 2, 0, counts).mean())
    losses = emergence["gap"].values[:, 1:], emergence["mse"].values[:, 1:]
    yield "training", curves.training_curves(tokens[1:], *losses, variance=variance, **published)

    scores = {"trained": trained.sites["last block"], "untrained": results["untrained"]["last block"]}
    errors = {
        f"held-out probe error\n({name})": {net: one[index].mse_per_length.values for net, one in scores.items()}
        for index, name in enumerate(results["windows"])
    }
    length = 3 + np.arange(trained.sites["last block"].by_count.mse_per_length.values.shape[1])
    yield "per_position", curves.per_position(length, errors)

    point = lambda score: (score.held_out_window.mean, 1 - score.held_out.mean)
    points = {
        name: {net: point(one[index]) for net, one in scores.items()} for index, name in enumerate(results["windows"])
    }
    yield "windows", curves.windows_panel(results["windows"], points)
