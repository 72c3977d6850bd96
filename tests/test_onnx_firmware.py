"""Networks of ONNX files as firmware on simulated boards: every byte is the reference's, and onnxruntime's."""

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.compile import compile
from smelt.inputs import random_inputs
from smelt.report.verify import verify
from tests.onnx_cases import built
from tests.test_onnx_quantised import Builder

SHAPE = (1, 4, 12, 12)


def network(dtype="int8"):
    """A small CNN with a residual sum, in QDQ form."""
    b = Builder(dtype, 5)
    z = 0 if dtype == "int8" else 128
    x = b.qdq("x", 0.024, z + 3)
    c = b.qdq(b.conv(x, 0.024, 8, 4, pads=[1] * 4), 0.05, z - 128)
    d = b.qdq(b.conv(c, 0.05, 8, 8, 3, 8, pads=[1] * 4), 0.06, z - 20)
    p = b.qdq(b.conv(d, 0.06, 8, 8, 1), 0.05, z - 4)
    s = b.qdq(b.add("Add", f"{c} {p}"), 0.08, z - 30)
    h = b.qdq(b.add("HardSwish", s), 0.05, z - 100)
    j = b.qdq(b.add("Concat", f"{s} {h}", axis=1), 0.08, z - 30)
    m = b.qdq(b.add("MaxPool", j, kernel_shape=[2, 2], strides=[2, 2]), 0.08, z - 30)
    g = b.qdq(b.add("Mul", f"{m} {b.qdq(b.add('Sigmoid', m), 1 / 256, z - 128)}"), 0.07, z - 30)
    e = b.qdq(b.conv(g, 0.07, 24, 16, 3), 0.1, z - 10)
    a = b.qdq(b.add("Flatten", b.add("GlobalAveragePool", e)), 0.06, z + 2)
    scales = b.generator.uniform(0.005, 0.02, 10).astype(np.float32)
    w, bias = b.weights((10, 24), scales), b.bias(10, np.float32(0.06) * scales)
    y = b.qdq(b.add("Gemm", f"{a} {w} {bias}", transB=1), 0.1, z)
    return b.file([SHAPE], b.qdq(b.add("Softmax", y, axis=1), 1 / 256, z - 128))


BOARDS = {
    "nucleo_l4r5zi": "int8",
    "nucleo_h743zi": "uint8",
    "nucleo_u575zi_q": "uint8",
    "nucleo_g0b1re": "uint8",
    "esp32c3": "int8",
}
"""One of each core: M4, M7, M33, M0+, RISC-V."""


@pytest.mark.parametrize(("board", "dtype"), BOARDS.items())
def test_quantised_networks_are_equal_to_the_bit(tmp_path, board, dtype):
    path = tmp_path / "net.onnx"
    path.write_bytes(network(dtype))
    compilation = compile(path, board)
    inputs = random_inputs(compilation.model, 3)
    assert verify(compilation, inputs, "reference", path).mismatches == 0
    assert verify(compilation, inputs, "onnxruntime", path).mismatches == 0


def test_commands_take_onnx_files(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(built("flatten gemm")[0])
    for words in (
        ["inspect"], ["plan", "-b", "nucleo_l4r5zi", "--no-curve"], ["compile", "-b", "nucleo_l4r5zi", "--layout", "keep"],
        ["verify", "-b", "nucleo_l4r5zi", "-n", "2", "--oracle", "onnxruntime"], ["profile", "-b", "nucleo_l4r5zi"],
    ):  # fmt: skip
        done = CliRunner().invoke(main, [words[0], str(path), *words[1:]])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["verify", str(path), "-b", "nucleo_l4r5zi", "--oracle", "tflm"])
    assert done.exit_code == 2 and "onnxruntime" in done.output
