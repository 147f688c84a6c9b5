"""The lines of the table."""

from measures import TASKS

from beliefgeo.runs import Claim

WIDTHS = (2, 3, 4, 8, 16)

CLAIMS = [
    claim
    for name in TASKS
    for claim in (
        Claim(f"{name}: what the past tells (nats)", f"{name}/total", form=".4f"),
        Claim(f"{name}: share of the exact laws", f"{name}/exact laws/share", form=".3f"),
        Claim(
            f"{name}: bound above the codes found, at most (share of what the past tells)", f"{name}/slack", form=".4f"
        ),
        Claim(f"{name}: memory as the entropy of distinct laws (nats)", f"{name}/rejected/distinct laws", form=".2f"),
        Claim(
            f"{name}: share allowed to a memory of one sampled prediction",
            f"{name}/rejected/sampled prediction",
            form=".3f",
        ),
        *(
            Claim(f"{name}, width {width}: {label}", f"{name}/widths/{width}/{path}", form=form)
            for width in WIDTHS
            for label, path, form in (
                ("memory (nats)", "trained/rate", ".3f"),
                ("told of the future (nats)", "trained/told", ".4f"),
                ("least memory that can tell as much (nats)", "trained/needed", ".3f"),
                ("share of what the curve allows", "trained/share", ".3f"),
                ("verdict", "verdict", ""),
                ("share, coarse", "coarse/share", ".3f"),
                ("share, next token alone", "next token/share", ".3f"),
                ("share, untrained", "untrained/share", ".3f"),
                ("share, laws after the wrong pasts", "wrong pasts/share", ".3f"),
            )
        ),
    )
]
