"""Integer networks of NEMO and QuantLab, bit for bit, against an evaluation in int64 by other code."""

import contextlib
import json
import random
from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import smelt
from smelt.cli import main
from smelt.errors import OptionError, SmeltError, Unsupported
from smelt.importers.onnx_file import read_onnx
from smelt.importers.onnx_integer import dialect_of
from smelt.importers.onnx_load import load_onnx
from smelt.kernels import requantize_exact
from smelt.kernels.once import find_once
from smelt.model.ops import Add, AveragePool2D, Linear, Lookup, Pad
from smelt.model.reference import run, trace
from smelt.model.rescale import floor_rescale
from smelt.passes import prepare
from smelt.report.golden import compare_golden, golden_on_board
from smelt.report.golden_files import read_golden
from tests.integer_models import Net, residual_net, sequence_net
from tests.paths import SHARED

NETS = {
    "nemo": lambda seed, stray: residual_net(seed, stray),
    "quantlab": lambda seed, stray: residual_net(seed, stray, "QuantLab"),
    "sequence": lambda seed, stray: sequence_net(seed, stray),
}


def last_axis(x):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim > 2 else x


def given(net, graph):
    return (last_axis(net.input).reshape(graph.inputs[0].shape).astype(np.uint8),)


def numbers(graph, values):
    """What every tensor stands for, by name."""
    made = {y.name: y for op in graph.ops for y in op.ys}
    return {
        n: v.astype(np.int64) - made[n].q.zero_point for n, v in values.items() if n in made and made[n].quantization
    }


def has_layers(net, graph):
    """Whether every layer is some tensor of the graph; in order of the layers, those that are not."""
    found = [v.reshape(-1).tolist() for v in numbers(graph, trace(graph, given(net, graph))).values()]
    return [i for i, layer in enumerate(net.layers) if last_axis(layer).reshape(-1).tolist() not in found]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("stray", [False, True], ids=["plain", "stray"])
@pytest.mark.parametrize("seed", range(4))
def test_every_layer_is_exact(name, stray, seed):
    """Also where nodes that change nothing are strewn in, operands are swapped and nodes stand in any order."""
    net = NETS[name](seed, stray)
    graph = load_onnx(net.model(shuffled=stray), "net")
    assert has_layers(net, graph) == []
    (y,) = run(prepare(graph), given(net, graph))
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y.reshape(-1), net.layers[-1].reshape(-1))


@pytest.mark.parametrize("name", NETS)
def test_stray_nodes_cost_nothing(name):
    """Both files become the same ops."""
    plain, stray = (load_onnx(NETS[name](0, stray).model(), "net") for stray in (False, True))
    kinds = [[type(op).__name__ for op in prepare(graph).ops] for graph in (plain, stray)]
    assert sorted(kinds[0]) == sorted(kinds[1])


def test_dialects_are_told_apart():
    assert dialect_of(read_onnx(residual_net().model())) == "NEMO"
    assert dialect_of(read_onnx(residual_net(dialect="QuantLab").model())) == "QuantLab"
    net = Net((1, 2, 4, 4), dialect="QuantLab")
    net.conv(3, 1)
    plain = onnx.load_model_from_string(net.model())
    for node in plain.graph.node:
        kept = [a for a in node.attribute if not a.name.endswith("_bits")]
        del node.attribute[:]
        node.attribute.extend(kept)
    assert dialect_of(read_onnx(plain.SerializeToString())) == "QuantLab"


def test_float_networks_are_no_dialect():
    weights = numpy_helper.from_array(np.full((2, 3, 1, 1), 0.5, np.float32), "w")
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", (1, 3, 4, 4)), ("y", None)))
    file = helper.make_model(helper.make_graph([conv], "g", [x], [y], [weights])).SerializeToString()
    assert dialect_of(read_onnx(file)) is None


# How values are kept


def test_sums_without_a_limit_are_stored_wider():
    """A residual sum beyond 255 keeps its value, and what reads it is exact."""
    net = Net((1, 2, 5, 5))
    net.conv(4, 1, shift=10)
    skip = net.name, net.value
    net.conv(4, 1, shift=12)
    net.residual(skip, 32, 32, 32)
    assert net.value.max() > 255
    net.conv(4, 3)
    graph = load_onnx(net.model(), "net")
    (added,) = [op for op in graph.ops if isinstance(op, Add)]
    assert added.y.dtype == "int16" and has_layers(net, graph) == []


