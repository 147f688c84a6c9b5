"""Scaling: power laws on lines known by hand, settings that change one thing, mistakes, and the whole claim."""

import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.networks import TransformerConfig
from beliefgeo.reading import Seeds
from beliefgeo.runs import Budget
from tests.experiments.command import modules, refusal, start


@pytest.fixture(scope="module")
def parts():
    with modules("scaling", "axes", "laws", "sweep") as found:
        yield found


def test_a_power_law_is_found_and_a_bend_is_refused(parts):
    x = np.array([1.0, 2, 4, 8])
    found = parts.laws.fit(x, np.stack([3 * x**-2, 5 * x**-1.5]))
    np.testing.assert_allclose(found.exponent.values, [-2, -1.5])
    assert found.prefactor == pytest.approx(np.sqrt(15)) and found.straightness == pytest.approx(1)
    bent = parts.laws.fit(x, np.array([[1, 0.1, 0.1, 1]]))
    assert bent.exponent is None and bent.straightness == pytest.approx(0, abs=1e-9)
    assert parts.laws.fit(x[:2], np.array([[1.0, 2]])).exponent is None
    assert parts.laws.fit(np.array([1, 1.3, 1.9]), np.array([[1, 1.3, 1.9]])).exponent is None  # the axis is too short
    assert np.isfinite(parts.laws.fit(x, np.array([[1e-3, 0, 1e-6, -1e-9]])).slope.values).all()  # rounding below 0


def test_verdicts_by_hand(parts):
    law = lambda *slopes: parts.laws.PowerLaw(Seeds(np.array(slopes)), 1, 1, Seeds(np.array(slopes)))
    refused = parts.laws.PowerLaw(Seeds(np.array([1.0, 1])), 1, 0.5, None)
    said = lambda first, second: parts.laws.compare(first, second).verdict
    assert said(law(-2, -2.01, -1.99), law(-2.1, -2.11, -2.09)) == "alike"  # 5% apart for certain, but within a fifth
    assert said(law(-2, -2.1, -1.9), law(-1, -1.1, -0.9)) == "different"
    assert said(law(-2, -1, -3), law(-1, -3, -2)) == "cannot tell"
    assert said(law(-2), law(-1)) == "one seed cannot tell"
    assert said(refused, law(1, 1)) == "only the second is a power law"
    assert said(law(1, 1), refused) == "only the first is a power law"
    assert said(refused, refused) == "neither is a power law"
    assert parts.laws.compare(refused, law(1, 1)).ratio is None


def test_studies_and_the_settings_they_share(parts):
    x = np.array([1.0, 2, 4])
    measures = {"gap": Seeds(np.array([[4.0, 2, 1], [5, 3, 2]])), "belief": Seeds(np.array([[0.4, 0.2, 0.1]] * 2))}
    measures |= {"share": measures["gap"], "belief": Seeds(measures["gap"].values / 10)}
    study = parts.laws.study(x, measures)
    assert study.over_settings == pytest.approx(1) and study.over_seeds.values == pytest.approx([1, 1, 1])
    assert set(study.compared) == {"gap and belief", "share and belief"}
    found = parts.laws.together({"one": study, "the same": study})
    assert found["settings"] == 3 and found["gap and error"] == pytest.approx(1)


def test_two_clocks_have_the_memories_they_say(parts):
    fast = np.log(abs(2 * parts.axes.STAY - 1))
    for ratio in (1, 4):
        process = parts.axes.two_clocks(ratio)
        sizes = np.log(sorted(abs(np.linalg.eigvals(np.asarray(process.transitions, float).sum(0))))[-2::-1])
        # The mode fades most slowly; at ratio 1 it fades as fast as the coin in a given mode.
        np.testing.assert_allclose(sizes[0], fast / ratio, rtol=1e-4)
        np.testing.assert_allclose(np.asarray(process.initial), 0.25, atol=1e-6)


def test_moves_change_the_memory_and_not_the_entropy_rate(parts):
    found = bg.mess3(0.16, parts.axes.emission_of(0.16))
    assert parts.axes.rate(found) == pytest.approx(parts.axes.RATE, abs=1e-4)
    assert parts.axes.length(1 / np.e) == pytest.approx(1)


