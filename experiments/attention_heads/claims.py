"""The lines of the table: predictions, and findings."""

from verdicts import ALIKE, CASES, NEAR, Case, Name

from beliefgeo.runs import Claim


def claims_of(name: Name, case: Case) -> list[Claim]:
    """The claims of one pair of zeta."""
    predicted, (first, second) = str(case.heads), (f"{zeta:g}" for zeta in case.zetas)
    line = lambda label, path, *rest: Claim(f"{name}: {label}", f"cases/{name}/{path}", *rest)
    networks = f"heads/{predicted}/trained/factors"
    return [
        line("heads that suffice, by share of the loss", "verdict/by_share", predicted),
        line("heads that suffice, by significance", "verdict/by_significance", predicted),
        line("heads that suffice an ideal layer", "needed/ideal_layer", "", ".0f"),
        line("nats above the optimum, by heads", "gaps", "", ".1e"),
        line("nats above the optimum, of an ideal layer", "ideal layer", "", ".1e"),
        line(f"fading of the first factor, heads: {predicted}", f"{networks}/zeta/at 0", first, ".3f"),
        line(f"fading of the second factor, heads: {predicted}", f"{networks}/zeta/at 1", second, ".3f"),
        line(f"fading within {NEAR}", "verdict/found/fading", "holds"),
        line("fading of both, by mean attention", f"{networks}/zeta_by_mean_attention", f"{first} {second}", ".2f"),
        line(f"fading by mean attention within {NEAR}", "verdict/found/fading_by_mean_attention", "holds"),
        line("cosines of heads and patterns", "verdict/found/cosines", "1", ".3f"),
        line("cosines of heads and patterns, untrained", "verdict/found/untrained_cosines", "", ".3f"),
        line(f"cosines from {ALIKE}", "verdict/found/attention", "holds"),
        line("attention that moves with the words, by head", f"{networks}/moves", "0", ".3f"),
    ]


CLAIMS = [
    *(line for name, case in CASES.items() for line in claims_of(name, case)),
    Claim("cosine of .7^lag and .5^lag", "cosine of .7^lag and .5^lag", form=".3f"),
]
