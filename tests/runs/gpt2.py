"""GPT-2 written out in NumPy from its files, as its paper and transformers' configuration describe it."""

import json

import numpy as np


def read_safetensors(path):
    """The arrays of a file by name, and its metadata: the format has no more to it."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    about = header.pop("__metadata__")
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "BOOL": "?"}
    found = {}
    for name, told in header.items():
        start, end = told["data_offsets"]
        found[name] = np.frombuffer(content[begin + start : begin + end], types[told["dtype"]]).reshape(told["shape"])
    assert begin + max(end for *_, (_, end) in (told.values() for told in header.values())) == len(content)
    return found, about


def logits(folder, tokens):
    """`[time, vocab]` of one sequence."""
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"] and config["tie_word_embeddings"] is False
    held, about = read_safetensors(folder / "model.safetensors")
    assert about["format"] == "pt"  # without it transformers refuses the file
    weights = {name.removeprefix("transformer."): array.astype(np.float64) for name, array in held.items()}
    apply = {
        "relu": lambda x: np.maximum(x, 0),
        "gelu_new": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    }[config["activation_function"]]
    affine = lambda x, name: x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_epsilon"])
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    time, width = len(tokens), config["n_embd"]
    residual = weights["wte.weight"][tokens] + weights["wpe.weight"][:time]
    ahead = np.triu(np.ones((time, time), bool), 1)
    for layer in range(config["n_layer"]):
        joint = affine(norm(residual, f"h.{layer}.ln_1"), f"h.{layer}.attn.c_attn")
        mixed = []
        for head in range(config["n_head"]):
            size = width // config["n_head"]
            query, key, value = (joint[:, part * width + head * size :][:, :size] for part in range(3))
            scores = np.where(ahead, -np.inf, query @ key.T / np.sqrt(size))
            pattern = np.exp(scores - scores.max(1, keepdims=True))
            mixed.append(pattern / pattern.sum(1, keepdims=True) @ value)
        residual = residual + affine(np.concatenate(mixed, 1), f"h.{layer}.attn.c_proj")
        hidden = apply(affine(norm(residual, f"h.{layer}.ln_2"), f"h.{layer}.mlp.c_fc"))
        residual = residual + affine(hidden, f"h.{layer}.mlp.c_proj")
    return norm(residual, "ln_f") @ weights["lm_head.weight"].T
