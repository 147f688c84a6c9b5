"""The lines of the table of claims."""

from beliefgeo import runs

KINDS = ("trained", "untrained")
PUBLIC = {2: ".011", 4: ".065", 8: ".934"}
NAMES = {
    "posterior": "component",
    "state": "state, mean over components",
    "within": "beliefs within components",
    "joint": "joint belief",
    "beyond": "joint belief beyond component and state",
    "shuffled": "joint belief, shuffled",
}


def _of_mixture(count: int) -> list[runs.Claim]:
    path, name = f"mixtures/{count}", f"K = {count}"
    optimum = "1.074645" if count == 3 else ""
    return [
        runs.Claim(f"{name}: optimum, mean after 1 to 14 tokens (nats)", f"{path}/optimum", optimum, ".6f"),
        runs.Claim(f"{name}: loss above the optimum (nats)", f"{path}/trained/losses/gap", form=".2e"),
        runs.Claim(f"{name}:   standard error of the sampled words", f"{path}/trained/losses/error", form=".1e"),
        runs.Claim(f"{name}:   networks with a gap of 5e-4 at most", f"{path}/trained/accepted", form=".2f"),
        runs.Claim(f"{name}, untrained: loss above the optimum", f"{path}/untrained/losses/gap", form=".2e"),
        *(
            runs.Claim(f"{name}, {kind}: held-out R2, {label}", f"{path}/{kind}/r2/{target}", form=".3f")
            for target, label in NAMES.items()
            for kind in KINDS
        ),
        *(
            runs.Claim(
                f"{name}, trained, all sites: held-out R2, {label}", f"{path}/trained/everywhere/{target}", form=".3f"
            )
            for target, label in NAMES.items()
        ),
        *(
            runs.Claim(f"{name}, from the exact law: held-out R2, {label}", f"{path}/from_law/{target}", form=".3f")
            for target, label in NAMES.items()
            if target != "shuffled"
        ),
        *(
            runs.Claim(f"{name}, {kind}: overlap, {label}", f"{path}/{kind}/{field}", public, ".3f")
            for kind in KINDS
            for field, label, public in (
                ("read_from", "directions that probes read", PUBLIC.get(count, "") if kind == "trained" else ""),
                ("written_to", "directions that beliefs move", ""),
                ("leading", "the two that they move most", ""),
                ("chance", "planes drawn from the covariance", ""),
            )
        ),
        runs.Claim(f"{name}: dimensions of the joint belief", f"{path}/dimensions/joint"),
        runs.Claim(f"{name}: dimensions of component and state", f"{path}/dimensions/factored"),
        runs.Claim(f"{name}: 95% of the variance, exact joint belief", f"{path}/variance/joint"),
        runs.Claim(f"{name}: 95% of the variance, exact component and state", f"{path}/variance/factored"),
        *(
            runs.Claim(f"{name}, {kind}: {label}", f"{path}/{kind}/{field}", public if kind == "trained" else "", ".1f")
            for field, label, public in (
                ("variance", "95% of the variance about each position's mean", "5-6"),
                ("variance_all", "95% of the variance", ""),
                ("rank", "rank of the probe by cross-validation", ""),
            )
            for kind in KINDS
        ),
        runs.Claim(f"{name}: best accuracy of the component after 15 tokens", f"{path}/accuracy/-1", form=".3f"),
        runs.Claim(f"{name}, trained: accuracy of the probed component", f"{path}/trained/accuracy/at 14", form=".3f"),
        runs.Claim(f"{name}, untrained: the same", f"{path}/untrained/accuracy/at 14", form=".3f"),
        runs.Claim(f"{name}: tokens until the component is known with accuracy .9", f"{path}/resolved"),
    ]


def _of_coins(width: int) -> list[runs.Claim]:
    path, name = f"coins/{width}", f"coins, width {width}"
    public = width == 64
    return [
        runs.Claim(f"{name}: loss above the optimum (nats)", f"{path}/trained/gap", form=".2e"),
        runs.Claim(f"{name}: accuracy of spent coins from the exact belief", f"{path}/from_exact/belief", form=".3f"),
        *(
            runs.Claim(f"{name}, {kind}: {label}", f"{path}/{kind}/{field}", told if kind == "trained" else "", ".3f")
            for field, label, told in (
                (
                    "spent_accuracy",
                    "least accuracy of a spent coin",
                    "1.00" if public else ".81-.97" if width == 8 else "",
                ),
                ("filler_accuracy", "least accuracy of a filler that nobody needed", ""),
                ("coins/at 1", "accuracy of coins, oldest first, after the last filler", ""),
                ("fillers/at 1", "accuracy of fillers", ""),
            )
            for kind in KINDS
        ),
        *(
            runs.Claim(
                f"{name}, layer {layer + 1}: cost of removing {label}",
                f"{path}/costs/{field}/at {layer}",
                told,
                ".4f",
            )
            for layer in (0, 1)
            for field, label, told in (
                ("spent", "a spent coin, oldest first (nats a token)", "<= .03" if public else ""),
                ("filler", "a filler of the same age", ""),
                ("random", "a random direction", ""),
                ("in_use", "the coin in use (nats)", ".69" if public else ""),
                ("shrunk", "the coin in use, logits shrunk to fit (nats)", ""),
            )
        ),
    ]


CLAIMS = [
    *(claim for count in (2, 3, 4, 8) for claim in _of_mixture(count)),
    *(claim for width in (64, 8, 4) for claim in _of_coins(width)),
]