def test_weights_of_few_bits_are_packed():
    graph = load_onnx(residual_net().model(), "net")
    kinds = [op.weights.dtype for op in graph.ops if isinstance(op, Linear)]
    assert kinds == [
        "int8",
        "int4",
        "int8",
        "int8",
        "int8",
    ]  # those of 2 bits read 16-bit sums, for which none are packed


def test_products_beyond_32_bits():
    """The shift of 24 bits leaves products beyond 2^31 for results above 127."""
    net = Net((1, 8, 4, 4), seed=3)
    net.conv(4, 3, shift=24)
    assert net.layers[-1].max() > 127
    graph = load_onnx(net.model(), "net")
    assert has_layers(net, graph) == []


def test_requantisations_of_one_value_are_tables():
    graph = load_onnx(residual_net(dialect="QuantLab").model(), "net")
    assert sum(isinstance(op, Lookup) for op in graph.ops) == 2


def test_multiplying_by_what_is_divided_by_is_nothing():
    """m = 2^d behind a residual sum: one op, which limits to a byte."""
    net = Net((1, 2, 5, 5))
    net.conv(4, 1, shift=10)
    skip = net.name, net.value
    net.conv(4, 1, shift=12)
    net.residual(skip, 32, 32, 32, m=32, d=5)
    graph = load_onnx(net.model(), "net")
    assert [type(op) for op in graph.ops].count(Add) == 1 and graph.ops[-2].y.dtype == "int8"
    assert has_layers(net, graph) == []


def test_sums_are_requantised_from_their_own_type():
    net = Net((1, 2, 5, 5))
    net.conv(4, 1, shift=10)
    skip = net.name, net.value
    net.conv(4, 1, shift=12)
    net.residual(skip, 40, 64, 64, m=54, d=6)
    graph = load_onnx(net.model(), "net")
    assert [op.y.dtype for op in graph.ops if isinstance(op, Add)] == ["int16", "int8"] and has_layers(net, graph) == []


def test_padding_goes_into_convolutions():
    assert not [op for op in prepare(load_onnx(sequence_net().model(), "net")).ops if isinstance(op, Pad)]


def test_any_divisor():
    """Division by what is no power of two is a product and a shift that give the same."""
    net = Net((1, 3, 4, 5))
    net.conv(3, 1)
    made = net.value.sum(axis=(2, 3), keepdims=True) // 20
    net.give(net.add("Floor", net.add("AveragePool", net.name, kernel_shape=[4, 5])), made)
    graph = load_onnx(net.model(), "net")
    (pool,) = [op for op in graph.ops if isinstance(op, AveragePool2D)]
    assert pool.rescale.shifts[0] < 31 - 5 and has_layers(net, graph) == []


def test_the_tail_is_computed_in_reals():
    net = residual_net()
    graph = load_onnx(net.model(("Sigmoid",)), "net")
    (y,) = run(prepare(graph), given(net, graph))
    assert y.dtype == np.float32
    assert set(y.reshape(-1)) <= {0.0, 1.0}
    np.testing.assert_array_equal(y.reshape(-1), net.layers[-1].reshape(-1) > 0)


def test_quantlab_tail():
    """MatMul -> Gather, Gather -> Sigmoid -> Unsqueeze -> Concat."""
    net = residual_net(dialect="QuantLab")
    last = net.name
    first, second = (net.add("Gather", last, net.constant(np.array(i, np.int64)), axis=1) for i in (0, 1))
    parts = [net.add("Unsqueeze", n, axes=[-1]) for n in (first, net.add("Sigmoid", second))]
    net.name = net.add("Concat", *parts, axis=-1)
    graph = load_onnx(net.model(), "net")
    (y,) = run(prepare(graph), given(net, graph))
    one, two = net.layers[-1].reshape(-1)[:2].astype(np.float64)
    np.testing.assert_allclose(y.reshape(-1), [one, 1 / (1 + np.exp(-two))], rtol=1e-6)


def test_outputs_are_integers():
    net = Net((1, 2, 4, 4))
    net.conv(3, 1)
    graph = load_onnx(net.model(), "net")
    assert graph.inputs[0].dtype == "uint8" and graph.outputs[0].dtype == "uint8"
    (y,) = run(prepare(graph), given(net, graph))
    np.testing.assert_array_equal(y, last_axis(net.value))


