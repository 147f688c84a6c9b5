"""A scorecard as text."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from beliefgeo.probes.scorecard import Scorecard, Weighted


def scorecard_table(card: "Scorecard") -> str:
    """The scores of every site beside their controls, R2 in sample and held out, windows in tokens."""
    columns = (
        "R2 of the beliefs",
        "in sample",
        "held out",
        "window",
        "by probability: in sample",
        "held out",
        "window",
    )
    table = Table(*columns, title=_title(card), title_justify="left")
    for site, scores in card.sites.items():
        table.add_row(site, *_cells(scores))
        if card.untrained is not None:
            table.add_row("  untrained", *_cells(card.untrained[site]))
    table.add_row(f"next-token law alone (rank {card.law.rank})", *_cells(card.law.scores))
    for name, control in (("shuffled beliefs", card.shuffled), ("shuffled beyond the law", card.unseen)):
        if control is not None:
            table.add_row(f"{name} (p = {control.p_value:.3g})", "", f"{control.r2:.4f}")
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _title(card: "Scorecard") -> str:
    error = "" if card.losses.error is None else f" +- {card.losses.error:.1g}"
    return f"loss above the optimum: {card.losses.gap:.3g}{error} nats"


def _cells(scores: "Weighted") -> list[str]:
    return [
        cell
        for one in (scores.by_count, scores.by_probability)
        for cell in (f"{one.r2:.4f}", f"{one.held_out:.4f}", f"{one.held_out_window:.2f}")
    ]
