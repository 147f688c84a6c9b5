"""The lines of the table."""

from descent import FAST, NAMES
from measures import LEVELS
from properties import PREDICTORS

from beliefgeo.runs import Claim

_PROCESSES = ("mess3", "rrxor", "strata")
_WORDS = {"laws": "exact laws", "samples": "drawn tokens", "none": "no decay", "decay": "decay"}
_COMPARED = (("ratio", ".2f"), ("differs", ""))


def _compared(label: str, path: str) -> list[Claim]:
    return [Claim(f"{label}: {what}", f"{path}/{what}", form=form) for what, form in _COMPARED]


def _of_process(name: str) -> list[Claim]:
    path, where = f"processes/{name}", f"processes/{name}/trainings"
    trainings = [
        (
            f"{name}, {optimizer}, {_WORDS[targets]}, {_WORDS[decay]}",
            f"{where}/{optimizer}, {targets}, {decay}",
        )
        for optimizer in NAMES
        for targets in ("laws", "samples")
        for decay in ("none", "decay")
    ]
    trainings.append((f"{name}, {FAST}, exact laws, no decay", f"{where}/{FAST}, laws, none"))
    shown = (
        ("trained: gap (nats)", "trained/gap", ".1e"),
        ("trained: share left unexplained", "trained/unexplained", ".4f"),
        ("trained: equivalent window", "trained/window", ".2f"),
        *((f"share left at a gap of {level:g}", f"left/{level:g}", ".4f") for level in LEVELS),
    )
    return [
        Claim(f"{name}: loss of knowing nothing above the optimum (nats)", f"{path}/nothing", form=".3f"),
        *(
            Claim(f"{label}, {what}", f"{training}/{part}", form=form)
            for label, training in trainings
            for what, part, form in shown
        ),
        Claim(
            f"{name}, adam, untrained: share left unexplained",
            f"{where}/adam, laws, none/untrained/unexplained",
            form=".3f",
        ),
        *(Claim(f"{name}, {one}: R2 of shuffled beliefs", f"{path}/shuffled/{one}", form=".3f") for one in NAMES),
        *(
            claim
            for kind in ("laws", "samples")
            for one in (*NAMES, FAST)
            if one != "adam"
            for claim in _compared(
                f"{name}, {one} beside adam at equal gap, {_WORDS[kind]}", f"{path}/beside Adam/{kind}/{one}"
            )
        ),
        *_compared(f"{name}, {FAST} beside nadam at equal gap, exact laws", f"{path}/rate"),
        *(
            claim
            for change, words in (("decay", "decay beside none"), ("laws", "exact laws beside drawn tokens"))
            for one in ("all", *NAMES)
            for claim in _compared(f"{name}, {words} at equal gap, {one}", f"{path}/{change}/{one}")
        ),
        *(
            Claim(
                f"{name}, rank correlation with what is left: {one}{'' if one == 'gap' else ', beyond the gap'}",
                f"{path}/correlations/{one}",
                form=".2f",
            )
            for one in ("gap", *PREDICTORS)
        ),
    ]


CLAIMS = [
    *(Claim(f"{one} predicts the geometry beyond the gap", f"predicts/{one}") for one in PREDICTORS),
    *(claim for name in _PROCESSES for claim in _of_process(name)),
]