# What is refused, and how


def refusal(net):
    with pytest.raises(Unsupported) as caught:
        load_onnx(net.model(), "net")
    return str(caught.value)


def test_a_fraction_is_refused():
    net = residual_net()
    place = next(i for i, c in enumerate(net.constants) if len(c.dims) == 4 and c.dims[0] == 1)
    data = numpy_helper.to_array(net.constants[place]).copy()
    data.reshape(-1)[2] = 7.5
    net.constants[place] = numpy_helper.from_array(data, net.constants[place].name)
    said = refusal(net)
    assert "whole numbers" in said and "7.5 at [0, 2, 0, 0]" in said and " Mul 'Mul_" in said


def test_a_missing_floor_is_named():
    net = Net((1, 2, 4, 4))
    net.conv(3, 1)
    skip = net.name, net.value
    net.conv(3, 1)
    a, b = (net.add("Mul", n, net.real(3.0)) for n in (net.name, skip[0]))
    net.name = net.add("Div", net.add("Add", a, b), net.real(64.0))
    net.value = net.value * 0
    net.conv(2, 1)
    said = refusal(net)
    assert (
        "missing for an integer network: a Floor" in said
        and "Mul, Mul -> Add -> Div -> Floor" in said
        and "Conv_" in said
        and "Add_" in said
    )


def test_a_missing_clip_is_named():
    net = Net((1, 2, 4, 4))
    net.conv(300, 1)
    weights = net.real(np.ones((4, 300, 1, 1)))
    net.name = net.add("Conv", net.name, weights, kernel_shape=[1, 1])
    net.name = net.add("Conv", net.name, net.real(np.ones((2, 4, 1, 1))), kernel_shape=[1, 1])
    said = refusal(net)
    assert "missing for an integer network: a Clip behind operator" in said and "reach from 0 to " in said


def test_reals_are_refused_where_integers_belong():
    net = Net((1, 2, 4, 4))
    net.conv(3, 1)
    net.name = net.add("Sigmoid", net.name)
    net.value = net.value * 0
    net.conv(2, 1)
    said = refusal(net)
    assert "Sigmoid_" in said and "gives reals" in said and "Conv ->" in said


def test_rounding_towards_zero_must_be_hidden():
    """Without a limit at 0 the division of NEMO would round negative numbers up."""
    net = Net((1, 2, 4, 4))
    net.conv(3, 1)
    for node in net.nodes:
        if node.op_type == "Clip":
            next(a for a in node.attribute if a.name == "min").f = -128.0
    assert "a Clip with a minimum of 0 or more" in refusal(net)


def test_weights_of_more_bits_are_refused():
    net = Net((1, 2, 4, 4))
    net.conv(3, 1)
    net.name = net.add("Conv", net.name, net.real(np.full((2, 3, 1, 1), 200)), kernel_shape=[1, 1])
    assert "weights of 8 bits" in refusal(net) and "to 200" in refusal(net)


# Golden folders


def folder_of(net, path, chw=False):
    net.write_golden(path, chw)
    return read_golden(path)


@pytest.mark.parametrize("chw", [False, True], ids=["hwc", "chw"])
@pytest.mark.parametrize("name", NETS)
def test_golden_layers_are_found(name, chw, tmp_path):
    """The order of the numbers shows itself; only the input's must be said."""
    net = NETS[name](1, False)
    graph = load_onnx(net.model(), "net")
    folder = folder_of(net, tmp_path, chw)
    found = compare_golden(graph, folder, "chw" if chw else None)
    assert found.mismatches == 0 and found.order == ("chw" if chw else "hwc")
    assert [layer.file for layer in found.layers] == [f"out_layer{i}.txt" for i in range(len(net.layers))]


def test_the_order_is_told_by_the_layers(tmp_path):
    net = Net((1, 1, 6, 6))
    net.conv(5, 3)
    net.conv(4, 3)
    assert compare_golden(load_onnx(net.model(), "net"), folder_of(net, tmp_path, chw=True)).order == "chw"