@pytest.mark.slow
def test_filled_folds_score_the_same(parts):
    """Drawn words: the padding changes neither the probe's score nor the loss."""
    process = bg.random_hmm(jax.random.key(0), 3, 3, 0.5)
    rows = reading.rows(jax.random.key(1), process, 6, most=100)
    folds = parts.sweep.held_out_folds(rows)
    at, real = parts.sweep.even(folds)
    filled = parts.sweep.rows_at(rows, at, real)
    sizes = np.bincount(folds[at] + 1)
    assert len({*sizes[1:].tolist()}) == 1 and real.sum() == len(folds) and {*at[real]} == {*range(len(folds))}
    random = np.random.default_rng(0)
    features = random.normal(size=(len(folds), 5)) + rows.beliefs @ random.normal(size=(3, 5))
    log_laws = np.log(random.dirichlet(np.ones(3), len(folds)))
    score = lambda own, folds, features: parts.sweep.of_network(
        reading.Reading(own[1], {"last block": features}),
        parts.sweep.Task(own[0], folds, {"belief": own[0].beliefs}, 2.0),
    )
    plain = score((rows, log_laws), folds, features)
    padded = score((filled, log_laws[at]), folds[at], features[at])
    assert padded == pytest.approx(plain, rel=1e-4)
    assert plain["share"] == pytest.approx(plain["gap"] / 2)


def test_padding_leaves_the_law_as_it_is(parts):
    clocks, mess3 = parts.sweep.alike([parts.axes.two_clocks(4), bg.mess3()], 3)
    assert clocks.transitions.shape == mess3.transitions.shape == (3, 4, 4)
    (alone,) = parts.sweep.alike([parts.axes.two_clocks(4)], 3)
    np.testing.assert_array_equal(alone.predict(alone.initial), [0.5, 0.5, 0])
    law = lambda process: process.predict(bg.update_belief(process, process.initial, 1))
    np.testing.assert_allclose(law(mess3), law(bg.mess3()), rtol=1e-6)


def test_knowing_nothing_by_hand(parts):
    rows = SimpleNamespace(probabilities=np.array([0.5, 0.5]), laws=np.array([[1, 0], [0.5, 0.5]]))
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert parts.sweep.nothing(rows) == pytest.approx(entropy - 0.5 * np.log(2))


def test_settings_change_one_thing(parts):
    config = SimpleNamespace(
        processes=("mess3", "two clocks"),
        lengths=(50, 100),
        widths=(4, 8),
        network=TransformerConfig(layers=1, width=16),
        budget=Budget(50, 4, data="laws", chunk=50, seeds=3),
    )
    tokens = parts.axes.settings_of("drawn tokens", config)["two clocks"]
    assert [one.value for one in tokens] == [50 * 4 * 10, 100 * 4 * 10] and tokens[0].budget.data == "samples"
    widths = parts.axes.settings_of("width", config)["mess3"]
    assert [(one.network.width, one.network.mlp_width) for one in widths] == [(4, 8), (8, 16)]


@pytest.mark.slow
def test_random_hmms_of_a_size_have_a_network_each(parts):
    network, budget = TransformerConfig(layers=1, width=16), Budget(50, 4, data="laws", chunk=50, seeds=3)
    config = SimpleNamespace(vocabularies=(2, 6), network=network, budget=budget)
    drawn = parts.axes.settings_of("vocabulary", config)[""]
    assert [(one.network.vocab_size, len(one.processes), one.budget.seeds) for one in drawn] == [(2, 3, 1), (6, 3, 1)]
    assert len({np.asarray(one.transitions).tobytes() for one in drawn[0].processes}) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--widths", "0", "8"], "widths must be two different numbers or more, 1 or more; got (0, 8)"),
        (["--depths", "2"], "depths must be two different numbers or more, 1 or more; got (2,)"),
        (["--moves", ".01", ".3"], "moves between 0 and .16; got"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(tmp_path, arguments, said):
    assert f"error: {said.split(' must')[0]}" in (
        told := refusal("scaling", "quick", *arguments, "--out", str(tmp_path))
    ) or said.startswith("moves")
    assert said in told and told.count("error:") == 1


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path):
    axes = ["--axes", "width", "clocks", "states", "along one training", "--processes", "mess3"]
    values = ["--widths", "4", "16", "--states", "3", "5", "--lengths", "50", "100"]
    done = start("scaling", "quick", *axes, *values, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "scaling").iterdir()
    assert {path.stem for path in folder.glob("*.png")} == {"axes", "together"}
    found = json.loads((folder / "results.json").read_text())
    assert {*found["axes"]} == {"width, mess3", "clocks", "states", "along one training, mess3"}
    assert len(found["axes"]["states"]["measures"]["gap"]["values"]) == 2
