"""A network that is a function of the tokens."""

from collections.abc import Callable
from typing import NamedTuple

from beliefgeo.reading import read


class Plain(NamedTuple):
    """A network without parameters."""

    function: Callable

    def init(self, key, tokens):
        return None

    def apply(self, params, tokens, edit=None):
        return self.function(tokens)


def evaluate(function, rows, select=lambda sites: {"last": sites["resid_post"][-1]}):
    return read(Plain(function), None, rows, select)
