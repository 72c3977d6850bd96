"""`verify --layers`: a model step by step on a device, and the layer that is wrong."""

from dataclasses import replace

import numpy as np
import pytest

import smelt
from smelt.compile import Compilation
from smelt.devices.graph_runner import GraphRunner
from smelt.devices.link import TimedOut
from smelt.devices.session import Session
from smelt.devices.session_errors import FunctionTimeout
from smelt.devices.simulators.link import SimulatorLink
from smelt.errors import OptionError
from smelt.firmware import emit, render
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops import Add, Reshape
from smelt.model.reference import run, trace
from smelt.model.rescale import linear_rescale
from smelt.planner import make_plan
from smelt.planner.evidence import Evidence
from smelt.report.layers import verify_layers
from smelt.targets.boards import DISCO_F746NG, ESP32_C3, NUCLEO_L4R5ZI
from tests.mac_cases import Maker
from tests.paths import INT8_MODELS
from tests.session_links import FEW, opened


def tensor(name, shape, scale):
    return Tensor(name, shape, "int8", Quantization((scale,), (3,)))


def graph() -> Graph:
    """conv - (depthwise + skip) - reshape - dense."""
    m = Maker(5)
    x, a, b, c, flat, y = (
        tensor(name, shape, scale)
        for name, shape, scale in (
            ("x", (1, 6, 6, 3), 0.05),
            ("a", (1, 6, 6, 4), 0.25),
            ("b", (1, 6, 6, 4), 0.5),
            ("c", (1, 6, 6, 4), 0.5),
            ("flat", (1, 144), 0.5),
            ("y", (1, 5), 4.0),
        )
    )
    conv = _between(m.conv(x.shape, 4, (3, 3), pad=(1, 1, 1, 1)), x, a)
    depthwise = _between(m.depthwise(a.shape, 1, (3, 3), pad=(1, 1, 1, 1)), a, b)
    dense = m.dense(1, 144, 5)
    ops = (
        _named(conv, "conv"),
        _named(depthwise, "depthwise"),
        Add(x=a, x2=b, y=c),
        Reshape(x=c, y=flat),
        _named(_between(dense, flat, y), "dense"),
    )
    return Graph("layers", (x,), (y,), ops).check()


def _between(op, x, y):
    """`op` from x to y, rescaled as their scales ask."""
    return replace(op, x=x, y=y, rescale=linear_rescale(x, op.weights, y, op.clamp))


def _named(op, name):
    """Names of constants are unique in a graph."""
    renamed = {t: replace(t, name=f"{name}.{t.name}") for t in op.inputs if t.is_constant}
    return op.substitute(renamed)


def compilation(board, right: Graph | None = None, made: Graph | None = None) -> Compilation:
    """The graph `right`, but compiled from `made`."""
    right = right or graph()
    plan = make_plan(made or right, board)
    program = emit(plan)
    return Compilation(right, right, plan, program, render(program), None, Evidence())


def inputs(g: Graph, count: int = 1):
    random = np.random.default_rng(1)
    return [tuple(random.integers(-128, 128, t.shape).astype(np.int8) for t in g.inputs) for _ in range(count)]


def with_wrong_bias(g: Graph, layer: int, channel: int, by: int) -> Graph:
    bias = g.ops[layer].bias
    data = bias.constant.copy()
    data[channel] += by
    return g.substitute({bias: replace(bias, data=data)})


@pytest.mark.parametrize("board", [NUCLEO_L4R5ZI, DISCO_F746NG, ESP32_C3], ids=lambda b: b.name)
def test_every_layer_is_right(board):
    made = compilation(board)
    result = verify_layers(made, inputs(made.graph, 2))
    assert result.first is None and result.steps == 2 * len(made.program.invocations)
    assert result.values == 2 * (3 * 144 + 5)
    assert result.verdict == "all 874 values of 8 step(s) on 2 input(s) equal the reference"


@pytest.mark.parametrize(
    ("layer", "channel", "operator"), [(0, 2, "Conv2D"), (1, 3, "DepthwiseConv2D"), (4, 1, "Dense")]
)
def test_a_wrong_bias_is_found_in_its_layer(layer, channel, operator):
    right = graph()
    wrong = with_wrong_bias(right, layer, channel, 20000)
    made = compilation(NUCLEO_L4R5ZI, right, wrong)
    result = verify_layers(made, inputs(right))
    first = result.first
    tensor_name = right.ops[layer].y.name
    assert (first.operator, first.tensor, first.element[-1], first.input) == (operator, tensor_name, channel, 0)
    expected, actual = (trace(g, inputs(right)[0])[tensor_name] for g in (right, wrong))
    assert first.reference == expected[first.element] != actual[first.element] == first.device
    assert first.mismatches == (expected != actual).sum() and first.values == expected.size
    for part in (first.step, operator, f"'{tensor_name}'", f"device {first.device:g}, reference {first.reference:g}"):
        assert part in result.verdict


@pytest.mark.parametrize("transport", FEW)
def test_a_wrong_bias_is_found_through_every_link(transport):
    right = graph()
    with opened(transport) as link:
        made = compilation(link.board, right, with_wrong_bias(right, 1, 3, 20000))
        assert verify_layers(made, inputs(right), link).first.operator == "DepthwiseConv2D"
        assert verify_layers(compilation(link.board), inputs(right), link).first is None  # the link is as good as new


def test_a_corrupt_table_of_the_program_is_found():
    made = compilation(NUCLEO_L4R5ZI)
    target = made.program.invocations[1]
    spoiled = next(a for a in target.arguments if getattr(a, "type", "") == "int8_t")
    changed = replace(spoiled, data=np.zeros_like(spoiled.data))
    arguments = tuple(changed if a is spoiled else a for a in target.arguments)
    invocations = list(made.program.invocations)
    invocations[1] = replace(target, arguments=arguments)
    made = replace(made, program=replace(made.program, invocations=tuple(invocations)))
    assert verify_layers(made, inputs(made.graph)).first.number == 1


def test_the_graph_runner_computes_what_the_firmware_computes():
    made = compilation(DISCO_F746NG)
    (x,) = inputs(made.graph)
    with Session(DISCO_F746NG) as session:
        with GraphRunner(session, made) as runner:
            for _ in range(2):
                (y,) = runner.run(x)
                np.testing.assert_array_equal(y, run(made.graph, x)[0])
            steps = list(runner.steps(x))
            assert [s.tensor for s in steps] == ["a", "b", "c", "y"] and all(s.cycles > 50 for s in steps)
            assert set(runner.trace(x)) == {"a", "b", "c", "y"}
            with pytest.raises(OptionError, match="has 1 inputs"):
                runner.run(())
            with pytest.raises(OptionError, match="input 'x' is int8"):
                runner.run((x[0][0],))
        assert session.heap.used == 0


def test_a_step_that_fails_is_named():
    class Slow(SimulatorLink):
        calls = 0

        def call(self, entry, stack, timeout):
            self.calls += 1
            if self.calls == 4:  # the first call is the session's own
                raise TimedOut(self.board, entry, timeout, None)
            return super().call(entry, stack, timeout)

    made = compilation(DISCO_F746NG)
    with pytest.raises(FunctionTimeout, match=r"disco_f746ng: add_2 \(add_\w+\): did not return within"):
        verify_layers(made, inputs(made.graph), Slow(DISCO_F746NG))


@pytest.mark.parametrize("name", ["KWS", "AD"])
def test_real_models(name):
    made = smelt.compile(INT8_MODELS[name], DISCO_F746NG, compiler="none")
    assert verify_layers(made, smelt.random_inputs(made.model, 1)).first is None
