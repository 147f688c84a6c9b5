"""Our transformer as a GPT-2: the same logits, by NumPy here and by the packages where they are installed."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from beliefgeo.networks import Recurrent, RecurrentConfig, Transformer, TransformerConfig
from beliefgeo.runs import LoadedRun
from beliefgeo.runs.huggingface import export_huggingface
from tests.runs import gpt2

SIZES = [
    pytest.param(TransformerConfig(), marks=pytest.mark.slow, id="published"),
    pytest.param(TransformerConfig(5, 6, 2, width=24, heads=3, head_width=5, mlp_width=20), id="narrow heads"),
    pytest.param(TransformerConfig(4, 5, 1, 8, 2, head_width=4, mlp_width=8, activation="gelu"), id="full heads"),
    pytest.param(TransformerConfig(4, 5, 1, width=8, head_width=4, mlp_width=0), id="attention alone"),
]


def drawn(sizes, **config):
    """A network whose every number is drawn, biases and scales too."""
    network, rng = Transformer(sizes), np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(1, int))
    params = jax.tree.map(lambda leaf: rng.normal(0.1, 0.3, leaf.shape).astype(np.float32), shapes)
    return LoadedRun(config, network, params, 0)


@pytest.fixture(scope="module", params=SIZES)
def exported(request, tmp_path_factory):
    """The folder, words, and our logits of them."""
    run, folder = drawn(request.param, bos=True), tmp_path_factory.mktemp("gpt2") / "new"
    tokens = np.random.default_rng(1).integers(0, request.param.vocab_size, (4, request.param.context))
    apply = jax.jit(lambda word: run.network.apply(run.params, word)[0])
    return export_huggingface(run, folder), tokens, np.stack([apply(word) for word in tokens])


def test_logits_by_numpy(exported):
    folder, tokens, logits = exported
    # Float32 rounds a sum of a hundred terms of a few units.
    for word, expected in zip(tokens, logits, strict=True):
        np.testing.assert_allclose(gpt2.logits(folder, word), expected, atol=1e-5)
    config = json.loads((folder / "config.json").read_text())
    assert config["bos_token_id"] == config["vocab_size"] - 1


def test_every_size_is_exported_or_refused():
    """A field more in the sizes is a network that this export does not know; `detached` changes gradients alone."""
    known = ("vocab_size", "context", "layers", "width", "heads", "head_width", "mlp_width", "activation", "layer_norm")
    assert {field.name for field in dataclasses.fields(TransformerConfig)} == {*known, "detached"}


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (TransformerConfig(layers=1, layer_norm=False), "LayerNorm before each part; got layer_norm=False"),
        (TransformerConfig(layers=1, heads=3), "got width=64, heads=3 and head_width=8"),
        (TransformerConfig(layers=1, width=8, heads=2), "train with head_width <= width / heads"),
        (TransformerConfig(20, layers=1, width=8, heads=1), "8 dimensions are too few for 20 tokens"),
    ],
)
def test_what_gpt2_cannot_express(sizes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_huggingface(drawn(sizes), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_recurrent_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got Recurrent: export a networks.Transformer"):
        export_huggingface(LoadedRun({}, Recurrent(RecurrentConfig(3)), None, 0), tmp_path / "new")


@pytest.mark.filterwarnings("ignore")
def test_logits_by_transformers(exported):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder, tokens, logits = exported
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.as_tensor(tokens)).logits, logits, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_logits_by_transformer_lens(exported):
    torch, bridge = pytest.importorskip("torch"), pytest.importorskip("transformer_lens.model_bridge")
    folder, tokens, logits = exported
    model = bridge.TransformerBridge.boot_transformers(str(folder), device="cpu")
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.as_tensor(tokens)), logits, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_logits_by_nnsight(exported):
    torch, nnsight = pytest.importorskip("torch"), pytest.importorskip("nnsight")
    folder, tokens, logits = exported
    transformers = pytest.importorskip("transformers")
    model = nnsight.NNsight(transformers.AutoModelForCausalLM.from_pretrained(folder))
    with torch.no_grad(), model.trace(torch.as_tensor(tokens)):
        found = model.lm_head.output.save()
    np.testing.assert_allclose(found, logits, atol=1e-5)
