"""Passes: `Graph` -> `Graph`, each exact. `prepare` runs them one after the other and checks the graph between them."""

from __future__ import annotations

from collections.abc import Callable

from smelt.model.graph import Graph
from smelt.passes.activations import fuse_activation
from smelt.passes.constants import fold_constants
from smelt.passes.dead import drop_dead
from smelt.passes.dead_channels import drop_dead_channels
from smelt.passes.exchange import with_exchange
from smelt.passes.functions import fuse_channel_functions, fuse_functions
from smelt.passes.identities import drop_identities
from smelt.passes.lookups import fuse_lookups, unary_to_lookup
from smelt.passes.pads import fuse_pad
from smelt.passes.reshapes import drop_reshapes
from smelt.passes.states import separate_states

Pass = Callable[[Graph], Graph]

PREPARE: tuple[Pass, ...] = (
    fold_constants,
    drop_dead,
    drop_identities,
    drop_reshapes,
    fuse_activation,
    fuse_pad,
    unary_to_lookup,
    fuse_functions,
    fuse_lookups,
    fuse_activation,
    drop_dead,
    drop_dead_channels,
    fuse_channel_functions,
    drop_dead,
    separate_states,
)


OF_DATA: tuple[Pass, ...] = (drop_dead_channels,)
"""Those whose result depends on what the weights are."""


def prepare(graph: Graph, exchanged: bool = False) -> Graph:
    """The graph the planner wants. Inputs and outputs keep their order, names, shapes and every bit of their values.

    With `exchanged` nothing of it depends on what the weights are: others may come in their place. Raises ModelError where the
    graph is inconsistent.
    """
    graph = graph.check()
    for change in PREPARE:
        if not (exchanged and change in OF_DATA):
            graph = change(graph).check()
    return with_exchange(graph).check() if exchanged else graph
