"""The claims about each network on each process."""

from figures import MARKOV, MINIMAL, NETWORKS, PUBLISHED, PUBLISHED_FOR

from beliefgeo.runs import Claim

# Label, path, format, and the published range that stands beside the number, for transformers and LSTMs.
SCORES = [
    ("loss above the optimum (nats)", "trained/losses/gap", ".1e", ""),
    ("gain", "trained/gained", ".1%", ""),
    (f"cosine R2, {MINIMAL}", f"{MINIMAL}/cosine_r2/at -1", ".3f", MINIMAL),
    (f"cosine R2, {MARKOV}", f"trained/{MARKOV}/cosine_r2", ".3f", MARKOV),
    (f"cosine R2, {MINIMAL}, untrained", f"{MINIMAL}/cosine_r2/at 0", ".3f", ""),
    ("R2 held out by subtree", "trained/held out", ".3f", ""),
    ("share of the fall of the error by the first fifth", "fall/share", ".0%", "fall"),
]


def published(process: str, network: str, score: str) -> str:
    """The published range, in words."""
    if not score or network not in PUBLISHED_FOR:
        return ""
    return "> 80%" if score == "fall" else "{:.2f} to {:.2f}".format(*PUBLISHED[process][score])


CLAIMS = [
    claim
    for name in PUBLISHED
    for claim in (
        Claim(f"{name}: rank of the map from belief to next-token law", f"{name}/rank"),
        *(
            Claim(f"{name}, {kind}: {label}", f"{name}/networks/{kind}/{path}", published(name, kind, score), form)
            for kind in NETWORKS
            for label, path, form, score in SCORES
        ),
    )
]
