"""What a stranger brings: a process, a network of any framework, an optimiser, a probe, a control, a command."""

import json

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import networkx
import numpy as np
import optax
import pytest

import beliefgeo as bg
from beliefgeo import networks, probes, reading, runs
from beliefgeo.plots import clouds, scores
from beliefgeo.runs import command

KEY = jax.random.key(0)
CONTEXT = 5


@pytest.fixture(scope="module")
def rows():
    return reading.rows(KEY, bg.rrxor(), CONTEXT)


def causal_model(tokens):
    """A model of no framework: what was read, as numbers of two decays, and logits from it. NumPy alone."""
    ahead = np.tril(np.ones((tokens.shape[1],) * 2))
    lag = np.arange(tokens.shape[1])[:, None] - np.arange(tokens.shape[1])
    hidden = np.stack([(ahead * decay**lag) @ (2 * tokens - 1.0)[..., None] for decay in (0.5, -0.5)], -1)[..., 0, :]
    return hidden @ np.array([[0.3, -0.3], [0.1, -0.1]]), hidden


def test_a_model_of_another_framework_gets_all_controls(rows):
    logits, hidden = causal_model(rows.tokens)
    network = reading.of_arrays(rows, logits, {"hidden": hidden})
    card = probes.scorecard(network, rows, key=KEY, shuffles=5)
    assert card.sites["hidden"].by_count.held_out < 0.6 and card.law.rank == (2, 5) and "hidden" in str(card)
    # Aligned: the rows of the last position are what the model holds there.
    last = rows.length == CONTEXT
    np.testing.assert_allclose(network.features["hidden"][last], hidden[rows.word[last], -1], rtol=1e-6)
    assert scores.scorecard(card)._repr_png_().startswith(b"\x89PNG")  # a notebook shows it without a magic line


def test_a_torch_module_gets_all_controls(rows):
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = torch.nn.GRU(2, 8, batch_first=True), torch.nn.Linear(8, 2)

        def forward(self, tokens):
            hidden, _ = self.cell(torch.nn.functional.one_hot(tokens, 2).float())
            return self.out(hidden), hidden

    logits, hidden = Model()(torch.as_tensor(rows.tokens, dtype=torch.int64))  # tensors that carry gradients
    network = reading.of_arrays(rows, logits, {"hidden": hidden})
    np.testing.assert_allclose(network.features["hidden"][0], hidden.detach().numpy()[0, 0], rtol=1e-6)
    assert probes.scorecard(network, rows, key=KEY, shuffles=2).losses.gap > 0


class Counter(nnx.Module):
    """An nnx network: the next token from what was read so far."""

    def __init__(self, rngs):
        self.embed, self.out = nnx.Embed(2, 8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, tokens):
        hidden = jnp.tanh(jnp.cumsum(self.embed(tokens), 0))
        return self.out(hidden), {"hidden": hidden}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    budget = runs.Budget(steps=40, batch=16, chunk=20, seeds=2)
    folder = tmp_path_factory.mktemp("learned") / "run"
    lion = ("lion .01", optax.lion(0.01))
    return runs.learn(
        KEY, bg.even(), networks.from_nnx(Counter), budget, context=CONTEXT, optimizer=lion, folder=folder
    )


def test_an_nnx_module_learns_by_an_optimiser_of_ones_own_and_is_loaded(learned):
    assert (learned.history.excess[-1] < learned.history.excess[0]).all()
    assert json.loads((learned.folder / "config.json").read_text())["budget"]["optimizer"] == "lion .01"
    loaded = runs.load_run(learned.folder, networks.from_nnx(Counter), seed=1)
    expected, _ = learned.network.apply(learned.trained.seeds[1], jnp.array([0, 1, 1]))
    np.testing.assert_array_equal(loaded([0, 1, 1])[0], expected)


def test_every_seed_is_read_and_scored_in_a_line(learned):
    rows = reading.rows(KEY, bg.even(), CONTEXT)
    card = reading.each(learned.trained, rows, lambda one: probes.scorecard(one, rows, key=KEY, shuffles=2))
    assert card.losses.gap.values.shape == (2,) and card.sites["hidden"].by_count.held_out.interval.shape == (2,)


def test_steering_patching_and_ablation_are_edits(learned):
    sizes = networks.TransformerConfig(2, CONTEXT, layers=1, width=8, heads=1, head_width=4, mlp_width=8)
    network, tokens = networks.Transformer(sizes), jnp.array([0, 1, 1])
    params = network.init(KEY, tokens)
    logits, sites = network.apply(params, tokens)
    ablate = lambda site, layer, value: jnp.zeros_like(value) if site == "resid_post" else value
    assert not np.allclose(network.apply(params, tokens, ablate)[0], logits)
    patch = lambda site, layer, value: sites["embed"] if site == "embed" else value
    np.testing.assert_allclose(network.apply(params, jnp.array([1, 0, 0]), patch)[0], logits, rtol=1e-6)
    with pytest.raises(ValueError, match="edit"):  # the stranger's module takes none, and says so
        learned.network.apply(learned.trained.seeds[0], tokens, ablate)


