"""What floating point costs where no unit computes it: a line for those who compile, and one for those who look at a model."""

from __future__ import annotations

from smelt.loops.floats import computes_in_floats
from smelt.model.graph import Graph
from smelt.model.ops_features import PREPARATION
from smelt.model.reference import computes_reals
from smelt.planner.plan import Plan
from smelt.targets.boards import PRODUCTS

ADVICE = "quantise the model to int8, or take a board with such a unit"


def software_notes(plan: Plan) -> tuple[str, ...]:
    """A line where steps of the plan compute in floating point, and the board has no unit for it."""
    board = plan.board
    steps = [step for step in plan.steps if any(computes_in_floats(call.kernel) for call in step.calls)]
    if not steps or board.chip.float_unit is not None:
        return ()
    macs = sum(step.macs for step in steps)
    cost = board.core.software_mac
    found = f"{board.name} has no floating-point unit: {len(steps)} of {len(plan.steps)} steps compute in software"
    if macs and cost:
        found += f", about {cost} cycles for each of {macs:,} products and sums ({macs * cost / 1e6:.3g} million)"
    elif macs:
        found += f", {macs:,} products and sums"
    if all(op.origin == PREPARATION for step in steps for op in step.ops):
        return (f"{found}; they prepare the input: take a board with such a unit, or features of your own",)
    return (f"{found}; {ADVICE}" if macs else found,)


def software_warnings(graph: Graph) -> tuple[str, ...]:
    """A line where a graph computes in floating point: which boards have no unit for it."""
    if not computes_reals(graph):
        return ()
    without = {b.name: b.core.software_mac for b in PRODUCTS if b.chip.float_unit is None}
    named = ", ".join(f"{name} (about {cost} cycles)" for name, cost in without.items())
    return (
        f"it computes in float32: {graph.macs:,} products and sums, each of which takes {named} in software; {ADVICE}",
    )
