"""The lines of the table. None is judged but the sampler, on losses whose coefficient is known."""

from known import CASES
from measures import LEVELS, NBETAS, PLAIN

from beliefgeo.runs import Claim

MOMENTS = ("untrained", *(f"R2 {level}" for level in LEVELS), "trained")
CHECKS = ("steps half as long", "never rejected", "held a third as strongly", "held three times as strongly")

CLAIMS = [
    Claim("known losses on which the sampler is right, of 3", "known and right", form=".0f"),
    *(
        Claim(f"{name}: {label}", f"known/{name}/{path}", form=".3f")
        for name in CASES
        for label, path in (
            ("learning coefficient", "limit"),
            ("exact at this temperature", "exact"),
            ("sampled", "sampled"),
        )
    ),
    Claim("parameters of a network", "parameters", form=".0f"),
    *(
        Claim(f"{moment}: {label}", f"moments/{moment}/{path}", form=form)
        for moment in MOMENTS
        for label, path, form in (
            ("step", "step", ".0f"),
            ("loss above the optimum (nats)", "gap", ".1e"),
            ("held-out R2 of the beliefs", "r2", ".4f"),
            ("held-out R2 of shuffled beliefs", "shuffled", ".3f"),
            *((f"coefficient at n beta {nbeta:g}", f"n beta/{nbeta:g}/coefficient", ".2f") for nbeta in NBETAS),
            *((f"spread at n beta {nbeta:g}, quadratic", f"n beta/{nbeta:g}/spread", ".2f") for nbeta in NBETAS),
            *((f"acceptance at n beta {nbeta:g}", f"n beta/{nbeta:g}/acceptance", ".2f") for nbeta in NBETAS),
        )
    ),
    *(
        Claim(f"trained, n beta {nbeta:g}: {label}", f"moments/trained/n beta/{nbeta:g}/{path}", form=form)
        for nbeta in NBETAS
        for label, path, form in (
            ("coefficient, times that of a quadratic loss", "ratio", ".3f"),
            ("second half less first half of the draws", "second half", ".2f"),
        )
    ),
    *(
        Claim(
            f"trained: exponent of the coefficient, n beta {low:g} to {high:g}",
            f"growth/{low:g} to {high:g}",
            form=".2f",
        )
        for low, high in zip(NBETAS, NBETAS[1:], strict=False)
    ),
    *(
        Claim(f"trained, {check}: coefficient at n beta {nbeta:g}", f"checks/{check}/{nbeta:g}/coefficient", form=".2f")
        for check in CHECKS
        for nbeta in NBETAS
    ),
    *(
        Claim(
            f"trained, plain steps: coefficient at n beta {nbeta:g}",
            f"checks/plain steps/{nbeta:g}/coefficient",
            form=".2f",
        )
        for nbeta in PLAIN
    ),
]
