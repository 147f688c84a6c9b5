"""One HTML file in which a person explores beliefs: exact beside probed, word by word. It works without a network.

The page, `explorer.html`, is a template with WebGL2 written by hand. This module fills it. Every array becomes whole
numbers of 16 bits in two planes of bytes, gzip, base64. What a probe reads is stored as its distance from the exact
belief, rounded at a 32nd of the typical distance: a good probe takes few bytes, and no grid shows at any zoom.
"""

import base64
import gzip
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

# What a probe or a network says is rounded at this fraction of its root-mean-square distance from the truth.
_FINE = 1 / 32
# The largest whole number of 16 bits with a sign.
_LARGEST = 2**15 - 1
# Laws are computed from coordinates by an affine map where this is their largest error.
_AFFINE = 1e-4
# Of more dimensions than these only the first are stored.
_DIMENSIONS = 16
# Three dimensions are drawn. What probes read is stored in all of so many dimensions, or else in the three.
_DRAWN, _WHOLE = 3, 5


class Space(NamedTuple):
    """Where beliefs are drawn: coordinates = (beliefs - origin) @ axes. The first three are shown.

    Attributes:
        kind: segment, triangle, tetrahedron, disc, ball, or components.
        origin: The belief at the origin.
        axes: From beliefs to coordinates.
        back: From coordinates to beliefs, [1, coordinates] @ back.
    """

    kind: str
    origin: Float[np.ndarray, " state"]
    axes: Float[np.ndarray, "state dimension"]
    back: Float[np.ndarray, "one_and_dimension state"]

    def __call__(self, beliefs: Num[np.ndarray, "row state"]) -> Float[np.ndarray, "row dimension"]:
        """The coordinates of beliefs."""
        return (beliefs - self.origin) @ self.axes


class Cloud(NamedTuple):
    """What an affine probe reads after every word.

    Attributes:
        label: The name of the site, or the number of training tokens.
        beliefs: The beliefs that the probe reads.
        r2: Its R2 on the rows of its fit.
    """

    label: str
    beliefs: Num[np.ndarray, "row state"]
    r2: float


class Scene(NamedTuple):
    """Everything that a page shows. Rows are prefixes of words, shortest first, as in `reading.Rows`.

    Attributes:
        title: The title.
        about: A sentence below the title.
        notes: What a reader should know of the numbers.
        space: Where the beliefs are drawn.
        parent: The row of the prefix without its last token, or -1.
        last_token: The last token of the prefix, or -1.
        length: The number of tokens of the prefix.
        log_probabilities: The logarithm of the probability of the prefix.
        beliefs: The exact beliefs.
        laws: The exact laws of the next token.
        predictions: The network's laws of the next token at the end of training.
        initial: The belief before the first token.
        state_names: The names of the states.
        token_names: The names of the tokens.
        drawn: Whether the words were drawn, so that others are missing.
        site: The number of the site at which the snapshots are probed.
        snapshots: The probed beliefs over training, of the untrained network first.
        sites: The probed beliefs of every site at the end of training.
        untrained: The probed beliefs of the same sites before training.
        shuffled: The last snapshot, read by a probe that was fitted to shuffled beliefs.
        still: A PNG for browsers that cannot draw the page.
    """

    title: str
    about: str
    notes: Sequence[str]
    space: Space
    parent: Int[np.ndarray, " row"]
    last_token: Int[np.ndarray, " row"]
    length: Int[np.ndarray, " row"]
    log_probabilities: Float[np.ndarray, " row"]
    beliefs: Float[np.ndarray, "row state"]
    laws: Float[np.ndarray, "row token"]
    predictions: Num[np.ndarray, "row token"]
    initial: Float[np.ndarray, " state"]
    state_names: Sequence[str]
    token_names: Sequence[str]
    drawn: bool
    site: int
    snapshots: Sequence[Cloud]
    sites: Sequence[Cloud]
    untrained: Sequence[Cloud]
    shuffled: Cloud
    still: bytes


def simplex_space(corners: Float[np.ndarray, "state axis"]) -> Space:
    """The segment, triangle or tetrahedron with these corners.

    >>> simplex_space(np.array([[0.0], [1.0]]))(np.array([[0.25, 0.75]])).tolist()
    [[0.75]]
    """
    states = len(corners)
    back = np.linalg.solve(np.column_stack([np.ones(states), corners]), np.eye(states))
    return Space({2: "segment", 3: "triangle", 4: "tetrahedron"}[states], np.zeros(states), corners, back)


def bloch_space(dimension: int) -> Space:
    """The disc of beliefs (1, b_x, b_z), or the ball of beliefs (1, b_x, b_y, b_z).

    >>> bloch_space(2)(np.array([[1.0, 0.6, -0.8]])).tolist()
    [[0.6, -0.8]]
    """
    axes = np.eye(dimension + 1)[:, 1:]
    return Space({2: "disc", 3: "ball"}[dimension], np.zeros(dimension + 1), axes, np.eye(dimension + 1))


def component_space(mean: Float[np.ndarray, " state"], directions: Float[np.ndarray, "component state"]) -> Space:
    """The plane or space of principal components, orthonormal, the first of most variance."""
    kept = directions[:_DIMENSIONS]
    return Space("components", mean, kept.T, np.vstack([mean, kept]))


