"""Processes of several factors: independent factors, factors seen through noise, factors in a chain."""

from collections.abc import Sequence
from typing import Literal

import beliefgeo as bg
from beliefgeo import probes, reading
from beliefgeo.probes.controls import Rank
from beliefgeo.processes.factor_tree import FactorTree
from beliefgeo.processes.factored import Product
from beliefgeo.processes.noisy_product import NoisyProduct

FactorName = Literal["mess3", "bloch_walk"]
AnyProduct = Product | NoisyProduct | FactorTree


def process_of(names: Sequence[FactorName], noise: float, chain: bool) -> AnyProduct:
    """The process of these factors.

    Raises:
        ValueError: fewer than two factors; noise outside 0 to 1; noise in a chain.
    """
    if len(names) < 2:
        raise ValueError(f"factors must be two or more, else nothing is factored; got {len(names)}")
    if not 0 <= noise < 1:
        raise ValueError(f"noise must be a probability, 0 <= noise < 1; got {noise}")
    if noise and chain:
        raise ValueError(f"noise in a chain is not offered: choose --chain or --noise {noise}")
    factors = [family(name)[1] for name in names]
    if not chain:
        return bg.noisy_product(factors, noise) if noise else bg.product(factors)
    # Each token of a factor chooses another member of the next factor's family (the paper's choice is not ours).
    before = zip(names[1:], factors, strict=False)
    return bg.chain([factors[0], *[family(name)[: factor.vocab_size] for name, factor in before]])


def family(name: FactorName) -> list[bg.Process]:
    """Members that share their stationary law; the published factor is the second."""
    if name == "mess3":
        return [bg.mess3(x, 0.6) for x in (0.05, 0.15, 0.3, 0.4)]
    return [bg.bloch_walk(1, beta) for beta in (2, 3, 4, 5)]


def factor_rank(name: FactorName) -> Rank:
    """How many dimensions of the published factor's belief its own next-token law tells."""
    factor = family(name)[1]
    return probes.law_rank(reading.rows_of(factor, bg.words(factor, 4)))
