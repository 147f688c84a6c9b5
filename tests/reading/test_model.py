"""Models of PyTorch as readings: ours there and back, and GPT-2 with a vocabulary of its own."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import networks, probes, reading, runs

pytestmark = pytest.mark.filterwarnings("ignore")  # of imports
KEY = jax.random.key(0)
SIZES = networks.TransformerConfig(3, context=5, layers=2, width=12, heads=2, head_width=4, mlp_width=16)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder, our reading and the rows; token 2 is the BOS."""
    network = networks.Transformer(SIZES)
    params = network.init(KEY, jnp.zeros(5, int))
    rows = reading.rows(KEY, bg.even(), 5, bos=2)
    folder = tmp_path_factory.mktemp("gpt2") / "new"
    runs.export_huggingface(runs.LoadedRun({"bos": True}, network, params, 0), folder)
    return folder, reading.read(network, params, rows), rows


def test_there_and_back_by_transformers(torch, exported):
    transformers, (folder, ours, rows) = pytest.importorskip("transformers"), exported
    theirs = reading.of_model(transformers.AutoModelForCausalLM.from_pretrained(folder).eval(), rows, batch=3)
    np.testing.assert_allclose(theirs.log_laws, ours.log_laws, atol=1e-5)
    assert [*theirs.features] == ["embed", "layer 1", "final norm"]
    for site in ("embed", "layer 1"):
        np.testing.assert_allclose(theirs.features[site], ours.features[site], atol=1e-5)
    shift = theirs.features["final norm"] - ours.features["final norm"]
    np.testing.assert_allclose(shift, shift[:1].repeat(len(shift), 0), atol=1e-5)


def test_there_and_back_by_transformer_lens(torch, exported):
    lens, (folder, ours, rows) = pytest.importorskip("transformer_lens.model_bridge"), exported
    model = lens.TransformerBridge.boot_transformers(str(folder), device="cpu").eval()
    theirs = reading.of_model(model, rows)
    np.testing.assert_allclose(theirs.log_laws, ours.log_laws, atol=1e-5)
    assert [*theirs.features] == [*ours.features]
    for site in ("embed", "layer 1", "layer 2"):
        np.testing.assert_allclose(theirs.features[site], ours.features[site], atol=1e-5)


class Counting:
    """The least model: its logits are the position for the token read, and its residual stream tells both."""

    def __init__(self, torch, vocab):
        self.torch, self.vocab, self.training = torch, vocab, False
        self.config = SimpleNamespace(vocab_size=vocab)

    def parameters(self):
        return iter([self.torch.zeros(1, dtype=self.torch.bfloat16)])

    def __call__(self, words, output_hidden_states):
        assert output_hidden_states and words.dtype == self.torch.long
        at = self.torch.arange(words.shape[1])[None].expand_as(words)
        logits = at[..., None] * self.torch.nn.functional.one_hot(words, self.vocab)
        held = self.torch.stack([words, at], -1).bfloat16()
        return SimpleNamespace(logits=logits.bfloat16(), hidden_states=(held, -held, 2 * held))


def test_tokens_are_mapped_and_the_rest_is_one_column(torch):
    rows = reading.rows(KEY, bg.golden_mean(), 4, bos=9)
    found = reading.of_model(Counting(torch, 12), rows, [7, 4], batch=2)
    last = np.where(rows.length > 0, np.array([7, 4])[rows.last_token], 9)
    np.testing.assert_array_equal(found.features["embed"], np.stack([last, rows.position], 1))
    np.testing.assert_array_equal(found.features["final norm"], 2 * found.features["embed"])
    raised = np.exp(rows.position)  # the model's odds for the token that it read last, against 1 for each of 11 others
    for column, token in ((0, 7), (1, 4)):
        expected = np.where(last == token, raised, 1) / (raised + 11)
        np.testing.assert_allclose(np.exp(found.log_laws[:, column]), expected, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found.log_laws).sum(1), 1, rtol=1e-5)
    assert found.log_laws.shape[1] == 3 and (reading.loss_gap(rows, found.log_laws) > 0.5).all()


def test_mistakes(torch):
    rows, model = reading.rows(KEY, bg.golden_mean(), 2), Counting(torch, 12)
    for tokens in ([1], [1, 1], [-1, 2]):
        with pytest.raises(ValueError, match="2 different numbers"):
            reading.of_model(model, rows, tokens)
    with pytest.raises(ValueError, match=r"knows tokens 0..11; got 12"):
        reading.of_model(model, rows, [0, 12])
    model.training = True
    with pytest.raises(ValueError, match=r"call model.eval\(\) first"):
        reading.of_model(model, rows)


def gpt2(context):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=8, n_positions=context, n_layer=3, n_embd=32, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=7, eos_token_id=None, use_cache=False,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def test_a_gpt2_of_random_weights(torch):
    torch.manual_seed(0)
    rows = reading.rows(KEY, bg.mess3(), 6, bos=7)
    found = reading.of_model(gpt2(6).eval(), rows, [4, 0, 2])
    np.testing.assert_allclose(np.exp(found.log_laws).sum(1), 1, rtol=1e-5)
    assert reading.losses(found, rows).gap > 0.5  # five of its eight tokens never come


@pytest.mark.slow
def test_a_gpt2_trained_on_mess3_holds_its_beliefs(torch):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows, numbers, model = reading.rows(KEY, bg.mess3(), 8, bos=7), np.array([4, 0, 2]), gpt2(8)
    before = reading.of_model(model.eval(), rows, numbers.tolist())
    drawn = jax.jit(jax.vmap(lambda key: bg.sample(key, bg.mess3(), 8).tokens))(jax.random.split(KEY, 600 * 64))
    words = np.concatenate([np.full((len(drawn), 1), 7), numbers[np.asarray(drawn)]], 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for batch in torch.as_tensor(words).split(64):
        logits = model(batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = reading.of_model(model.eval(), rows, numbers.tolist())
    assert reading.losses(after, rows).gap < 0.02 < 0.5 < reading.losses(before, rows).gap
    score = lambda found: float(probes.held_out(found.features["layer 2"], rows, rows.counts).r2)
    assert score(after) > 0.95 and score(after) > score(before)
