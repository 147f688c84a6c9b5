"""The table of the claim: for every process and kind of network, what is read off it."""

from typing import get_args

from beliefgeo import runs
from beliefgeo.runs.recipes import Name

NAMES: tuple[Name, ...] = (
    "mess3", "golden_mean", "z1r", "rrxor", "bloch_walk", "even", "frdn", "strata", "random_hmm"
)  # fmt: skip
# Of any other process, asked for by name, the same is told.
ALL = (*NAMES, *(name for name in get_args(Name) if name not in NAMES))
SCORES = [
    ("dimension", "dimension", ".2f"),
    ("share of the divergence from independent tokens left by the last fivefold step", "unexplained", ".1e"),
    ("network's words: KL a token (nats)", "network", ".1e"),
    ("process found: KL a token (nats)", "found", ".1e"),
    ("process found: KL as a share of the network's", "ratio", ".3f"),
    ("process found: KL a token of words a token beyond what the network can tell", "beyond", ".1e"),
    ("process found: error of the matrices", "operators", ".1e"),
    ("process found: entropy rate (nats)", "entropy rate", ".4f"),
    ("held-out R2 of beliefs, from outputs", "r2/outputs", ".4f"),
    ("held-out R2 of beliefs, from last layer's activations", "r2/activations", ".4f"),
    ("held-out R2 of beliefs, from principal components", "r2/principal components", ".4f"),
    ("share of networks whose states settle, or do not, as those of the process", "states/right", ".2f"),
    ("states where their number settles", "states/mixed", ".0f"),
    ("causal states where their number settles", "states/causal", ".0f"),
    ("machine of causal states: KL a token (nats)", "states/machine", ".1e"),
    ("Moore form: relative commutator", "moore/commutator", ".3f"),
    ("Moore form: probabilities to stay", "moore/stay", ".4f"),
    ("Moore form: probabilities of the likeliest tokens", "moore/emits", ".4f"),
    ("share of the smallest simplex filled", "geometry/fill", ".3f"),
    ("dimension of the set of beliefs", "geometry/fractal", ".2f"),
]
SHORT = ("dimension", "unexplained", "found", "r2/outputs, true dimension", "r2/activations", "r2/principal components")
CLAIMS = [
    *(
        runs.Claim(f"processes with the right dimension in every network, of 9: {kind}", f"right/{kind}", form=".0f")
        for kind in ("transformer", "lstm")
    ),
    *(
        line
        for name in ALL
        for line in (
            runs.Claim(f"{name}, exact: dimension", f"{name}/exact/dimension", form=".0f"),
            *(
                runs.Claim(f"{name}, {kind}: {label}", f"{name}/{kind}/trained/{path}", form=form)
                for kind in ("transformer", "lstm", "transformer on exact laws")
                for label, path, form in SCORES
            ),
            *(
                runs.Claim(f"{name}, {kind}, untrained: {path}", f"{name}/{kind}/untrained/{path}")
                for kind in ("transformer", "lstm")
                for path in SHORT
            ),
            *(
                runs.Claim(f"{name}, as many tokens: {path}", f"{name}/tokens/{path}")
                for path in ("spectral dimension", "spectral", "states")
            ),
        )
    ),
]
