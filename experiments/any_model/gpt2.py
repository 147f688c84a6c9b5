"""GPT-2 as the package transformers makes it, trained by PyTorch, and handed over as a function of arrays alone."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import beliefgeo as bg
from beliefgeo import runs
from beliefgeo.processes.quasirandom import sample_quasirandom
from beliefgeo.runs.folder import digest, open_run
from beliefgeo.runs.identity import identity

# Tokens [word, time] -> probabilities of the next token [word, time, token].
Laws = Callable[[np.ndarray], np.ndarray]
Data = Literal["samples", "quasirandom"]


class Sizes(NamedTuple):
    """Of GPT-2, which has no dropout here: no sequence comes twice, so there is nothing to overfit."""

    vocab_size: int = 3
    context: int = 10
    layers: int = 4
    width: int = 64
    heads: int = 4


class Training(NamedTuple):
    """AdamW; its rate rises over the first twentieth of the steps, then falls to 0 by a cosine."""

    steps: int = 6000
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    data: Data = "quasirandom"


def require() -> None:
    """Raise, before anything is computed, if what makes the model is not installed.

    Raises:
        ValueError: torch or transformers is missing.
    """
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as missing:
        raise ValueError(
            f"this claim needs torch and transformers, which make and train a GPT-2; got: {missing}. Install them: "
            "pip install torch transformers"
        ) from None


def learn(
    run: runs.Run, process: bg.Process, sizes: Sizes, training: Training, seeds: int
) -> tuple[list[Laws], list[Laws]]:
    """The networks of all seeds, trained and untrained, each as a function of arrays.

    A network that this run's folder of networks holds is only loaded; one whose training was interrupted starts again.
    """
    made = {name: version(name) for name in ("torch", "transformers")}
    record = {"sizes": sizes, "training": training, "seed": run.seed, "process": identity(process, "process"), **made}
    folder = open_run(run.root / "networks" / f"gpt2-{digest(record)}", record)
    with run.stage("train"):
        models = [_learn_one(run, process, sizes, training, folder / f"{seed}.pt", seed) for seed in range(seeds)]
    return [laws_of(trained) for trained in models], [laws_of(build(sizes, seed)) for seed in range(seeds)]


def _learn_one(run: runs.Run, process: bg.Process, sizes: Sizes, training: Training, weights: Path, seed: int) -> Any:
    import torch

    model = build(sizes, seed)
    run.networks[str(weights)] = weights.exists()
    print(f"{weights}: {'trained before' if weights.exists() else 'trains'}", flush=True)
    if weights.exists():
        model.load_state_dict(torch.load(weights, weights_only=True))
        return model
    key = jax.random.fold_in(run.key("tokens"), seed)
    train(model, draw(key, process, sizes.context + 1, training), training)
    incomplete = weights.with_suffix(".partial")  # an interrupt leaves no half of a file under its name
    torch.save(model.state_dict(), incomplete)
    incomplete.replace(weights)
    return model


def build(sizes: Sizes, seed: int) -> Any:
    """GPT-2 with the initial values that transformers draws for it; nothing is downloaded."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)  # matrices of this size gain nothing by more, and sums keep their order
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=sizes.vocab_size,
        n_positions=sizes.context,
        n_layer=sizes.layers,
        n_embd=sizes.width,
        n_head=sizes.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=False,
    )
    return GPT2LMHeadModel(config).eval()


def laws_of(model: Any) -> Laws:
    """All that discovery sees of a model: tokens `[word, time]` -> probabilities `[word, time, token]`."""
    import torch

    def laws(tokens: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            batches = torch.as_tensor(np.array(tokens)).long().split(2048)
            return torch.cat([torch.softmax(model(batch).logits.double(), -1) for batch in batches]).numpy()

    return laws


def draw(key: jax.Array, process: bg.Process, length: int, training: Training) -> np.ndarray:
    """The sequences of a whole training, `[sequence, time]`."""
    indices = jnp.arange(training.steps * training.batch)
    if training.data == "quasirandom":
        one = lambda index: sample_quasirandom(key, process, length, index).tokens
    else:
        one = lambda index: bg.sample(jax.random.fold_in(key, index), process, length).tokens
    return np.asarray(jax.jit(jax.vmap(one))(indices))


def train(model: Any, sequences: np.ndarray, training: Training) -> None:
    """Steps of PyTorch's own AdamW on the next token of the sequences, each of which is seen once."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_rate, steps=training.steps))
    for batch in torch.as_tensor(np.array(sequences)).long().split(training.batch):
        logits = model(batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _rate(step: int, steps: int) -> float:
    """The learning rate of a step, as a share of the peak."""
    return float(min(20 * (step + 1) / steps, (1 + np.cos(np.pi * step / steps)) / 2))
