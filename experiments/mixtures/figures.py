"""Pictures of mixtures and of spent coins."""

from typing import Any

from matplotlib.figure import Figure


def draw(results: dict[str, Any]) -> dict[str, Figure]:
    """Draw overlaps, scores and costs."""
    return {}
