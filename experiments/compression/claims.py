"""The lines of the table."""

from tasks import TASKS

from beliefgeo.runs import Claim

WIDTHS = (2, 3, 4, 8, 64)
_FORMS = (("gap", ".2e"), ("r2", ".3f"))
_VERDICTS = (
    ("gap, times the optimum or 2% of knowing nothing", "times the optimum", ".2f"),
    ("gap near the optimum", "gap near", ""),
    ("r2, share of the most", "share of the most", ".3f"),
    ("r2 near the most", "R2 near", ""),
    ("what is kept follows", "follows", ""),
)
CLAIMS = [
    claim
    for name, task in TASKS.items()
    for claim in (
        Claim(f"{name}: loss of the best constant law above the optimum (nats)", f"{name}/nothing", form=".2e"),
        *(
            Claim(f"{name}, width {width}: {label}", f"{name}/widths/{width}/{path}", form=form)
            for width in WIDTHS
            for label, path, form in (
                *(
                    (f"{what}, {kind}", f"{kind}/{what}", form)
                    for kind in ("trained", "drawn", "untrained")
                    for what, form in _FORMS
                ),
                *((f"{what}, best for the loss", f"loss/{what}", form) for what, form in _FORMS),
                *((f"{what}, best for R2", f"variance/{what}", form) for what, form in _FORMS),
                *((f"{what}, directions in random order", f"random order/{what}", form) for what, form in _FORMS),
                ("r2, shuffled beliefs", "shuffled", ".3f"),
                *(
                    (f"{what}{on}", f"{verdicts}/{path}", form)
                    for on, verdicts in (("", "verdicts"), (", drawn", "verdicts on draws"))
                    for what, path, form in _VERDICTS
                ),
                *((f"r2 of {part}", f"trained/by_part/at {index}", ".3f") for index, part in enumerate(task.factors)),
            )
        ),
    )
]
