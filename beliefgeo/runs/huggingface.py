"""A trained transformer as a GPT-2 that Hugging Face's transformers loads, and with it TransformerLens and nnsight."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from beliefgeo.networks.transformer import Transformer, TransformerConfig
from beliefgeo.runs.learn import Learned
from beliefgeo.runs.load import LoadedRun, load_run
from beliefgeo.runs.outputs import versions, write_json
from beliefgeo.runs.safetensors import write_safetensors

# Our names of what an MLP applies, and transformers' names: flax's gelu is the approximation by tanh.
_ACTIVATIONS = {"relu": "relu", "gelu": "gelu_new"}


def export_huggingface(run: LoadedRun | Learned, folder: str | Path) -> Path:
    """Write `config.json` and `model.safetensors`: transformers' `GPT2LMHeadModel`, with the same logits.

    What differs inside:

    * GPT-2 gives every head width / heads dimensions. A narrower head is padded with zeros, and its queries are scaled
      by the root of the ratio, because GPT-2 divides scores by the root of the padded width. Patterns are the same.
    * GPT-2 has no bias after the unembedding. It moves into the bias of the last LayerNorm, so that `final_norm` is
      shifted by a constant vector. All earlier activations are the same.
    * Blocks without an MLP get an MLP of one neuron that writes zeros.

    Args:
        run: a network from `load_run`; or what `learn` returned, of which the first network is taken.
        folder: the new folder, which then loads as `AutoModelForCausalLM.from_pretrained(folder)`. It has no tokenizer:
            tokens are the numbers of the process, and the BOS, if there is one, is the last.

    Returns:
        The folder.

    Raises:
        ValueError: a network that GPT-2 cannot express: one that is not our transformer, one without LayerNorm, heads
            wider than width / heads, or an unembedding whose bias no last LayerNorm can give.

    >>> export_huggingface(load_run("runs/networks/12345678", seed=1), "mess3-gpt2")  # doctest: +SKIP
    """
    loaded = load_run(run.folder) if isinstance(run, Learned) else run
    sizes = _require_gpt2(loaded.network)
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), loaded.params["params"])
    arrays = {name: np.asarray(array, np.float32) for name, array in _gpt2(sizes, weights).items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", _config(sizes, bool(loaded.config.get("bos"))))
    write_safetensors(folder / "model.safetensors", arrays, {"format": "pt", "beliefgeo": versions()["beliefgeo"]})
    return folder


def _require_gpt2(network: Any) -> TransformerConfig:
    """The sizes of a network that GPT-2 can express."""
    if not isinstance(network, Transformer):
        raise ValueError(
            f"GPT-2 is a transformer with LayerNorm before each part; got {type(network).__name__}: export a "
            "networks.Transformer, and of any other network its activations, by runs.export_rows"
        )
    sizes = network.config
    if not sizes.layer_norm:
        raise ValueError("GPT-2 has LayerNorm before each part; got layer_norm=False: train with LayerNorm")
    if sizes.width % sizes.heads or sizes.head_width > sizes.width // sizes.heads:
        raise ValueError(
            f"GPT-2 divides its width among its heads; got width={sizes.width}, heads={sizes.heads} and "
            f"head_width={sizes.head_width}: train with head_width <= width / heads, a whole number"
        )
    return sizes


def _config(sizes: TransformerConfig, bos: bool) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": _ACTIVATIONS[sizes.activation],
        "vocab_size": sizes.vocab_size,
        "n_positions": sizes.context,
        "n_embd": sizes.width,
        "n_layer": sizes.layers,
        "n_head": sizes.heads,
        "n_inner": sizes.mlp_width or 1,
        "layer_norm_epsilon": 1e-6,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": sizes.vocab_size - 1 if bos else None,
        "eos_token_id": None,
        "tie_word_embeddings": False,
        "dtype": "float32",
    }


def _gpt2(sizes: TransformerConfig, weights: Any) -> dict[str, np.ndarray]:
    """All weights by GPT-2's names; its matrices are `[in, out]` as ours, but the unembedding is `[out, in]`."""
    arrays = {"wte.weight": weights["embed"]["embedding"], "wpe.weight": weights["positions"]["embedding"]}
    for layer in range(sizes.layers):
        arrays |= {f"h.{layer}.{name}": array for name, array in _block(sizes, weights[f"block_{layer}"]).items()}
    arrays |= _norm("ln_f", weights["final_norm"])
    unembed = weights["unembed"]
    arrays["ln_f.bias"] = arrays["ln_f.bias"] + _before(unembed["kernel"], unembed["bias"])
    return {f"transformer.{name}": array for name, array in arrays.items()} | {"lm_head.weight": unembed["kernel"].T}


def _before(matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The smallest vector that the matrix takes to the bias."""
    vector = np.linalg.lstsq(matrix.T, bias)[0]
    if (off := abs(vector @ matrix - bias).max()) > 1e-6 * max(1, abs(bias).max()):
        raise ValueError(
            f"GPT-2 has no bias after the unembedding, and no vector before it gives ours: the nearest is {off:.2g} "
            f"off, as {matrix.shape[0]} dimensions are too few for {matrix.shape[1]} tokens; train a wider network"
        )
    return vector


def _block(sizes: TransformerConfig, weights: Any) -> dict[str, np.ndarray]:
    width, room = sizes.width, sizes.width // sizes.heads - sizes.head_width
    attention = weights["attention"]
    scale = {"query": np.sqrt(width / sizes.heads / sizes.head_width), "key": 1.0, "value": 1.0}
    # [in, head, head_width] and [head, head_width], padded and laid flat: queries, then keys, then values
    kernels = [_padded(scale[part] * attention[part]["kernel"], room, 2).reshape(width, width) for part in scale]
    biases = [_padded(scale[part] * attention[part]["bias"], room, 1).reshape(width) for part in scale]
    arrays = _norm("ln_1", weights["attention_norm"])
    arrays |= {"attn.c_attn.weight": np.concatenate(kernels, 1), "attn.c_attn.bias": np.concatenate(biases)}
    arrays["attn.c_proj.weight"] = _padded(attention["output"]["kernel"], room, 1).reshape(width, width)
    arrays["attn.c_proj.bias"] = attention["output"]["bias"]
    if not sizes.mlp_width:
        norm = {"scale": np.ones(width), "bias": np.zeros(width)}
        nothing = {"kernel": np.zeros((width, 1)), "bias": np.zeros(1)}
        weights = {
            "mlp_norm": norm,
            "mlp_in": nothing,
            "mlp_out": {"kernel": np.zeros((1, width)), "bias": norm["bias"]},
        }
    arrays |= _norm("ln_2", weights["mlp_norm"])
    for name, part in (("mlp.c_fc", "mlp_in"), ("mlp.c_proj", "mlp_out")):
        arrays |= {f"{name}.weight": weights[part]["kernel"], f"{name}.bias": weights[part]["bias"]}
    return arrays


def _padded(array: np.ndarray, room: int, axis: int) -> np.ndarray:
    return np.pad(array, [(0, room if one == axis else 0) for one in range(array.ndim)])


def _norm(name: str, weights: Any) -> dict[str, np.ndarray]:
    return {f"{name}.weight": weights["scale"], f"{name}.bias": weights["bias"]}
