"""The judge, and the lines of the table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from learners import LEARNERS
from rates import TRIED
from tasks import COUNT, NAMES

from beliefgeo.reading import Seeds
from beliefgeo.runs import Claim

if TYPE_CHECKING:
    from __main__ import Config

# Fixed before the run that it judges. Of a seed: the mean over HMMs of ln(gap of the transformer / gap of the RNN).
# Where the 95% interval of its mean over seeds excludes 0, the learner of the smaller gap wins; else it is open.
# The contradiction is confirmed against an RNN if the RNN wins on fixed HMMs and the transformer wins on fresh ones;
# it is judged for both tasks of fresh HMMs, and with each RNN, at the end of the longer training.
RIVALS = LEARNERS[1:]
BUDGETS = {"short": 4, "long": 1}
"""A training with a schedule of its own for each: this part of the steps."""


def log_ratio(transformer: Seeds, rival: Seeds) -> Seeds:
    """Of each seed, the mean over HMMs of the log ratio of gaps `[seed, hmm]`."""
    return Seeds(np.log(transformer.values / rival.values).mean(1))


def winner(ratio: Seeds, rival: str) -> str:
    """Who has the smaller gap."""
    if ratio.interval is None:
        return "one seed has no interval"
    low, high = ratio.interval
    return "transformer" if high < 0 else rival if low > 0 else "open"


def judge_task(learnt: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """For each budget and rival: log ratio and winner, on the HMMs that are learnt and on others."""
    found: dict[str, Any] = {}
    for rival in [one for one in RIVALS if {one, "transformer"} <= {*learnt}]:
        for budget in BUDGETS:
            ours, theirs = learnt["transformer"][budget], learnt[rival][budget]
            pairs = {"": (at_end(ours.gap), at_end(theirs.gap)), " new": (ours.new, theirs.new)}
            for on, pair in pairs.items():
                ratio = log_ratio(*pair)
                if np.isfinite(ratio.values).all():
                    found[f"{rival} {budget}{on}"] = {"ratio": ratio, "winner": winner(ratio, rival)}
    return found


def at_end(gap: Seeds) -> Seeds:
    """The last snapshot's."""
    return Seeds(gap.values[..., -1])


def judge(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Whether the winner changes between a fixed HMM and fresh ones."""
    verdicts = {}
    for fresh in [name for name in NAMES[1:] if {name, "fixed"} <= {*found}]:
        for rival in RIVALS:
            if all(f"{rival} long" in found[name]["verdict"] for name in ("fixed", fresh)):
                on_fixed, on_fresh = (found[name]["verdict"][f"{rival} long"]["winner"] for name in ("fixed", fresh))
                verdicts[f"{fresh} {rival}"] = contradiction(on_fixed, on_fresh, rival)
    return verdicts


def contradiction(on_fixed: str, on_fresh: str, rival: str) -> str:
    """The answer in words."""
    if (on_fixed, on_fresh) == (rival, "transformer"):
        return f"confirmed: {rival} on fixed HMMs, transformer on fresh ones"
    if (on_fixed, on_fresh) == ("transformer", rival):
        return f"reversed: transformer on fixed HMMs, {rival} on fresh ones"
    if on_fixed == on_fresh and on_fixed in ("transformer", rival):
        return f"not confirmed: {on_fixed} on both"
    return f"open: {on_fixed} on fixed HMMs, {on_fresh} on fresh ones"


def check(config: "Config") -> None:
    """Refuse sizes that leave nothing to learn or to judge.

    Raises:
        ValueError: it says which.
    """
    if not 1 <= config.pool < COUNT:
        raise ValueError(
            f"pool must be 1 to {COUNT - 1} of the {COUNT} HMMs, so that some are seen and others are new; got "
            f"{config.pool}"
        )
    if not 1 <= config.hmms <= config.pool:
        raise ValueError(f"hmms must be 1 to the pool's {config.pool}; got {config.hmms}")
    if config.length < 6:
        raise ValueError(
            f"length must be 6 or more, so that held-out words differ in their first tokens; got {config.length}"
        )
    if config.words < 2 or config.seeds < 1:
        raise ValueError(f"words must be 2 or more and seeds 1 or more; got {config.words} and {config.seeds}")


_CONTROLS = (
    "best constant law",
    "the head alone, no tokens",
    "the tokens alone, no head",
    "knows the prior, never infers",
    "on new HMMs: knows the seen HMMs",
)
_MEASURES = (
    ("gap (nats a token)", "gap", ".2e"),
    ("gap on new HMMs", "new", ".2e"),
    ("gap, untrained", "untrained", ".2e"),
    ("standard error of a gap, by the words drawn", "error", ".1e"),
    ("equivalent number of last tokens", "window", ".1f"),
    ("R2 of the belief", "r2", ".3f"),
    ("R2 of the belief, untrained", "untrained_r2", ".3f"),
    ("R2 of shuffled beliefs", "shuffled_r2", ".3f"),
)
CLAIMS = [
    *(
        Claim(f"{fresh} against fixed, transformer and {rival}: does the winner change?", f"verdict/{fresh} {rival}")
        for fresh in NAMES[1:]
        for rival in RIVALS
    ),
    *(
        claim
        for name in NAMES
        for claim in (
            *(
                Claim(
                    f"{name}, {budget} training{label}: {what} of transformer and {rival}",
                    f"{name}/verdict/{rival} {budget}{on}/{part}",
                    form=".2f",
                )
                for budget in (*BUDGETS,)[::-1]
                for rival in RIVALS
                for on, label in (("", ""), (" new", ", new HMMs"))
                for what, part in (("winner", "winner"), ("log ratio of gaps", "ratio"))
            ),
            *(Claim(f"{name}: {control} (nats)", f"{name}/controls/{control}", form=".2e") for control in _CONTROLS),
            *(
                Claim(
                    f"{name}, {learner}, {budget} training: {label}",
                    f"{name}/learners/{learner}/{budget}/mean/{part}",
                    form=form,
                )
                for learner in LEARNERS
                for budget in (*BUDGETS,)[::-1]
                for label, part, form in (_MEASURES if budget == "long" else _MEASURES[:2])
            ),
            *(
                Claim(f"{name}, {learner}: gap of each HMM", f"{name}/learners/{learner}/long/by_hmm", form=".2e")
                for learner in LEARNERS
                if name == "fixed"
            ),
            *(
                Claim(f"{name}, {learner}: parameters", f"{name}/learners/{learner}/parameters", form=".0f")
                for learner in LEARNERS
            ),
            *(
                Claim(f"{name}, {learner}: learning rate", f"{name}/learners/{learner}/rate", form=".0e")
                for learner in LEARNERS
            ),
            *(
                Claim(f"{name}, {learner}: gap at learning rate {rate}", f"{name}/rates/{learner}/{rate}", form=".2e")
                for learner in LEARNERS
                for rate in TRIED
            ),
        )
    ),
]
