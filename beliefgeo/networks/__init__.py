"""What can learn: the contract of a network, two networks of our own, and adapters for networks of other libraries."""

from beliefgeo.networks.network import Network as Network
from beliefgeo.networks.network import from_equinox as from_equinox
from beliefgeo.networks.network import from_nnx as from_nnx
from beliefgeo.networks.recurrent import Recurrent as Recurrent
from beliefgeo.networks.recurrent import RecurrentConfig as RecurrentConfig
from beliefgeo.networks.transformer import Transformer as Transformer
from beliefgeo.networks.transformer import TransformerConfig as TransformerConfig
