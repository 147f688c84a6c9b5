"""The published numbers, and where the results hold ours."""

import tasks

from beliefgeo import runs

# Blind R2 of each factor in 2604.02685.
BLIND = (0.893, 0.719, 0.314, 0.551, 0.577)
MEAN = 0.611

GIVEN = {
    "belief": "the belief, in cells",
    "linear": "the belief, linear",
    "three_tokens": "the last three tokens",
    "two_tokens": "the last two tokens",
    "one_token": "the last token",
    "position": "the position",
}
NETWORKS = ("trained", "untrained")


def _single(name: str) -> list[runs.Claim]:
    claim = lambda label, path, form=".3f": runs.Claim(f"{name}{label}", f"{name}/{path}", form=form)
    return [
        claim(": loss above the optimum (nats)", "trained/gap", ".3g"),
        *(claim(f", {net}: unexplained by the autoencoder", f"{net}/unexplained") for net in NETWORKS),
        *(claim(f", {net}: alive latents", f"{net}/alive", ".1f") for net in NETWORKS),
        *(
            claim(f", {net}: R2 of latents given {told}", f"{net}/latents/pooled/{given}")
            for given, told in GIVEN.items()
            for net in NETWORKS
        ),
        *(
            claim(f", {net}: the same, each alive latent counting once, {told}", f"{net}/latents/mean/{given}")
            for given, told in ((one, GIVEN[one]) for one in ("belief", "three_tokens"))
            for net in NETWORKS
        ),
        *(claim(f", {net}: R2 of latents given the last six tokens", f"{net}/six tokens") for net in NETWORKS),
        claim(
            ", detectors of three tokens: R2 of latents given the belief, in cells", "trained/detectors/pooled/belief"
        ),
        claim(", detectors of three tokens: R2 of beliefs from latents", "trained/detectors/recovery"),
        claim(", random directions: R2 of latents given the belief, in cells", "trained/random/pooled/belief"),
        claim(", shuffled beliefs: R2 of latents given the belief, in cells", "trained/shuffled/pooled/belief"),
        claim(", trained: latents that the belief explains better than three tokens", "trained/latents/beats_tokens"),
        *(claim(f", {net}: latents near a corner", f"{net}/latents/corners", ".1f") for net in NETWORKS),
        *(claim(f", {net}: R2 of beliefs from latents", f"{net}/latents/recovery") for net in NETWORKS),
        *(claim(f", {net}: R2 of beliefs from activations", f"{net}/activations") for net in NETWORKS),
        claim(", random directions: R2 of beliefs from latents", "trained/random/recovery"),
        claim(", trained: R2 of beliefs from latents, more than from random directions", "trained/gain"),
        claim(", shuffled beliefs: R2 of beliefs from latents", "trained/shuffled/recovery"),
    ]


def _factors() -> list[runs.Claim]:
    claim = lambda label, path, published="", form=".3f": runs.Claim(
        f"factors{label}", f"factors/{path}", published, form
    )
    return [
        claim(": loss above the optimum (nats)", "trained/gap", form=".3g"),
        *(
            claim(f": blind R2, {factor}", f"trained/recovery/assigned/at {index}", str(BLIND[index]))
            for index, factor in enumerate(tasks.FACTORS)
        ),
        claim(": blind R2, mean", "trained/mean", str(MEAN)),
        claim(": the same from the other groups", "trained/others"),
        claim(", random groups of the same sizes: mean", "trained/random mean"),
        claim(", random groups of the same sizes: best draw", "trained/random best"),
        claim(", untrained: blind R2, mean", "untrained/mean"),
        claim(", shuffled beliefs: blind R2, mean", "trained/shuffled"),
        *(claim(f", {net}: R2 of beliefs from all latents", f"{net}/all latents") for net in NETWORKS),
        *(claim(f", {net}: R2 of beliefs from activations", f"{net}/activations") for net in NETWORKS),
        claim(": groups found", "trained/groups", "5 given", ".1f"),
        claim(", untrained: groups found", "untrained/groups", form=".1f"),
        claim(": groups by size, fewest active latents first", "trained/tried/groups", form=".1f"),
        claim(": blind R2, mean, by size", "trained/tried/mean"),
        claim(": latents chosen", "trained/latents", form=".1f"),
        claim(": active latents chosen", "trained/active", form=".1f"),
        *(claim(f", {net}: unexplained by the autoencoder", f"{net}/unexplained") for net in NETWORKS),
        claim(", trained: clearest eigengap", "trained/clearest"),
        claim(", untrained: clearest eigengap", "untrained/clearest"),
    ]


CLAIMS = [*_single("mess3"), *_single("rrxor"), *_factors()]