def page(scene: Scene) -> str:
    """The whole HTML file.

    Raises:
        ValueError: rows that are not all prefixes of some words, shortest first and in the order of the words.
    """
    meta, arrays = _told(scene)
    blocks = {name: packed(values, step) for name, (values, step) in arrays.items()}
    steps = {name: step for name, (_, step) in arrays.items()}
    data = [f'<script type="text/plain" data-block="{name}">{text}</script>' for name, text in blocks.items()]
    text = json.dumps(meta | {"blocks": steps}, separators=(",", ":"), ensure_ascii=False)
    filled = {
        "TITLE": html.escape(scene.title),
        "STILL": base64.b64encode(scene.still).decode(),
        "META": text.replace("</", "<\\/"),
        "DATA": "\n".join(data),
    }
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda place: filled[place[1]], template)


def packed(values: Num[np.ndarray, "row column"], step: float) -> str:
    """Multiples of a step as whole numbers 0, -1, 1, -2, ... -> 0, 1, 2, 3, ... in two planes of bytes, gzip, base64.

    >>> unpacked(packed(np.array([[0.5, -1.0]]), 0.5), 0.5, 2).tolist()
    [[0.5, -1.0]]
    """
    whole = np.rint(values / step).astype(np.int32).T.reshape(-1)
    folded = np.where(whole < 0, -2 * whole - 1, 2 * whole).astype("<u2")
    planes = np.concatenate([folded & 255, folded >> 8]).astype(np.uint8)
    return base64.b64encode(gzip.compress(planes.tobytes(), 9, mtime=0)).decode()


def unpacked(text: str, step: float, columns: int) -> Float[np.ndarray, "row column"]:
    """What `packed` rounded, as the page computes it."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(2, -1).astype(np.int32)
    folded = planes[0] | planes[1] << 8
    return (np.where(folded & 1, -(folded + 1) // 2, folded // 2) * step).reshape(columns, -1).T


def _told(scene: Scene) -> tuple[dict[str, Any], dict[str, tuple[np.ndarray, float]]]:
    """What the page says in JSON, and each array with its step."""
    space, first = scene.space, int(scene.length[0])
    coordinates = space(scene.beliefs)
    arrays = {
        "new": (_new_parents(scene)[:, None], 1.0),
        "token": (scene.last_token[:, None] + 1, 1.0),
        "log probability": _stepped(scene.log_probabilities[:, None], 0.0),
        "coordinates": _stepped(coordinates, 0.0),
    }
    held = unpacked(packed(*arrays["coordinates"]), arrays["coordinates"][1], coordinates.shape[1])
    known = np.column_stack([np.ones(len(held)), held])
    to_laws = np.linalg.lstsq(np.column_stack([np.ones(len(held)), coordinates]), scene.laws, rcond=1e-9)[0]
    affine = abs(known @ to_laws - scene.laws).max() < _AFFINE
    if not affine:
        arrays["laws"] = _stepped(scene.laws, 0.0)
    laws = known @ to_laws if affine else unpacked(packed(*arrays["laws"]), arrays["laws"][1], scene.laws.shape[1])
    arrays["predictions"] = _stepped(scene.predictions - laws, _FINE)
    shown = held if held.shape[1] <= _WHOLE else held[:, :_DRAWN]
    lists = {"snapshots": scene.snapshots, "sites": scene.sites, "untrained": scene.untrained}
    # The last snapshot and the untrained one are probed at one of the sites: that cloud is stored once.
    stored = {
        f"{what.removesuffix('s')} {number}": cloud
        for what, clouds in lists.items()
        for number, cloud in enumerate(clouds)
    }
    last = len(scene.snapshots) - 1
    same = {f"site {scene.site}": f"snapshot {last}", f"untrained {scene.site}": "snapshot 0"}
    for name, cloud in ({"shuffled": scene.shuffled} | stored).items():
        if name not in same:
            arrays[name] = _stepped(space(cloud.beliefs)[:, : shown.shape[1]] - shown, _FINE)
    meta = {
        "title": scene.title,
        "about": scene.about,
        "notes": [*scene.notes],
        "kind": space.kind,
        "states": [*scene.state_names],
        "tokens": [*scene.token_names],
        "first": first,
        "levels": [int(np.searchsorted(scene.length, length)) for length in range(first, scene.length[-1] + 1)],
        "back": _rounded(space.back),
        "corners": _rounded(space.axes) if space.kind in ("segment", "triangle", "tetrahedron") else [],
        "initial": _rounded(space(scene.initial[None])[0]),
        "laws": _rounded(to_laws) if affine else None,
        "best": scene.site,
        "dimensions": coordinates.shape[1],
        "drawn": scene.drawn,
        **{what: [[cloud.label, round(cloud.r2, 5)] for cloud in clouds] for what, clouds in lists.items()},
        "shuffled": round(scene.shuffled.r2, 5),
        "same": same,
    }
    return meta, arrays


def _new_parents(scene: Scene) -> Int[np.ndarray, " row"]:
    """1 where a prefix has another parent than the prefix before it: the page adds these up to find all parents."""
    started = scene.length > scene.length[0]
    new = np.diff(scene.parent[started], prepend=-1)
    if (scene.parent[~started] != -1).any() or not np.isin(new, (0, 1)).all() or (np.diff(scene.length) < 0).any():
        raise ValueError("a page shows all prefixes of some words, in the order of reading.rows; got other rows")
    return np.concatenate([np.zeros((~started).sum(), int), new])


def _stepped(values: Num[np.ndarray, "row column"], fine: float) -> tuple[np.ndarray, float]:
    """Values and their step: a fraction of their root mean square, but no finer than 16 bits allow."""
    if not np.isfinite(values).all():
        raise ValueError("a page shows finite numbers; got NaN or infinite beliefs, laws or activations")
    finest = float(abs(values).max(initial=0)) / _LARGEST
    return values, max(fine * float(np.sqrt(np.mean(np.square(values)))), finest) or 1.0


def _rounded(values: np.ndarray) -> list:
    return np.round(values, 7).tolist()