def test_a_student_writes_edges_and_text_and_keeps_them(tmp_path):
    even = bg.from_edges([("A", "0", "A", 0.5), ("A", "1", "B", 0.5), ("B", "1", "A", 1.0)])
    assert even.state_names == ("A", "B") and even.token_names == ("0", "1")
    assert float(bg.log_probability(even, "0110")) == pytest.approx(float(bg.log_probability(bg.even(), [0, 1, 1, 0])))
    assert float(bg.log_probability(bg.golden_mean(), "0101")) == pytest.approx(
        float(bg.log_probability(bg.golden_mean(), [0, 1, 0, 1]))
    )
    with pytest.raises(ValueError, match="'x'"):
        bg.filter_beliefs(even, "0x1")
    text = "".join("AB"[token] for token in np.asarray(bg.sample(KEY, bg.golden_mean(), 4000).tokens))
    found = bg.infer_causal_states(text, 3).process
    assert found.n_states == 2 and float(bg.log_probability(found, "ABBA")) == -np.inf
    even.save(tmp_path / "even.json")
    again = bg.load_process(tmp_path / "even.json")
    assert again.state_names == even.state_names
    np.testing.assert_array_equal(again.transitions, even.transitions)
    graph = bg.to_networkx(even)
    assert isinstance(graph, networkx.MultiDiGraph) and set(graph.nodes) == {"A", "B"} and len(graph.edges) == 3


SMALL = ["--context", "4", "--layers", "1", "--batch", "8", "--chunk", "10", "--shuffles", "1", "--snapshots", "1"]
FIELDS = [*SMALL, "--optimizer", "adam", "--width", "8"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A process of one's own, in a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")  # the tests' own stay as they are
    bg.golden_mean().save("mine.json")


def test_an_experimenter_runs_a_process_of_their_own(mine, tmp_path, capsys):
    command.command(["run", "mine.json", *FIELDS, "--learning-rate", "0.01", "--steps", "10"])
    said = capsys.readouterr().out
    (folder,) = (tmp_path / "runs" / "mine").iterdir()
    assert {"results.json", "scorecard.png", "beliefs.png", "training.png"} <= {path.name for path in folder.iterdir()}
    assert "trained now" in said and "held out, best site: R2" in said


@pytest.mark.slow
def test_an_experimenter_trains_longer_and_sweeps(mine, tmp_path, capsys):
    command.command(["run", "mine.json", *FIELDS, "--learning-rate", "0.01", "--steps", "10"])
    # Longer: ten steps more of the same training, whose rate stays.
    command.command(["run", "mine.json", *FIELDS, "--learning-rate", "0.01", "--steps", "20"])
    assert len(list((tmp_path / "runs" / "networks").iterdir())) == 1
    capsys.readouterr()
    command.command(["sweep", "mine.json", *FIELDS, "--learning-rate", "0.01", "0.02", "--steps", "20"])
    said = capsys.readouterr().out
    assert "trained before" in said and "trained now" in said  # at the first rate, and at the second
    assert "--learning-rate 0.01: loss above" in said and "--learning-rate 0.02: loss above" in said
    assert len(list((tmp_path / "runs" / "networks").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "beliefgeo run PROCESS"),
        (["walk"], "error: got walk; usage:"),
        (["run", "nowhere.json"], "nowhere.json"),
        (["sweep", "mine.json", "8"], "error: 8 is the value of no field"),
        (["sweep", "mine.json", "--width"], "error: --width has no value; list one or more"),
    ],
)
def test_mistakes_at_the_command_are_one_sentence(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    with pytest.raises(SystemExit, match=message):
        command.command(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("process", "label"),
    [
        (bg.golden_mean(), "segment"),
        (bg.mess3(), "triangle"),
        (bg.mess(0.1, 0.6, 5), "principal"),
        (bg.mess(0.1, 0.6, 4), "tetrahedron"),
        (bg.rrxor(), "principal"),
        (bg.bloch_walk(), "principal"),
    ],
)
def test_beliefs_of_any_number_of_states_have_a_picture(process, label):
    rows = reading.rows(KEY, process, 4)
    plane = clouds.plane_of(rows.beliefs, rows.counts)
    assert label in plane.label and plane(rows.beliefs).shape == (len(rows.word), 2)
    if label == "principal":  # it says how much of the variance it holds
        components = probes.principal_components(rows.beliefs, rows.counts)
        assert f"{float(components.cumulative[1]):.0%}" in plane.label
    else:  # corners are where pure beliefs lie
        corners = plane(np.eye(rows.beliefs.shape[1]))
        assert all(abs(corners - end).sum(1).min() < 1e-6 for edge in plane.edges for end in edge)
    assert clouds.belief_panels({"exact": rows.beliefs, "again": rows.beliefs})._repr_png_().startswith(b"\x89PNG")


def test_processes_of_different_size_are_one_batch():
    each = [bg.coin(0.3), bg.golden_mean(), bg.mess3(), bg.rrxor()]
    stacked, tokens = bg.stack(each), jnp.array([0, 1, 0, 0])
    together = jax.vmap(bg.log_probability, (0, None))(stacked, tokens)
    np.testing.assert_allclose(together, [bg.log_probability(one, tokens) for one in each], rtol=1e-5)
    assert float(jax.vmap(bg.log_probability, (0, None))(stacked, jnp.array([2]))[0]) == -np.inf
