"""The lines of the table, and what a sweep needs."""

from typing import Any, get_args

from axes import Axis, Name

from beliefgeo.runs import Claim

OF_NETWORK = ("tokens", "drawn tokens", "along one training", "width", "depth")
AXES = [
    name
    for axis in get_args(Axis)
    for name in ([f"{axis}, {process}" for process in get_args(Name)] if axis in OF_NETWORK else [axis])
]

_FITS = (
    ("gap", "loss gap"),
    ("share", "loss gap, as a share of knowing nothing"),
    ("belief", "probe error"),
    ("untrained belief", "probe error, untrained"),
    ("slow clock", "probe error of the slow clock"),
    ("fast clock", "probe error of the fast clock"),
)
_PAIRS = (
    ("gap and belief", "probe error over loss gap"),
    ("share and belief", "probe error over share"),
    ("fast clock and slow clock", "slow over fast clock"),
)
_ENDS = (
    ("gap", "loss gap (nats)"),
    ("belief", "probe error"),
    ("untrained belief", "probe error, untrained"),
    ("shuffled", "probe error, shuffled beliefs"),
    ("slow clock", "probe error of the slow clock"),
    ("fast clock", "probe error of the fast clock"),
)
_ALL = (
    ("settings", "settings", ".0f"),
    ("gap and error", "rank correlation of loss gap and probe error", ".2f"),
    ("share and error", "rank correlation of share and probe error", ".2f"),
    ("over seeds", "rank correlation of loss gap and probe error over networks of one setting", ".2f"),
)
CLAIMS = [
    *(Claim(f"all settings: {told}", f"all settings/{name}", form=form) for name, told, form in _ALL),
    *(
        claim
        for axis in AXES
        for claim in (
            *(
                line
                for name, told in _PAIRS
                for line in (
                    Claim(f"{axis}, {told}: verdict", f"axes/{axis}/compared/{name}/verdict"),
                    Claim(f"{axis}, {told}: ratio of exponents", f"axes/{axis}/compared/{name}/ratio", form=".2f"),
                    Claim(f"{axis}, {told}: difference", f"axes/{axis}/compared/{name}/difference", form=".2f"),
                )
            ),
            *(
                line
                for name, told in _FITS
                for line in (
                    Claim(f"{axis}: exponent of the {told}", f"axes/{axis}/fits/{name}/exponent", form=".2f"),
                    Claim(f"{axis}: straightness of the {told}", f"axes/{axis}/fits/{name}/straightness", form=".3f"),
                )
            ),
            *(
                Claim(f"{axis}, {where}: {told}", f"axes/{axis}/measures/{name}/at {index}", form=".2e")
                for index, where in ((0, "first"), (-1, "last"))
                for name, told in _ENDS
            ),
            Claim(f"{axis}: rank correlation over settings", f"axes/{axis}/over_settings", form=".2f"),
            Claim(f"{axis}: rank correlation over networks of one setting", f"axes/{axis}/over_seeds", form=".2f"),
        )
    ),
]


def check(config: Any) -> None:
    """Raise ValueError where the values of an axis are no axis."""
    whole = ("lengths", "widths", "depths", "states", "vocabularies")
    least = dict.fromkeys(whole, 1) | {"states": 2, "vocabularies": 2, "ratios": 1}
    for name in (*whole, "emissions", "moves", "ratios"):
        values = getattr(config, name)
        if len({*values}) < max(2, len(values)) or min(values) < least.get(name, 0):
            raise ValueError(
                f"{name} must be two different numbers or more, {least.get(name, 0)} or more; got {values}: a power "
                "law needs several settings"
            )
    if not all(1 / 3 < one < 1 for one in config.emissions) or not all(0 < one <= 0.16 for one in config.moves):
        raise ValueError(
            f"emissions must lie between 1/3 and 1, and moves between 0 and .16; got {config.emissions} and "
            f"{config.moves}: Mess3 has no memory at the one end, and no such entropy rate beyond the other"
        )
    if config.budget.seeds < 2:
        raise ValueError(f"seeds must be 2 or more; got {config.budget.seeds}: an interval needs several networks")
