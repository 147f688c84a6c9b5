import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.runs import resumable
from beliefgeo import runs_old as runs
from beliefgeo.reading.evaluation import evaluate, loss_gap, optimal_loss, prefixes
from beliefgeo.learning_old import Budget, learn, read_networks, read_positions
from beliefgeo.networks.recurrent import RecurrentConfig
from beliefgeo.networks.transformer import TransformerConfig

SMALL = TransformerConfig(vocab_size=2, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
WITH_BOS = TransformerConfig(vocab_size=3, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
SHORT = Budget(steps=20, chunk=10, batch=16, seeds=2)


def gap(learned, process, params, bos=None):
    rows = prefixes(process, bg.words(process, 4 - (bos is not None)), bos=bos)
    return [loss_gap(rows, one).mean() for one in read_networks(learned.network, {"it": params}, rows)["it"].log_laws]


@pytest.mark.parametrize("bos", [False, True])
def test_all_words_in_every_step_give_the_exact_loss(tmp_path, bos):
    """The excess that training reports is then the exact gap, with BOS and without."""
    process, budget = bg.golden_mean(), Budget(steps=30, chunk=1, data="words", snapshots=6, learning_rate=0.05)
    sizes, start = (WITH_BOS, 2) if bos else (SMALL, None)
    learned = learn(tmp_path / "run", process, sizes, budget, context=4, data="golden_mean", bos=bos)
    excess, per_step = learned.history["excess"][:, 0], learned.history["tokens"][0]
    for tokens, params in learned.snapshots.items():
        if tokens < 30 * per_step:  # the excess of a step is that of the params before it
            np.testing.assert_allclose(gap(learned, process, params, start), excess[tokens // per_step], atol=2e-6)
    assert len(learned.snapshots) > 4 and excess[-1] < 0.2 * excess[0]


def test_samples_are_scored_where_the_network_predicts(tmp_path):
    """The floor of fresh samples is the mean of the exact optima after 1..4 tokens, or 0..3 with BOS."""
    process = bg.even()
    for bos, sizes in ((False, SMALL), (True, WITH_BOS)):
        budget = Budget(steps=10, chunk=10, batch=4096)
        learned = learn(tmp_path / str(bos), process, sizes, budget, context=4, data="even", bos=bos)
        floor = (learned.history["loss"] - learned.history["excess"]).item()
        rows = prefixes(process, bg.words(process, 4 - bos), bos=2 if bos else None)
        assert abs(floor - optimal_loss(rows).mean()) < 0.005  # standard error of 40,960 sequences: .0007
        assert learned.history["tokens"].tolist() == [10 * 4096 * 4]


@pytest.mark.parametrize("bos", [False, True])
def test_exact_laws_are_targets_where_the_network_predicts(tmp_path, bos):
    """Before anything is learnt, loss and floor on fresh samples are the exact ones but for the words drawn."""
    process, sizes, start = bg.even(), *((WITH_BOS, 2) if bos else (SMALL, None))
    budget = Budget(steps=10, chunk=10, batch=4096, data="laws", learning_rate=1e-9, optimizer="sgd")
    learned = learn(tmp_path / "run", process, sizes, budget, context=4, data="even", bos=bos)
    excess = learned.history["excess"].item()
    rows = prefixes(process, bg.words(process, 4 - bos), bos=start)
    assert abs(excess - gap(learned, process, learned.untrained, start)[0]) < 0.01
    assert abs(learned.history["loss"].item() - excess - optimal_loss(rows).mean()) < 0.005


def test_several_processes_in_one_program(tmp_path):
    """Leaves [setting, seed]; each setting learns its own process, in the order that is recorded."""
    coins = [bg.coin(0.1), bg.coin(0.9)]
    budget = Budget(steps=100, chunk=50, seeds=2, learning_rate=0.03)
    learned = learn(tmp_path / "run", coins, SMALL, budget, context=4, data="coins")
    assert learned.trained["params"]["unembed"]["bias"].shape == (2, 2, 2)
    for setting, coin in enumerate(coins):
        for params in (jax.tree.map(lambda leaf: leaf[setting], learned.trained),):  # noqa: B023
            assert max(gap(learned, coin, params)) < 0.01
            assert min(gap(learned, coins[1 - setting], params)) > 0.5
    assert runs.load_run(learned.folder, seed=3)(jnp.zeros(4, int))[0].shape == (4, 2)
    with pytest.raises(ValueError, match="process.0.transitions is .* process.1.transitions is"):
        learn(learned.folder, coins[::-1], SMALL, budget, context=4, data="coins")


def test_a_recurrent_network_is_loaded_as_one(tmp_path):
    sizes = RecurrentConfig(vocab_size=2, cell="gru", layers=1, width=4)
    learned = learn(tmp_path / "run", bg.golden_mean(), sizes, SHORT, context=4, data="golden_mean")
    loaded, tokens = runs.load_run(learned.folder, seed=1), jnp.array([1, 0, 1])
    params = jax.tree.map(lambda leaf: leaf[1], learned.trained)
    np.testing.assert_array_equal(loaded(tokens)[0], learned.network.apply(params, tokens)[0])


def test_the_same_call_again_loads_and_trains_nothing(tmp_path, monkeypatch):
    call = lambda: learn(tmp_path / "run", bg.even(), SMALL, SHORT, context=4, data="even")
    first = call()
    monkeypatch.setattr(resumable, "_save", lambda *_: pytest.fail("trained again"))
    again = call()
    jax.tree.map(np.testing.assert_array_equal, first.trained, again.trained)


def test_another_process_of_the_same_name_is_refused(tmp_path):
    budget = Budget(steps=2, chunk=2, batch=2)
    call = lambda process: learn(tmp_path / "run", process, SMALL, budget, context=4, data="x")
    first = call(bg.even())
    jax.tree.map(np.testing.assert_array_equal, call(bg.even()).trained, first.trained)
    for other, differing in (
        (bg.even(0.4), r"process.initial is float32\[2\] \w{16}, asked for float32\[2\] "),
        (bg.even(0.5 + 1e-6), "process.transitions is"),
        (bg.hmm(bg.even().transitions, [1.0, 0.0]), "process.initial is"),
        (bg.coin(0.5), r"process.transitions is float32\[2,2,2\] \w{16}, asked for float32\[2,1,1\] "),
        (bg.ghmm(bg.even().transitions), "process.generalised is bool False, asked for bool True"),
        ([bg.even()], "process.0.class is None, asked for beliefgeo.processes.process.Process"),
    ):
        with pytest.raises(ValueError, match=f"a run of another configuration .*{differing}.*choose another folder"):
            call(other)


def test_a_run_begun_when_processes_were_not_recorded_is_refused(tmp_path):
    call = lambda: learn(tmp_path / "run", bg.even(), SMALL, SHORT, context=4, data="even")
    call()
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    del record["process"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="record does not say its process, as it was begun by an earlier version"):
        call()
    assert runs.load_run(tmp_path / "run").step == 20


def test_an_observer_of_ones_own(tmp_path):
    """Told apart by what it holds and the name of its class; one that hides what it holds is refused."""

    class Coin:
        initial = jnp.ones(1)

        def __init__(self, p, rule=None):
            self.p, self.rule = p, rule

        def predict(self, belief):
            return jnp.array([1 - self.p, self.p])

        def update(self, belief, token):
            return belief

    class Biased(Coin):
        def predict(self, belief):
            return jnp.array([0.5 - self.p, 0.5 + self.p])

    budget = Budget(steps=2, chunk=2, batch=2)
    call = lambda process: learn(tmp_path / "run", process, SMALL, budget, context=4, data="coin")
    jax.tree.map(np.testing.assert_array_equal, call(Coin(0.3)).trained, call(Coin(0.3)).trained)
    with pytest.raises(ValueError, match=r"process.p is float 0.3, asked for float 0.4"):
        call(Coin(0.4))
    with pytest.raises(ValueError, match=r"process.class is \S*Coin, asked for \S*Biased"):
        call(Biased(0.3))
    with pytest.raises(ValueError, match="process 0 does not fit, its arrays are not known to jax: learn it alone"):
        call([Coin(0.3)])
    with pytest.raises(TypeError, match="process.rule is a Generator, which cannot be told from another"):
        call(Coin(0.3, np.random.default_rng(0)))


def test_seeds_on_the_first_axis_of_every_reading(tmp_path):
    learned = learn(tmp_path / "run", bg.even(), SMALL, SHORT, context=4, data="even")
    rows = prefixes(bg.even(), bg.words(bg.even(), 4))
    read = read_networks(learned.network, {"trained": learned.trained, "untrained": learned.untrained}, rows)
    for name, params in (("trained", learned.trained), ("untrained", learned.untrained)):
        one = jax.tree.map(lambda leaf: leaf[1], params)
        alone = evaluate(lambda tokens: learned.network.apply(one, tokens), rows)  # noqa: B023
        np.testing.assert_allclose(read[name].features[1], alone.features, atol=1e-6)


def test_activations_at_every_position_of_every_word(tmp_path):
    learned = learn(tmp_path / "run", bg.even(), SMALL, SHORT, context=4, data="even")
    tokens = jnp.array([[[0, 1, 1], [1, 1, 0]], [[1, 0, 0], [0, 0, 0]]])
    read = read_positions(learned.network, learned.snapshots, tokens)
    assert set(read) == set(learned.snapshots)
    for snapshot, params in learned.snapshots.items():
        assert read[snapshot].shape[:4] == (2, 2, 2, 3)
        for seed, row, column in np.ndindex(2, 2, 2):
            one = jax.tree.map(lambda leaf: leaf[seed], params)  # noqa: B023
            alone = learned.network.apply(one, tokens[row, column])[1]["resid_post"][-1]
            np.testing.assert_allclose(read[snapshot][seed, row, column], alone, atol=1e-6)


def test_positions_of_tokens_that_are_none(tmp_path):
    learned = learn(tmp_path / "run", bg.even(), SMALL, Budget(steps=2, chunk=2, batch=2), context=4, data="even")
    listed = read_positions(learned.network, {"it": learned.trained}, [[0, 1, 1], [1, 1, 0]])["it"]
    given = read_positions(learned.network, {"it": learned.trained}, jnp.array([[0, 1, 1], [1, 1, 0]]))["it"]
    np.testing.assert_array_equal(listed, given)
    for tokens, error, message in (
        ([[0, 1, 2]], ValueError, "must lie in 0..1, the vocabulary of the network; got 2 at position 0, 2"),
        (np.array([[0, 2**32]]), ValueError, "got 4294967296 at position 0, 1"),
        ([[0, 1], [0]], ValueError, "sequences of several lengths"),
        ([[0.0, 1.0]], TypeError, "must be integers; got float64"),
    ):
        with pytest.raises(error, match=message):
            read_positions(learned.network, {"it": learned.trained}, tokens)


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match="vocab_size must be 3 for mess3; got 2"):
        learn(tmp_path / "a", bg.mess3(), SMALL, SHORT, context=4, data="mess3")
    with pytest.raises(ValueError, match="vocab_size must be 3 for even with BOS; got 2"):
        learn(tmp_path / "a", bg.even(), SMALL, SHORT, context=4, data="even", bos=True)
    with pytest.raises(ValueError, match="process 1 does not fit, its type or shapes are not those .*: learn it alone"):
        learn(tmp_path / "a", [bg.even(), bg.coin(0.5)], SMALL, SHORT, context=4, data="several")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="one process at a time"):
        learn(tmp_path / "a", [bg.even()], SMALL, Budget(data="words"), context=4, data="even")
    learn(tmp_path / "b", bg.even(), SMALL, SHORT, context=4, data="even")
    with pytest.raises(ValueError, match="another configuration .data is even, asked for golden_mean"):
        learn(tmp_path / "b", bg.golden_mean(), SMALL, SHORT, context=4, data="golden_mean")
