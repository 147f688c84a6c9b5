"""Words that share prefixes, packed so that a network reads every prefix once.

The prefixes of all words of L tokens are 1 + 1/V + 1/V^2 + ... times as many as the words, and words have L positions
each: Mess3's 59,049 words of ten tokens have 590,490 positions and 88,572 prefixes. A pack holds a prefix and all that
continues it, as one sequence whose positions see their own past alone.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Int

# A pack of more positions would spend its time on positions that do not see each other.
_MOST = 192
# Packs must save this much to be worth their making, and fewer positions are read in less time than compiling takes.
_GAIN, _MANY = 2, 50_000


class Packs(NamedTuple):
    """Words as packs of their prefixes.

    Attributes:
        tokens: The last token of each prefix.
        place: Its position in its words.
        seen: Which positions of the pack are the prefix's own past, itself included.
        paths: For each word of the pack, the positions of its prefixes. The last word fills packs of fewer words.
        pack: The pack of each word.
        member: Which of the pack's words it is.
    """

    tokens: Int[Array, "pack node"] | np.ndarray
    place: Int[Array, "pack node"] | np.ndarray
    seen: Bool[Array, "pack node node"] | np.ndarray
    paths: Int[Array, "pack member time"] | np.ndarray
    pack: Int[Array, " word"] | np.ndarray
    member: Int[Array, " word"] | np.ndarray


def pack(tokens: Int[np.ndarray, "word time"], many: int = _MANY) -> Packs | None:
    """Pack words whose neighbours share prefixes; None where packs are no gain, or words have not `many` positions.

    >>> found = pack(np.array([[0, 0, 0, 0, 0, 0, token] for token in range(3)]), many=0)
    >>> found.tokens.tolist(), found.paths[0, :, -1].tolist()
    ([[0, 0, 0, 0, 0, 0, 0, 1, 2]], [6, 7, 8])
    """
    words, length = tokens.shape
    if tokens.size < max(many, 1):
        return None
    # Whether the prefix that ends at this position is another than that of the word before.
    new = np.ones((words, length), bool)
    new[1:] = np.logical_or.accumulate(tokens[1:] != tokens[:-1], 1)
    later = new[:, ::-1].cumsum(1)[:, ::-1]  # the number of new prefixes from this position on
    best = None
    for root in range(length):
        starts = np.flatnonzero(new[:, root])
        nodes = root + np.add.reduceat(later[:, root], starts)
        if nodes.max() <= _MOST and (best is None or len(starts) * nodes.max() < best[0]):
            best = len(starts) * int(nodes.max()), root, starts
    if best is None or best[0] * _GAIN > words * length:
        return None
    cost, root, starts = best
    return _packed(tokens, new, root, starts, cost // len(starts))


def _packed(
    tokens: Int[np.ndarray, "word time"],
    new: Bool[np.ndarray, "word time"],
    root: int,
    starts: Int[np.ndarray, " pack"],
    nodes: int,
) -> Packs:
    """Packs that begin at these words, which are the first with their prefix of root + 1 tokens."""
    words, length = tokens.shape
    pack = np.cumsum(new[:, root]) - 1
    member = np.arange(words) - starts[pack]
    paths, first = np.tile(np.arange(length), (words, 1)), np.full(len(starts), root)
    shape = (len(starts), nodes)
    seen, token, place = np.zeros((*shape, nodes), bool), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    seen[:, np.arange(nodes), np.arange(nodes)] = True  # a position that only fills its pack sees itself
    for time in range(length):
        if time >= root:
            rank = np.cumsum(new[:, time])
            paths[:, time] = first[pack] + rank - rank[starts][pack]
            first = first + np.add.reduceat(new[:, time], starts, dtype=int)
        at = (pack, paths[:, time])
        token[at], place[at] = tokens[:, time], time
        if time:
            began = np.flatnonzero(new[:, time]) if time >= root else starts
            seen[pack[began], paths[began, time]] |= seen[pack[began], paths[began, time - 1]]
    filled = np.minimum(starts[:, None] + np.arange(member.max() + 1), np.append(starts[1:], words)[:, None] - 1)
    return Packs(token, place, seen, paths[filled].astype(np.int32), pack.astype(np.int32), member.astype(np.int32))
