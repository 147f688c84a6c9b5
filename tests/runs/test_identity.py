import json
import subprocess
import sys
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.runs.identity import identity


class Plain:
    """An observer of a class that jax does not know."""

    def __init__(self, table, rule=None):
        self.table, self.rule = table, rule


class Module(eqx.Module):
    table: jax.Array
    order: int = eqx.field(static=True, default=1)
    count: int = 0


def namesake():
    class Module(eqx.Module):
        table: jax.Array
        order: int = eqx.field(static=True, default=1)
        count: int = 0

    return Module


BUILDS = {
    "mess3": bg.mess3,
    "mess3, a little elsewhere": lambda: bg.mess3(0.05 + 1e-7),
    "mess3, other start": lambda: bg.hmm(bg.mess3().transitions, [1.0, 0.0, 0.0]),
    "golden mean": bg.golden_mean,
    "golden mean, generalised": lambda: bg.ghmm(bg.golden_mean().transitions),
    "product": lambda: bg.product([bg.coin(0.3), bg.golden_mean()]),
    "product in another order": lambda: bg.product([bg.golden_mean(), bg.coin(0.3)]),
    "its joint": lambda: bg.product([bg.coin(0.3), bg.golden_mean()]).joint(),
    "chain": lambda: bg.chain([bg.coin(0.3), [bg.golden_mean()] * 2]),
    "two": lambda: [bg.coin(0.3), bg.coin(0.4)],
    "one in a list": lambda: [bg.mess3()],
    "plain": lambda: Plain(np.array([0.5, 0.5])),
    "plain, integers": lambda: Plain(np.array([0, 1])),
    "plain, another shape": lambda: Plain(np.array([[0.5, 0.5]])),
    "plain, a list": lambda: Plain([0.5, 0.5]),
    "plain within plain": lambda: Plain(Plain([0.5, 0.5])),
    "module": lambda: Module(jnp.ones(2)),
    "module, static field": lambda: Module(jnp.ones(2), order=2),
    "module, static numbers": lambda: Module(jnp.ones(2), order=tuple(range(2000))),
    "module, another static number": lambda: Module(jnp.ones(2), order=(*range(1999), 0)),
    "module of the same name": lambda: namesake()(jnp.ones(2)),
    "module, number": lambda: Module(jnp.ones(2), count=1),
    "key": lambda: jax.random.key(0),
    "another key": lambda: jax.random.key(1),
    "nothing": lambda: None,
    "true": lambda: True,
    "one": lambda: 1,
}


def test_equal_where_built_alike_and_nowhere_else():
    once, again = ({name: json.dumps(identity(build())) for name, build in BUILDS.items()} for _ in range(2))
    assert once == again
    assert len(set(once.values())) == len(BUILDS)


def test_it_reads_as_what_it_is():
    parts = identity(bg.product([bg.coin(0.3), bg.golden_mean()]))
    assert parts["class"] == "beliefgeo.processes.factored.Product"
    assert parts["factors"]["1"]["transitions"].startswith("float32[2,2,2] ")
    assert parts["factors"]["1"]["generalised"] == "bool False"


def test_precision_counts(x64):
    wide = identity(bg.mess3())
    with jax.enable_x64(False):
        narrow = identity(bg.mess3())
    assert wide["transitions"].startswith("float64") and narrow["transitions"].startswith("float32")


@pytest.mark.parametrize("part", [lambda x: x, jax.jit(jnp.sin), threading.Lock(), np.random.default_rng(0), {1, 2}])
def test_what_cannot_be_told_apart_is_refused(part):
    for holder, place in ((Plain(np.ones(1), part), "rule"), (Module(jnp.ones(1), order=part), "order")):
        with pytest.raises(TypeError, match=f"process.{place} is a .*, which cannot be told from another of its kind"):
            identity(holder, "process")
    with pytest.raises(TypeError, match="process.table is a ndarray, which cannot be told from another"):
        identity(Plain(np.array([part, None])), "process")


def test_other_sessions_say_the_same():
    code = (
        "import json, beliefgeo as bg; from beliefgeo.runs.identity import identity; "
        "print(json.dumps(identity(bg.rrxor())))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == identity(bg.rrxor())
