"""The networks of the claim, and what was published about them."""

from typing import Any, Literal, NamedTuple

Setting = tuple[float, float]
Name = Literal["one head", "two heads", "four layers", "attention only, one head", "attention only, two heads"]


class Kind(NamedTuple):
    """The processes (x and alpha of Mess3) for a kind of network, and how it differs from the network of one head."""

    settings: tuple[Setting, ...]
    changes: dict[str, Any]


POSITIVE, NEGATIVE = (0.15, 0.6), (0.5, 0.6)  # zeta = .55 and -.5: the settings studied most closely
BARE = {"mlp_width": 0, "layer_norm": False}
KINDS: dict[Name, Kind] = {
    "one head": Kind(((0.15, 0.2), POSITIVE, NEGATIVE, (0.5, 0.2)), {}),
    "two heads": Kind((NEGATIVE,), {"heads": 2}),
    "attention only, one head": Kind((POSITIVE, NEGATIVE), BARE),
    "attention only, two heads": Kind((POSITIVE, NEGATIVE), {**BARE, "heads": 2}),
    "four layers": Kind((POSITIVE,), {"layers": 4}),
}
# The pictures show the beliefs of these networks.
DRAWN: dict[Name, Setting] = {"one head": POSITIVE, "two heads": NEGATIVE, "four layers": POSITIVE}

PUBLISHED: dict[str, dict[str, Any]] = {
    # Cumulative over components 1 to 4, for the network of one head.
    "explained variance": {
        "one head, x=0.15, a=0.2": {"mid": [0.541, 0.877, 0.967, 0.975], "output": [0.962, 0.983, 0.994, 0.996]},
        "one head, x=0.15, a=0.6": {"mid": [0.465, 0.889, 0.986, 0.990], "output": [0.495, 0.768, 0.981, 0.990]},
        "one head, x=0.5, a=0.6": {"mid": [0.407, 0.803, 0.891, 0.946], "output": [0.460, 0.710, 0.886, 0.919]},
        "one head, x=0.5, a=0.2": {"mid": [0.527, 0.852, 0.917, 0.965], "output": [0.650, 0.859, 0.969, 0.976]},
    },
    "attention by lag": {
        "one head, x=0.15, a=0.6": {0: 0.46, 1: 0.29, 2: 0.15, 3: 0.10},
        "two heads, x=0.5, a=0.6": {0: 0.68, 1: 0.745, 2: 0.24, 3: 0.19, 4: 0.05, 5: 0.035},
    },
    # The share of what an ideal observer gains by reading, over knowing only how frequent tokens are.
    "share": {
        "attention only, one head, x=0.15, a=0.6": 0.98,
        "attention only, one head, x=0.5, a=0.6": 0.85,
        "attention only, two heads, x=0.5, a=0.6": 0.92,
    },
}


def label(name: Name, setting: Setting) -> str:
    """The name of a kind of network on a process."""
    return f"{name}, x={setting[0]:g}, a={setting[1]:g}"


def fading(setting: Setting) -> float:
    """zeta, by which evidence fades a step."""
    return 1 - 3 * setting[0]
