"""A network that is known: its layer holds the belief linearly, beside what it does not use; it predicts by Bayes."""

import jax
import jax.numpy as jnp
import numpy as np

import beliefgeo as bg
from beliefgeo.networks.network import edited

WIDTH = 7


class Ideal:
    """Its layer is `beliefs @ into` plus numbers that depend on tokens and position, in other directions."""

    def __init__(self, process):
        self.process = process
        basis = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0]
        scale = np.random.default_rng(1).normal(size=(process.n_states, process.n_states)) + 2 * np.eye(
            process.n_states
        )
        self.into = jnp.asarray(scale @ basis[: process.n_states], jnp.float32)
        self.out = jnp.asarray(np.linalg.pinv(np.asarray(self.into)), jnp.float32)
        self.beside = jnp.asarray(basis[process.n_states :], jnp.float32)

    def init(self, key, tokens):
        return {"nothing": jnp.zeros(())}

    def apply(self, params, tokens, edit=None):
        beliefs = bg.filter_beliefs(self.process, tokens).beliefs[1:]
        unused = jnp.sin(jnp.cumsum(1.7 * tokens + 0.3)[:, None] * jnp.arange(1, 1 + len(self.beside))[None])
        held = edited(edit, 0, "resid_post", beliefs @ self.into + unused @ self.beside)
        laws = jnp.einsum("ts,xs->tx", held @ self.out, self.process.transitions.sum(2))
        return jnp.log(jnp.maximum(laws, 1e-9)), {"resid_post": held[None]}


def made(process):
    network = Ideal(process)
    return network, network.init(jax.random.key(0), jnp.zeros(1, int))
