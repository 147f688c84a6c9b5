"""The kinds of generators, the thresholds, the lines of the table, and the verdict."""

from typing import Any

import by_hand

from beliefgeo.runs import Claim

KINDS = ("noise only", "feedback", "adversarial")
SECOND = "feedback, after noise only"
HAND = ("three states", "ideal observer")
# Fixed before the run that they judge. Noise only: a prototype on words of five tokens had .295, the three-state model
# has .346; feedback: the prototype had .030. A generator that is judged must have learnt the words.
LEAST, MOST, LEARNT = 0.28, 0.05, 0.02

EVERY = {name: name for name in HAND} | {kind: f"{kind}/trained" for kind in (*KINDS, SECOND)}
EVERY |= {f"{kind}, untrained": f"{kind}/untrained" for kind in KINDS}
CLAIMS = [
    Claim(f"noise only: at least {LEAST}", "verdict/noise only", "", ""),
    Claim(f"feedback: at most {MOST}", "verdict/feedback", "", ""),
    *(Claim(f"exact: {label} (nats)", f"exact/{label}", form=".4f") for label in by_hand.EXACT),
    *(
        Claim(f"{name}: {label}", f"{path}/{part}", form=form)
        for label, part, form in (
            ("excess knowledge (nats a token)", "value/excess", ".4f"),
            ("standard error of it", "error/excess", ".4f"),
            ("KL (nats a word)", "value/divergence", ".4f"),
            ("law explained by past tokens", "value/explained", ".3f"),
            ("hidden states shuffled: KL", "value/shuffled_divergence", ".3f"),
            ("hidden states shuffled: excess knowledge", "value/shuffled_excess", ".3f"),
            ("three points explain of hidden states", "points/hidden", ".3f"),
            ("three points explain of shuffled hidden states", "points/shuffled", ".3f"),
            ("three points explain of laws", "points/laws", ".3f"),
            ("R2 of the observer's belief", "probe/belief", ".3f"),
            ("R2 of shuffled beliefs", "probe/shuffled", ".3f"),
        )
        for name, path in EVERY.items()
    ),
    *(
        Claim(f"{kind}, {count} noise paths a step: {label}", f"paths/{kind}/{count}/{part}", form=".4f")
        for kind in KINDS[:2]
        for label, part in (("excess knowledge", "excess"), ("KL", "divergence"))
        for count in (8, 32, 128, 512)
    ),
]


def verdict(found: dict[str, Any]) -> dict[str, str]:
    """Whether the whole interval of the mean is on its side of the threshold, if the words have been learnt."""
    told = {}
    for kind, holds in (("noise only", lambda ends: ends[0] >= LEAST), ("feedback", lambda ends: ends[1] <= MOST)):
        value = found[kind]["trained"]["value"]
        if value.excess.interval is None:
            told[kind] = "one seed has no interval"
        elif value.divergence.values.max() > LEARNT:
            told[kind] = f"not learnt: KL {value.divergence.values.max():.3f}"
        else:
            told[kind] = "holds" if holds(value.excess.interval) else "fails"
    return told