def test_the_first_difference_is_told(tmp_path):
    net = residual_net()
    folder = folder_of(net, tmp_path)
    wrong = folder.layers[2].numbers.copy()
    wrong[[5, 9]] += 1
    folder = replace(folder, layers=(*folder.layers[:2], replace(folder.layers[2], numbers=wrong), *folder.layers[3:]))
    found = compare_golden(load_onnx(net.model(), "net"), folder)
    assert [layer.is_equal for layer in found.layers].count(False) == 1
    told = found.layers[2].reference
    assert (told.element, told.mismatches, told.golden - told.got) == (5, 2, 1)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("out_layer0.txt", "# a (shape [2]),\n1.000,\nx,\n", "'x' where a number belongs"),
        ("out_layer0.txt", "# a (shape [2]),\n1.000,\n1e999,\n", "'1e999' where a number belongs"),
        ("out_layer0.txt", "", "is empty"),
        ("input.txt", "# input (shape [3]),\n1,\\\n2,\\\n", "input.txt has 2 numbers"),
        ("input.txt", "# input\n" + "300,\n" * 507, "cannot hold"),
    ],
)
def test_damaged_folders_are_refused(file, text, said, tmp_path):
    net = residual_net()
    net.write_golden(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(OptionError) as caught:
        compare_golden(load_onnx(net.model(), "net"), read_golden(tmp_path))
    assert said in str(caught.value) or "nothing" in str(caught.value)


def test_a_folder_needs_both(tmp_path):
    with pytest.raises(OptionError, match=r"input\.txt"):
        read_golden(tmp_path)


# On a board


def test_the_firmware_beside_golden_layers(tmp_path):
    """Outputs, and every layer that a step writes."""
    net = Net((1, 2, 6, 6), seed=5)
    net.conv(4, 3, pads=1)
    skip = net.name, net.value
    net.conv(4, 3, pads=1, groups=4)
    net.residual(skip, 64, 53, 64)
    net.average_pool(33, 8)
    net.dense(3)
    (tmp_path / "net.onnx").write_bytes(net.model())
    compilation = smelt.compile(tmp_path / "net.onnx", "nucleo_h743zi")
    found = golden_on_board(compilation, folder_of(net, tmp_path))
    assert found.mismatches == 0 and found.outputs == 3 and found.cycles
    assert all(layer.seen for layer in found.layers)


@pytest.mark.parametrize("board", ["nucleo_u575zi_q", "nucleo_g0b1re", "esp32c3"])
def test_every_core_computes_integer_networks(board, tmp_path):
    """The network above is for an M7; these are M33, M0+ and RISC-V."""
    net = residual_net(1, True, "QuantLab")
    (tmp_path / "net.onnx").write_bytes(net.model())
    compilation = smelt.compile(tmp_path / "net.onnx", board)
    found = smelt.execute(compilation, [given(net, compilation.model)])
    np.testing.assert_array_equal(found.outputs[0][0].reshape(-1), net.layers[-1].reshape(-1))


@pytest.mark.parametrize("chw", [False, True], ids=["hwc", "chw"])
def test_channels_that_the_board_leaves_out_are_not_compared(chw, tmp_path):
    """Here those that are always 0: of the others, each is found."""
    net = Net((1, 2, 6, 6), seed=5)
    net.conv(4, 3, pads=1, dead=2)
    net.conv(3, 1)
    (tmp_path / "net.onnx").write_bytes(net.model())
    compilation = smelt.compile(tmp_path / "net.onnx", "nucleo_h743zi")
    folder = folder_of(net, tmp_path, chw)
    found = golden_on_board(compilation, folder, "chw" if chw else "hwc")
    assert [layer.seen for layer in found.layers] == [True, True] and found.mismatches == 0
    wrong = folder.layers[0].numbers.copy()
    place = 3 * 36 + 7 if chw else 7 * 4 + 3
    wrong[place] += 1
    folder = replace(folder, layers=(replace(folder.layers[0], numbers=wrong), folder.layers[1]))
    told = golden_on_board(compilation, folder, "chw" if chw else "hwc").layers[0]
    assert (told.board.element, told.board.mismatches) == (told.reference.element, 1) == (place, 1)


@pytest.mark.parametrize("wrong", [False, True], ids=["equal", "wrong"])
def test_the_command(wrong, tmp_path):
    """`smelt verify MODEL --golden FOLDER` needs no board, prints a line for each layer, and exits with 8 where one differs."""
    net = Net((1, 2, 6, 6))
    net.conv(4, 3, pads=1)
    net.dense(3)
    (tmp_path / "net.onnx").write_bytes(net.model())
    net.layers[1][0, 1] += wrong
    net.write_golden(tmp_path)
    done = CliRunner().invoke(main, ["verify", str(tmp_path / "net.onnx"), "--golden", str(tmp_path)])
    assert done.exit_code == (8 if wrong else 0)
    assert "out_layer1.txt" in done.output and f"{2 - wrong} of 2 golden layers equal" in done.output
    told = CliRunner().invoke(main, ["verify", str(tmp_path / "net.onnx"), "--golden", str(tmp_path), "--json"])
    assert json.loads(told.stdout[told.stdout.index("{") : told.stdout.rindex("}") + 1])["mismatches"] == wrong


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give --board"),
        (("--golden-order", "chw", "-b", "nucleo_h743zi"), "--golden"),
        (("--golden", ".", "--layout", "keep"), "channels last"),
    ],
)
def test_options_that_do_not_fit(options, said, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    done = CliRunner().invoke(main, ["verify", str(tmp_path / "net.onnx"), *options])
    assert done.exit_code == 2 and said in done.output + str(done.exception)


# DORY's networks


DORY = SHARED / "models" / "dory"
LAYERS = {
    "PenguiNet_32": 9,
    "Residual_connection_test_1": 8,
    "Residual_connection_test_2": 9,
    "TCN_T": 12,
    "dronet_complete": 15,
    "dronet_complete_2": 15,
    "dronet_no_pooling": 16,
    "dscnn_test": 11,
    "mobilenet_v1_128": 29,
    "quantlab_dronet": 15,
}


@pytest.mark.extra
@pytest.mark.parametrize("name", LAYERS)
def test_golden_layers_of_dory(name):
    """139 layers of ten networks."""
    folder = DORY / name
    (file,) = folder.glob("*.onnx")
    found = compare_golden(load_onnx(file.read_bytes(), name), read_golden(folder))
    assert len(found.layers) == LAYERS[name] and found.mismatches == 0
    assert found.order == ("chw" if name == "dscnn_test" else "hwc")


# Files that are wrong


@pytest.mark.parametrize("seed", range(60))
def test_changed_files_are_refused_or_read(seed):
    """Operands exchanged, operators renamed, nodes missing, numbers that are none: nothing but smelt's own errors."""
    chance = random.Random(seed)
    model = onnx.load_model_from_string(residual_net(seed % 3, dialect=chance.choice(["NEMO", "QuantLab"])).model())
    for _ in range(chance.randint(1, 3)):
        changed(chance, model.graph)
    with contextlib.suppress(SmeltError):
        load_onnx(model.SerializeToString(), "net")


def changed(chance, graph):
    node, stored = chance.choice(graph.node), chance.choice(graph.initializer)
    match chance.randrange(4):
        case 0 if node.input:
            node.input[0] = chance.choice([*(n.output[0] for n in graph.node), *(c.name for c in graph.initializer)])
        case 1:
            node.op_type = chance.choice(
                [*(n.op_type for n in graph.node), "Relu", "Min", "Sub", "ReduceMean", "Squeeze"]
            )
        case 2:
            del graph.node[chance.randrange(len(graph.node))]
        case _:
            data = numpy_helper.to_array(stored).copy()
            data.reshape(-1)[chance.randrange(data.size)] = chance.choice([0, -1, 1e9, 255])
            stored.CopyFrom(numpy_helper.from_array(data.reshape(-1) if chance.random() < 0.3 else data, stored.name))


@pytest.mark.parametrize("rounding", ["floor", "ties_even"])
def test_routines_leave_no_doubt_in_the_arithmetic_of_integer_networks(rounding, monkeypatch):
    """What is looked at again behind a routine is computed in the arithmetic of "ties_even"."""
    floor = floor_rescale([3000] * 8, [77] * 8, 14, (-128, 127), -128, -128)
    p, none = replace(floor, rounding=rounding, addends=None), np.zeros(8, np.int64)
    sums = none - 900, none + 900
    form = find_once(floor, *sums)
    assert form is not None and not form.doubtful
    monkeypatch.setattr(requantize_exact, "find_once", lambda *_: replace(form, doubtful=((2, 5),)))
    made = requantize_exact.routine_requantizer(p, none, sums)
    assert (made is None) == (rounding == "floor")
