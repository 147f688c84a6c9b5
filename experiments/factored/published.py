"""The claims about each process, and the published numbers, after 1.1e9 drawn tokens."""

from collections.abc import Sequence

from beliefgeo.runs import Claim

FIVE = ("mess3", "mess3", "mess3", "bloch_walk", "bloch_walk")
OVERLAP, SUBSPACES = "shots/varied/leading/mean", "shots/varied/whole/mean"
MEASURES = {  # label -> path, format
    "components for 95%, joint beliefs": ("components/joint", ".0f"),
    "components for 95%, factored beliefs": ("components/factored", ".0f"),
    "components for 95%, exact log-laws": ("components/log_laws", ".0f"),
    "components for 95%, network, untrained": ("shots/dimensions/at 0", ".3g"),
    "components for 95%, network, fewest while it trains": ("fewest", ".3g"),
    "components for 95%, network, trained": ("shots/dimensions/at -1", ".3g"),
    "dimensions, one factor varied: sum, untrained": ("shots/varied/sum/at 0", ".3g"),
    "dimensions, one factor varied: sum, trained": ("shots/varied/sum/at -1", ".3g"),
    "dimensions, one factor varied: each, trained": ("shots/varied/dimensions/at -1", ".3g"),
    "dimensions, one factor varied: union, untrained": ("shots/varied/union/at 0", ".3g"),
    "dimensions, one factor varied: union, trained": ("shots/varied/union/at -1", ".3g"),
    "overlap of leading directions, untrained": (f"{OVERLAP}/at 0", ".2g"),
    "overlap of leading directions, trained": (f"{OVERLAP}/at -1", ".2g"),
    "overlap of whole subspaces, untrained": (f"{SUBSPACES}/at 0", ".2g"),
    "overlap of whole subspaces, trained": (f"{SUBSPACES}/at -1", ".2g"),
    "optimal loss, all but the last position, exact (nats)": ("optimum/but the last", ".4f"),
    "optimal loss, exact": ("optimum/exact", ".4f"),
    "loss above the optimum, untrained": ("shots/losses/gap/at 0", ".4f"),
    "loss above the optimum, trained": ("shots/losses/gap/at -1", ".1e"),
    "its standard error between words": ("shots/losses/error/at -1", ".0e"),
}
for _name in dict.fromkeys(FIVE):
    MEASURES |= {
        f"{_name}: rank of its next-token law": (f"ranks/{_name}", ""),
        f"RMSE of {_name}, untrained": (f"errors/{_name}/untrained", ".3f"),
        f"RMSE of {_name}, trained": (f"errors/{_name}/trained", ".3f"),
        f"RMSE of {_name}, held out, untrained": (f"errors/{_name}/held_out_untrained", ".3f"),
        f"RMSE of {_name}, held out, trained": (f"errors/{_name}/held_out", ".3f"),
        f"RMSE of {_name}, held out, shuffled beliefs": (f"errors/{_name}/shuffled", ".3f"),
        f"RMSE of {_name}, mean belief only": (f"errors/{_name}/mean_belief", ".3f"),
    }
INDEPENDENT = {
    "components for 95%, joint beliefs": "140",
    "components for 95%, factored beliefs": "10",
    "components for 95%, network, untrained": "62",
    "components for 95%, network, fewest while it trains": "3",
    "components for 95%, network, trained": "11",
    "dimensions, one factor varied: sum, untrained": "330",
    "dimensions, one factor varied: sum, trained": "14",
    "dimensions, one factor varied: each, trained": "2, 2, 2, 4, 4",
    "dimensions, one factor varied: union, untrained": "70",
    "dimensions, one factor varied: union, trained": "12",
    "overlap of leading directions, untrained": ".5",
    "overlap of leading directions, trained": "6e-4",
    "optimal loss, all but the last position, exact (nats)": "5.9256",
    "RMSE of mess3, untrained": ".203",
    "RMSE of mess3, trained": ".06",
    "RMSE of bloch_walk, untrained": ".167",
    "RMSE of bloch_walk, trained": ".075",
}
PUBLISHED = {
    "independent": INDEPENDENT,
    **{
        f"noise {p}": {"components for 95%, network, trained": str(n)}
        for p, n in ((0.1, 13), (0.2, 19), (0.3, 24), (0.5, 38))
    },
    "chain": {"components for 95%, joint beliefs": "148", "components for 95%, network, trained": "11"},
    "another": {},
}
CLAIMS = [
    Claim(label, f"{kind}/{path}", numbers.get(label, ""), form)
    for kind, numbers in PUBLISHED.items()
    for label, (path, form) in MEASURES.items()
]


def kind_of(factors: Sequence[str], noise: float, chain: bool) -> str:
    """The name under which the published numbers of this process stand; "another" if there are none.

    >>> kind_of(FIVE, 0.2, False), kind_of(FIVE, 0.4, False), kind_of(FIVE[2:], 0.0, True)
    ('noise 0.2', 'another', 'another')
    """
    kind = "chain" if chain else f"noise {noise}" if noise else "independent"
    return kind if kind in PUBLISHED and tuple(factors) == FIVE else "another"
