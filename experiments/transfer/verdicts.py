"""What is claimed, by which thresholds, and what may be asked.

The thresholds were chosen before the run that they judge, after pilots with other seeds.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from vocabularies import PROCESSES

from beliefgeo import runs
from beliefgeo.reading import Seeds

STARTS = ("same", "another", "random", "scratch")
# By which a ratio of tokens, or of final gaps, must exceed 1, at the lower end of its interval. Tokens of neighbouring
# moments at which the gap is measured differ by about this factor: less is not resolved.
FACTOR = 1.25
# R2 by which the map from the source must beat the maps from both controls.
MARGIN = 0.05


class Verdict(NamedTuple):
    """The verdicts on one process."""

    saving: str
    """Whether frozen blocks of the same structure need fewer tokens than blocks of another process and random ones."""
    scratch: str
    """Whether they need fewer tokens than training everything."""
    geometry: str
    """Whether one map takes the source to a target trained from scratch better than it takes the controls there."""


def judge(ratios: Mapping[str, Any], final: Mapping[str, Any], geometry: Mapping[str, Any]) -> Verdict:
    """The verdicts, from ratios of tokens, ratios of final gaps, and R2 of maps."""
    beats = {kind: one.low >= FACTOR for kind, one in ratios.items()}
    lost = {kind: one.high <= 1 / FACTOR for kind, one in ratios.items()}
    lower = all(final[kind].low >= FACTOR for kind in ("another", "random"))
    if np.isnan(ratios["another"].ratio):
        saving = f"no transfer: 1e-3 is not reached{', but the gap is lower than of both controls' * lower}"
    elif beats["another"] and beats["random"]:
        saving = "transfer"
    elif beats["random"]:
        saving = "no transfer of this structure: another process's blocks serve as well"
    else:
        saving = "no transfer"
    scratch = "fewer tokens" if beats["scratch"] else "more tokens" if lost["scratch"] else "undecided"
    maps = geometry["scratch"]["map"]
    ahead = [Seeds(maps["same"].values - maps[kind].values) for kind in ("another", "random")]
    clear = all(one.interval is not None and one.interval[0] >= MARGIN for one in ahead)
    return Verdict(saving, scratch, "one map" if clear else "no better than a control")


def check(config: Any) -> None:
    """Raise ValueError for a config that cannot be judged, before anything is trained."""
    if unknown := [name for name in config.processes if name not in PROCESSES]:
        raise ValueError(f"no process {unknown[0]!r}; choose among {', '.join(PROCESSES)}")
    if not config.processes:
        raise ValueError("transfer needs a process or more; got none")
    if config.seeds < 1:
        raise ValueError(f"transfer needs a seed or more; got {config.seeds}: five give an interval")
    if config.network.layers < 1:
        raise ValueError(f"transfer freezes blocks and needs a layer or more; got {config.network.layers}")


_KINDS = {
    "same": "blocks of the same structure",
    "another": "blocks of another process",
    "random": "random blocks",
    "scratch": "from scratch",
}
_OF = {"another": "another process", "random": "random blocks", "scratch": "from scratch"}
CLAIMS = [
    claim
    for name in PROCESSES
    for claim in (
        runs.Claim(f"{name}: verdict on tokens", f"{name}/verdict/saving"),
        *(runs.Claim(f"{name}: tokens of {text} / of the same", f"{name}/ratios/{kind}") for kind, text in _OF.items()),
        *(runs.Claim(f"{name}: tokens to 1e-3, {text}", f"{name}/needed/{kind}") for kind, text in _KINDS.items()),
        runs.Claim(f"{name}: gap of the sources (nats)", f"{name}/source gap", form=".1e"),
        runs.Claim(f"{name}: gap with tables copied from the source (nats)", f"{name}/copied", form=".1e"),
        *(
            runs.Claim(f"{name}: final gap, {text} (nats)", f"{name}/final/{kind}", form=".1e")
            for kind, text in _KINDS.items()
        ),
        *(
            runs.Claim(f"{name}: final gap of {text} / of the same", f"{name}/final ratios/{kind}")
            for kind, text in _OF.items()
        ),
        runs.Claim(f"{name}: verdict on geometry", f"{name}/verdict/geometry"),
        *(
            runs.Claim(
                f"{name}: R2 of a map, {of} -> from scratch", f"{name}/geometry/scratch/map/{source}", form=".3f"
            )
            for source, of in {
                "same": "source",
                "another": "network of another process",
                "random": "untrained source",
                "shuffled": "source, shuffled",
            }.items()
        ),
        *(
            runs.Claim(f"{name}: R2 of a map, source -> {text}", f"{name}/geometry/{kind}/map/same", form=".3f")
            for kind, text in _KINDS.items()
            if kind != "scratch"
        ),
        *(
            runs.Claim(f"{name}: R2 of the source's probe in {text}", f"{name}/geometry/{kind}/probe", form=".3f")
            for kind, text in _KINDS.items()
        ),
        *(
            runs.Claim(f"{name}: R2 of a probe of its own in {text}", f"{name}/geometry/{kind}/own probe", form=".3f")
            for kind, text in _KINDS.items()
        ),
        *(
            runs.Claim(f"{name}: distance of tokens that mean the same, {text}", f"{name}/merged/{kind}", form=".2f")
            for kind, text in _KINDS.items()
        ),
    )
]
