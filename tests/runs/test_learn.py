import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo import reading, runs
from beliefgeo.networks import RecurrentConfig, TransformerConfig, from_equinox
from beliefgeo.runs import Budget, learn, learn_several, load_run, resumable
from tests.cases import some_slow
from tests.runs import gpt2

SMALL = TransformerConfig(vocab_size=2, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
WITH_BOS = TransformerConfig(vocab_size=3, context=4, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
SHORT = Budget(steps=20, chunk=10, batch=16, seeds=2)
KEY = jax.random.key(0)


def rows_of(process, bos=None):
    return reading.rows(KEY, process, 4, bos=bos)


def gap(checkpoint, process, bos=None):
    rows = rows_of(process, bos)
    return reading.each(checkpoint, rows, lambda network: reading.losses(network, rows).gap).values


@pytest.mark.parametrize("bos", [pytest.param(False, marks=pytest.mark.slow), True])
def test_all_words_in_every_step_give_the_exact_loss(tmp_path, bos):
    """The excess that training reports is then the exact gap, with BOS and without."""
    process, budget = bg.golden_mean(), Budget(steps=30, chunk=1, data="words", snapshots=6, learning_rate=0.05)
    sizes, start = (WITH_BOS, 2) if bos else (SMALL, None)
    learned = learn(KEY, process, sizes, budget, context=4, bos=bos, folder=tmp_path / "run")
    excess, per_step = learned.history.excess[:, 0], learned.tokens[0]
    for shot in learned.checkpoints[:-1]:  # the excess of a step is that of the params before it
        np.testing.assert_allclose(gap(shot, process, start), excess[shot.tokens // per_step], atol=2e-6)
    assert len(learned.checkpoints) > 4 and excess[-1] < 0.2 * excess[0]
    if bos:  # what was learnt is exported: its first network at the end
        folder, word = runs.export_huggingface(learned, tmp_path / "gpt2"), jnp.array([2, 0, 1, 0])
        expected, _ = learned.network.apply(learned.trained.seeds[0], word)
        np.testing.assert_allclose(gpt2.logits(folder, word), expected, atol=1e-5)


@pytest.mark.slow
def test_samples_are_scored_where_the_network_predicts(tmp_path):
    """The floor of fresh samples is the mean of the exact optima after 1..4 tokens, or 0..3 with BOS."""
    process = bg.even()
    for bos, sizes in ((False, SMALL), (True, WITH_BOS)):
        budget = Budget(steps=10, chunk=10, batch=4096)
        learned = learn(KEY, process, sizes, budget, context=4, bos=bos, folder=tmp_path / str(bos))
        floor = (learned.history.loss - learned.history.excess).item()
        optimum = reading.optimal_loss(rows_of(process, 2 if bos else None)).mean()
        assert abs(floor - optimum) < 0.005  # standard error of 40,960 sequences: .0007
        assert learned.tokens.tolist() == [10 * 4096 * 4]


@pytest.mark.parametrize("bos", some_slow([False, True], (False,)))
def test_exact_laws_are_targets_where_the_network_predicts(tmp_path, bos):
    """Before anything is learnt, loss and floor on fresh samples are the exact ones but for the words drawn."""
    process, sizes, start = bg.even(), *((WITH_BOS, 2) if bos else (SMALL, None))
    budget = Budget(steps=10, chunk=10, batch=4096, data="laws", learning_rate=1e-9, optimizer="sgd")
    learned = learn(KEY, process, sizes, budget, context=4, bos=bos, folder=tmp_path / "run")
    excess = learned.history.excess.item()
    assert abs(excess - gap(learned.untrained, process, start)[0]) < 0.01
    optimum = reading.optimal_loss(rows_of(process, start)).mean()
    assert abs(learned.history.loss.item() - excess - optimum) < 0.005


@pytest.mark.parametrize("bos", some_slow([False, True], (False,)))
def test_quasirandom_sequences_have_the_same_law_and_less_noise(tmp_path, bos):
    """Of all 2^10 sequences of one step the words are spread evenly: the floor is the optimum within 1e-3."""
    process, sizes, start = bg.even(), *((WITH_BOS, 2) if bos else (SMALL, None))
    budget = Budget(steps=2, chunk=2, batch=1024, data="quasirandom", learning_rate=1e-9, optimizer="sgd")
    learned = learn(KEY, process, sizes, budget, context=4, bos=bos, folder=tmp_path / "run")
    floor = (learned.history.loss - learned.history.excess).item()
    assert abs(floor - reading.optimal_loss(rows_of(process, start)).mean()) < 2e-3


def test_several_processes_in_one_program(tmp_path):
    """Each learns its own process, in the order that is recorded."""
    coins = [bg.coin(0.1), bg.coin(0.9)]
    budget = Budget(steps=100, chunk=50, seeds=2, learning_rate=0.03)
    each = learn_several(KEY, coins, SMALL, budget, context=4, folder=tmp_path / "run")
    assert each[1].trained.params["params"]["unembed"]["bias"].shape == (2, 2)
    for learned, own, other in zip(each, coins, coins[::-1], strict=True):
        assert gap(learned.trained, own).max() < 0.01 and gap(learned.trained, other).min() > 0.5
        assert learned.history.loss.shape == (2, 2) and learned.history.excess[-1].max() < 0.05
    assert load_run(each[0].folder, seed=3)(jnp.zeros(4, int))[0].shape == (4, 2)
    with pytest.raises(ValueError, match="process.0.transitions is .* process.1.transitions is"):
        learn_several(KEY, coins[::-1], SMALL, budget, context=4, folder=each[0].folder)


def test_a_recurrent_network_is_loaded_as_one(tmp_path):
    sizes = RecurrentConfig(vocab_size=2, cell="gru", layers=1, width=4)
    learned = learn(KEY, bg.golden_mean(), sizes, SHORT, context=4, folder=tmp_path / "run")
    loaded, tokens = load_run(learned.folder, seed=1), jnp.array([1, 0, 1])
    np.testing.assert_array_equal(loaded(tokens)[0], learned.network.apply(learned.trained.seeds[1], tokens)[0])


def test_the_same_call_again_loads_and_trains_nothing(tmp_path, monkeypatch):
    logged = {}
    log = lambda metrics, step: logged.update({step: metrics})  # as wandb and trackio take them
    call = lambda: learn(KEY, bg.even(), SMALL, SHORT, context=4, folder=tmp_path / "run", log=log)
    first = call()
    assert [*logged] == [10, 20] == first.history.step.tolist()
    losses = [[one["loss"], one["loss/0"], one["loss/1"]] for one in logged.values()]
    np.testing.assert_allclose(losses, np.column_stack([first.history.loss.mean(1), first.history.loss]), rtol=1e-5)
    assert [one["excess/1"] for one in logged.values()] == pytest.approx(first.history.excess[:, 1].tolist(), rel=1e-5)
    logged.clear()
    monkeypatch.setattr(resumable, "_save", lambda *_: pytest.fail("trained again"))
    again = call()
    assert not logged
    assert again.reused and not first.reused
    jax.tree.map(np.testing.assert_array_equal, first.trained.params, again.trained.params)


def test_another_process_of_the_same_name_is_refused(tmp_path):
    budget = Budget(steps=2, chunk=2, batch=2)
    call = lambda process: learn(KEY, process, SMALL, budget, context=4, folder=tmp_path / "run")
    first = call(bg.even())
    jax.tree.map(np.testing.assert_array_equal, call(bg.even()).trained.params, first.trained.params)
    for other, differing in (
        (bg.even(0.4), r"process.0.initial is float32\[2\] \w{16}, asked for float32\[2\] "),
        (bg.even(0.5 + 1e-6), "process.0.transitions is"),
        (bg.hmm(bg.even().transitions, [1.0, 0.0]), "process.0.initial is"),
        (bg.coin(0.5), r"process.0.transitions is float32\[2,2,2\] \w{16}, asked for float32\[2,1,1\] "),
        (bg.ghmm(bg.even().transitions), "process.0.generalised is bool False, asked for bool True"),
    ):
        with pytest.raises(ValueError, match=f"a run of another configuration .*{differing}.*choose another folder"):
            call(other)


@pytest.mark.slow
def test_a_run_begun_when_processes_were_not_recorded_is_refused(tmp_path):
    call = lambda: learn(KEY, bg.even(), SMALL, SHORT, context=4, folder=tmp_path / "run")
    call()
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    del record["process"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="record does not say its process, as it was begun by an earlier version"):
        call()
    assert load_run(tmp_path / "run").step == 20


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
    call = lambda process: learn(KEY, process, SMALL, budget, context=4, folder=tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, call(Coin(0.3)).trained.params, call(Coin(0.3)).trained.params)
    with pytest.raises(ValueError, match=r"process.0.p is float 0.3, asked for float 0.4"):
        call(Coin(0.4))
    with pytest.raises(ValueError, match=r"process.0.class is \S*Coin, asked for \S*Biased"):
        call(Biased(0.3))
    with pytest.raises(ValueError, match="process 0 does not fit, its arrays are not known to jax: learn it alone"):
        learn_several(KEY, [Coin(0.3)] * 2, SMALL, budget, context=4, folder=tmp_path / "several")
    with pytest.raises(TypeError, match="process 0.rule is a Generator, which cannot be told from another"):
        call(Coin(0.3, np.random.default_rng(0)))


def test_positions_of_tokens_that_are_none(tmp_path):
    learned = learn(KEY, bg.even(), SMALL, Budget(steps=2, chunk=2, batch=2), context=4, folder=tmp_path / "run")
    network, (params,) = learned.network, learned.trained.seeds
    listed = reading.read_words(network, params, [[0, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(listed, reading.read_words(network, params, jnp.array([[0, 1, 1], [1, 1, 0]])))
    for tokens, error, message in (
        ([[0, 1, 2]], ValueError, "must lie in 0..1, the vocabulary of the network; got 2 at position 0, 2"),
        (np.array([[0, 2**32]]), ValueError, "got 4294967296 at position 0, 1"),
        ([[0, 1], [0]], ValueError, "sequences of several lengths"),
        ([[0.0, 1.0]], TypeError, "must be integers; got float64"),
    ):
        with pytest.raises(error, match=message):
            reading.read_words(network, params, tokens)


class Bag(eqx.Module):
    """A network of one's own: the next token from how often each was read."""

    weight: jax.Array
    width: int = eqx.field(static=True)

    def __init__(self, key, width=2):
        self.weight, self.width = jax.random.normal(key, (width, 2)), width

    def __call__(self, tokens):
        seen = jnp.cumsum(jax.nn.one_hot(tokens, self.width), 0)
        return seen @ self.weight, {"seen": seen}


def test_a_network_and_an_optimiser_of_ones_own(tmp_path):
    network, coin = from_equinox(Bag), bg.coin(0.9)
    lion = ("lion .03", optax.lion(0.03))
    budget = Budget(steps=60, chunk=20, batch=16, seeds=2)
    call = lambda optimizer: learn(KEY, coin, network, budget, context=4, optimizer=optimizer, folder=tmp_path / "run")
    learned = call(lion)
    assert (learned.history.excess[-1] < learned.history.excess[0]).all() and not learned.reused
    assert call(lion).reused
    with pytest.raises(ValueError, match="budget.optimizer is lion .03, asked for lion .01"):
        call(("lion .01", optax.lion(0.01)))
    with pytest.raises(ValueError, match="budget.numbers of the optimizer is"):  # of the same name
        call(("lion .03", optax.lion(0.01)))
    with pytest.raises(ValueError, match=r"cannot rebuild its network .*: pass it, load_run\(folder, network\)"):
        load_run(learned.folder)
    loaded = load_run(learned.folder, network, seed=1)
    tokens = jnp.array([1, 1, 0, 1])
    np.testing.assert_array_equal(loaded(tokens)[0], network.apply(learned.trained.seeds[1], tokens)[0])
    with pytest.raises(ValueError, match="must lie in 0..1, the vocabulary of the network; got 2"):
        loaded([0, 2])
    with pytest.raises(ValueError, match="holds another network"):
        load_run(learned.folder, from_equinox(lambda key: Bag(key, 3)))


def test_networks_asked_for_twice_are_trained_once(tmp_path):
    call = lambda process, budget=SHORT, key=KEY: learn(key, process, SMALL, budget, context=4, root=tmp_path)
    first = call(bg.even())
    assert call(bg.even()).reused and call(bg.even()).folder == first.folder
    others = [call(bg.golden_mean(), key=jax.random.key(1)), call(bg.even(), Budget(10, 16, chunk=10))]
    assert len({first.folder, *(other.folder for other in others)}) == 3 and not any(one.reused for one in others)


@pytest.mark.slow
def test_of_a_rate_that_stays_a_longer_training_continues_a_shorter(tmp_path):
    """A shorter one afterwards is another."""
    call = lambda process, budget: learn(KEY, process, SMALL, budget, context=4, root=tmp_path)
    steady = lambda steps: call(bg.even(), Budget(steps, 16, chunk=10, optimizer="sgd"))
    ten, twenty, again = steady(10), steady(20), steady(10)
    assert ten.folder == twenty.folder != again.folder and again.trained.tokens == 10 * 16 * 4
    jax.tree.map(np.testing.assert_array_equal, ten.trained.params, again.trained.params)


@pytest.mark.slow
def test_training_goes_on_where_the_rate_stays(tmp_path):
    """Twenty steps of Adam, then twenty more: bit for bit forty at once."""
    budget = lambda steps, name="adam": Budget(steps, 16, chunk=10, optimizer=name)
    call = lambda steps, where, name="adam": learn(
        KEY, bg.even(), SMALL, budget(steps, name), context=4, folder=tmp_path / where
    )
    call(20, "a")
    longer, at_once = call(40, "a"), call(40, "b")
    assert not longer.reused and longer.trained.tokens == at_once.trained.tokens == 40 * 16 * 4
    jax.tree.map(np.testing.assert_array_equal, longer.trained.params, at_once.trained.params)
    call(20, "c", "nadam")
    with pytest.raises(ValueError, match="nadam's rate follows a cosine over its 20 steps: .*adam, adamw or"):
        call(40, "c", "nadam")


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match="vocab_size must be 3, the tokens of the process; got 2"):
        learn(KEY, bg.mess3(), SMALL, SHORT, context=4, folder=tmp_path / "a")
    with pytest.raises(ValueError, match="vocab_size must be 3, the tokens and BOS of the process; got 2"):
        learn(KEY, bg.even(), SMALL, SHORT, context=4, bos=True, folder=tmp_path / "a")
    with pytest.raises(ValueError, match="process 1 does not fit, its type or shapes are not those .*: learn it alone"):
        learn_several(KEY, [bg.even(), bg.coin(0.5)], SMALL, SHORT, context=4, folder=tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="are those of one process: choose data='samples'"):
        learn_several(KEY, [bg.even()] * 2, SMALL, Budget(data="words"), context=4, folder=tmp_path / "a")
    learn(KEY, bg.even(), SMALL, SHORT, context=4, folder=tmp_path / "b")
    with pytest.raises(ValueError, match="another configuration .process.0.transitions is"):
        learn(KEY, bg.golden_mean(), SMALL, SHORT, context=4, folder=tmp_path / "b")
