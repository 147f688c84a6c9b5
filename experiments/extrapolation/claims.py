"""The thresholds, the lines of the table, and the answer to each question."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from bias import Of, Part
from left_out import LAST
from tasks import LEFT_OUT, Name

from beliefgeo.reading import Seeds
from beliefgeo.runs import Claim

# Fixed before the run that they judge, after pilots with other seeds.
MOST, LEAST = 0.1, 0.5
"""Equal beliefs, equal laws: the total variation at equal belief is at most a tenth of that of matched pairs; and at
least half of it in untrained networks, or the pairs would be equal for another reason."""
MARGIN, HALF = 0.1, 0.5
"""Another law: R2 above that of every control by this much, and at least half of what the belief's table explains."""
KNOWN, LOST = 0.9, 0.1
"""Words never shown: nine tenths of what there is to know of the law are known, and R2 of beliefs is at most a tenth
below that of networks that were shown all words, and as much above the controls."""

NETS = ("trained", "untrained", "another process")
CLAIMS = [
    claim
    for name in get_args(Name)
    for claim in (
        *(
            Claim(f"{name}: {question}", f"{name}/verdict/{part}")
            for question, part in (
                ("equal belief, equal law?", "laws"),
                ("on the network's own words?", "own words"),
                ("does another law extrapolate by belief, unembedding alone?", "unembedding"),
                ("does another law extrapolate by belief, unembedding of all layers?", "on all layers"),
                ("does another law extrapolate by belief, whole network?", "everything"),
            )
        ),
        *(
            Claim(f"{name}: law and belief right after words never shown, {left}?", f"{name}/verdict/{left}")
            for left in LEFT_OUT
        ),
        Claim(f"{name}: loss above the optimum (nats)", f"{name}/laws/gap", form=".1e"),
        *(
            Claim(f"{name}, {net}, {label}: {told}", f"{name}/laws/{net}/{words}/{part}", form=form)
            for net in ("trained", "untrained")
            for words, label in (("process", "all words"), ("own", "its own words"), ("shuffled", "shuffled beliefs"))
            for part, told, form in (
                ("distances/equal", "total variation at equal belief", ".4f"),
                ("distances/unequal", "total variation of matched pairs", ".4f"),
                ("distances/ratio", "ratio", ".3f"),
                ("beyond", "share of what laws tell of the word that is not belief", ".4f"),
            )
        ),
        *(
            Claim(f"{name}, {net}: own words that are impossible", f"{name}/laws/{net}/impossible", form=".1e")
            for net in ("trained", "untrained")
        ),
        *(
            Claim(f"{name}, a law of {of}: R2 of a table by {by}", f"{name}/bias/tables/{of}/{by}", form=".3f")
            for of in get_args(Of)
            for by in ("belief", "next law", "last tokens")
        ),
        *(
            Claim(
                f"{name}, a law of {of}, {part}: {told} of {net} networks",
                f"{name}/bias/{net}/{of}/{part}/{score}",
                "",
                ".3f",
            )
            for of in get_args(Of)
            for part in get_args(Part)
            for score, told in (("explained", "R2"), ("ratio", "ratio of total variations"))
            for net in NETS
        ),
        *(
            claim
            for left in LEFT_OUT
            for claim in (
                Claim(f"{name}, {left} left out: share of the prefixes", f"{name}/left out/{left}/weight", form=".3f"),
                *(
                    Claim(f"{name}, {left} left out, {net}: {told}", f"{name}/left out/{left}/{net}/{part}", form=form)
                    for part, told, form in (
                        ("kl/never", "KL of the law (nats)", ".1e"),
                        ("known", "share of the law that is known", ".3f"),
                        ("r2/never", "R2 of the belief", ".3f"),
                        ("r2/shown", "R2 of the belief, shown words held out", ".3f"),
                    )
                    for net in ("trained", "shown all", "untrained", "shuffled", *LAST)
                ),
            )
        ),
    )
]


def check(config: Any) -> None:
    """Raise ValueError for a config that the claim is not about, before anything is trained."""
    for name in ("layers", "width", "seeds", "draws", "batch"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be 1 or more; got {getattr(config, name)}")


def judge(found: Mapping[str, Any]) -> dict[str, str]:
    """The answer to each question: yes, no, or what keeps it open."""
    laws, bias = found["laws"], found["bias"]
    verdicts = {label: equal(laws, words) for label, words in (("laws", "process"), ("own words", "own"))}
    verdicts |= {part: extrapolates(bias, part) for part in get_args(Part)}
    return verdicts | {left: right(one) for left, one in found["left out"].items()}


def equal(laws: Mapping[str, Any], words: str) -> str:
    """Whether the laws after words of equal belief are equal."""
    ratio, control = (laws[net][words].distances.ratio for net in ("trained", "untrained"))
    (low, high), (least, _) = ends(ratio), ends(control)
    if np.isnan(low):
        return "one seed has no interval"
    if least < LEAST:
        return "open: untrained networks may do as well"
    return "yes" if high <= MOST else "no" if low > MOST else "open"


def extrapolates(bias: Mapping[str, Any], part: Part) -> str:
    """Whether a new law that is a function of the belief is extrapolated by belief."""
    own = bias["trained"]["belief"][part].explained
    controls = [one for net in NETS[1:] if net in bias for one in [bias[net]["belief"][part].explained]]
    controls.append(bias["trained"]["neither"][part].explained)
    lead = [ends(Seeds(own.values - one.values)) for one in controls]
    if np.isnan(lead[0][0]):
        return "one seed has no interval"
    if min(low for low, _ in lead) >= MARGIN:
        (low, high), half = ends(own), HALF * bias["tables"]["belief"]["belief"]
        return "yes" if low >= half else "partly: above every control" if high < half else "above every control"
    return "no" if min(high for _, high in lead) < MARGIN else "open"


def right(one: Mapping[str, Any]) -> str:
    """Whether the law and the belief are right after words that were never shown."""
    known, held = ends(one["trained"]["known"]), one["trained"]["r2"]["never"].values
    if np.isnan(known[0]):
        return "one seed has no interval"
    law = "yes" if known[0] >= KNOWN else "no" if known[1] < KNOWN else "open"
    ahead = lambda net: ends(Seeds(held - one[net]["r2"]["never"].values))
    leads = [(ahead("shown all"), -LOST), (ahead("untrained"), MARGIN), (ahead("shuffled"), MARGIN)]
    kept = all(low >= needed for (low, _), needed in leads)
    lost = any(high < needed for (_, high), needed in leads)
    return f"law {law}, belief {'yes' if kept else 'no' if lost else 'open'}"


def ends(score: Seeds) -> tuple[float, float]:
    """The ends of the interval; NaN for one seed."""
    return (np.nan, np.nan) if score.interval is None else (float(score.interval[0]), float(score.interval[1]))
