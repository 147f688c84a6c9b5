"""Discovery: as a user starts it, tiny; and its measures by hand."""

import json

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import discovery
from tests import oracle
from tests.experiments.command import CAPTURED, module, start

measures = module("discovery", "measures")


@pytest.mark.slow
def test_discovery(tmp_path):
    done = start("discovery", "quick", "--steps", "100", "--out", str(tmp_path))
    assert done.returncode == 0 and CAPTURED not in done.stderr, done.stderr
    (home,) = (tmp_path / "discovery").iterdir()
    assert {path.stem for path in home.glob("*.png")} == {"dimensions", "clouds", "states", "training"}
    assert json.loads((home / "claims.json").read_text())
    found = json.loads((home / "results.json").read_text())["golden_mean"]
    assert found["exact"]["dimension"] == 1 and found["exact"]["states"] == [3, 2]
    assert found["tokens"]["spectral dimension"]["mean"] == 1 and found["tokens"]["states"]["mean"] == 2
    trained, untrained = found["lstm"]["trained"], found["lstm"]["untrained"]
    assert trained["network"]["mean"] < untrained["network"]["mean"] / 3
    assert len(found["training"]["tokens"]) == len(found["training"]["moments"])


def test_a_perfect_network_scores_as_the_process(monkeypatch):
    process = bg.z1r()
    monkeypatch.setattr(measures.discovery, "network_laws", lambda network, params: discovery.process_laws(process))
    held = lambda network, params, futures: (
        futures.futures,
        futures.after / np.maximum(futures.laws, 1e-12)[..., None],
    )
    monkeypatch.setattr(measures.discovery, "network_activations", held)
    study = measures.Study(process, None, jax.random.key(0))
    found = study.measure(None)
    assert found["dimension"] == study.dimension == 2 and found["right"] == 1
    assert abs(found["network"]) < 1e-6 and found["found"] < 1e-6 and found["beyond"] < 1e-6
    assert found["states"] | {"counts": 0, "decades": 0, "machine": 0} == {
        "right": 1.0, "mixed": 7, "causal": 3, "counts": 0, "decades": 0, "machine": 0
    }  # fmt: skip
    assert found["states"]["machine"] < 1e-9 and found["states"]["decades"] >= 1
    assert found["r2"]["outputs"] > 1 - 1e-6 and found["r2"]["activations"] > 1 - 1e-6
    assert found["entropy rate"] == pytest.approx(np.log(2) / 3, abs=1e-3)
    assert found["geometry"]["fill"] == pytest.approx(1, abs=1e-6)


def test_entropy_rate_and_states_after_words():
    process = bg.golden_mean()
    assert measures.entropy_rate(process, 6) == pytest.approx(
        oracle.block_entropy(process, 6) - oracle.block_entropy(process, 5), abs=1e-6
    )
    states, chances = measures.after_words(process, 3)
    np.testing.assert_allclose(chances.sum(), 1, atol=1e-6)
    np.testing.assert_allclose(states[5], oracle.belief(process, [1, 0, 1]), atol=1e-6)


def test_numbers_that_some_networks_do_not_give():
    told = measures.told(
        [{"a": 1.0, "b": np.nan, "c": np.nan, "d": [np.nan, 2.0]}, {"a": 3.0, "b": 4.0, "c": np.nan, "d": [1.0, 2.0]}]
    )
    assert told["a"].values.tolist() == [1.0, 3.0] and told["b"] == "4 (1 of 2 networks)" and told["c"] == "none"
