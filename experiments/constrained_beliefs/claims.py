"""The lines of the table: published or theoretical numbers, and ours."""

import numpy as np
from kinds import KINDS, PUBLISHED, Name, Setting, fading, label

from beliefgeo.mechanisms.attention import ideal_heads
from beliefgeo.runs import Claim


def claims_of(name: Name, setting: Setting) -> list[Claim]:
    """The claims of one kind of network on one process."""
    network, zeta = label(name, setting), fading(setting)
    line = lambda said, path, published="", form=".3f": Claim(
        f"{network}: {said}", f"networks/{network}/{path}", published, form
    )
    many = lambda values: " ".join(f"{value:.3f}" for value in values)
    # For one head the attention was published for words of length 4.
    lengths = 4 if name == "one head" and zeta > 0 else 6
    lags = [np.flatnonzero(head[:lengths]) for head in ideal_heads(zeta, KINDS[name].changes.get("heads", 1), 6)]
    known = PUBLISHED["attention by lag"].get(network, {})
    attention = [
        line(
            f"attention of head {index}, lags {' '.join(map(str, read))}",
            f"attention by lag/head {index}",
            many(known[lag] for lag in read if lag in known),
        )
        for index, read in enumerate(lags, 1)
    ]
    beliefs = [f"{kind} beliefs from {site}" for site in ("mid", "output") for kind in ("constrained", "true")]
    return [
        line("rank of the map from belief to next-token law", "rank"),
        line("loss above the optimum (nats)", "trained/loss/gap", form=".1e"),
        line("share of the gain", "trained/loss/share", str(PUBLISHED["share"].get(network, ""))),
        *attention,
        line("fading a step", "trained/heads/decay", f"{abs(zeta):.3f} (theory)"),
        line("weight of evidence, lags 0 to 4", "weight of evidence", f"{many(zeta ** np.arange(5))} (theory)"),
        line("cosine of values and evidence", "trained/heads/cosine"),
        *(line(f"R2 of {which}", f"trained/probes/{which}/r2", form=".4f") for which in beliefs),
        *(
            line(f"explained variance, {site}: largest, mean distance to the published", f"distances/{site}", "0")
            for site in PUBLISHED["explained variance"].get(network, {})
        ),
    ]


CLAIMS = [
    Claim("training tokens of a network", "tokens", "15M", ".2g"),
    *(line for name, kind in KINDS.items() for setting in kind.settings for line in claims_of(name, setting)),
]
