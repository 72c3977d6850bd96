"""An input that is fed: rows come in a few at a time, and every result is as if it had been whole."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from smelt.compile import compile
from smelt.errors import DoesNotFit, OptionError, SmeltError
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.planner.bands import Bands
from smelt.planner.check import check
from smelt.planner.ways import Part
from smelt.report.execute import execute
from smelt.report.profile import profile
from smelt.report.verify import verify
from tests.paths import ROOT, VWW
from tests.small_models import dense_model
from tests.test_cli import answer, smelt
from tests.test_library import WARNINGS
from tests.tflite_writer import ModelWriter

BOARD = "nucleo_l4r5zi"
ROWS, COLUMNS = 23, 10


def camera(rows=ROWS, columns=COLUMNS, channels=3) -> bytes:
    """Convolutions with padding and strides over pictures, so that bands at the edges differ."""
    random, w = np.random.default_rng(3), ModelWriter()
    x = w.tensor("picture", (1, rows, columns, channels), "int8", 0.05, -3)
    last, depth = x, channels
    for n, (kind, size, stride, units) in enumerate(
        (("CONV_2D", 3, 2, 8), ("DEPTHWISE_CONV_2D", 3, 1, 8), ("CONV_2D", 1, 1, 16))
    ):
        shape = (1, size, size, depth) if kind != "CONV_2D" else (units, size, size, depth)
        weights = w.tensor(f"w{n}", shape, "int8", 0.02, 0, data=random.integers(-127, 128, shape, np.int8))
        rows, columns, depth = -(-rows // stride), -(-columns // stride), units
        y = w.tensor(f"y{n}", (1, rows, columns, units), "int8", 0.1, 4)
        more = {"DepthMultiplier": 1} if kind != "CONV_2D" else {}
        w.op(
            kind,
            [last, weights, -1],
            [y],
            Padding=0,
            StrideH=stride,
            StrideW=stride,
            DilationHFactor=1,
            DilationWFactor=1,
            **more,
        )
        last = y
    mean = w.tensor("mean", (1, depth), "int8", 0.1, 4)
    w.op("MEAN", [last, w.constant("axes", [1, 2])], [mean], KeepDims=False)
    return w.finish([x], [mean])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("fed") / "camera.tflite"
    path.write_bytes(camera())
    return path


@pytest.mark.parametrize("board_name", [BOARD, "mps2_an500"])
@pytest.mark.parametrize("goal", ["balanced", "ram"])
def test_firmware_that_is_fed_is_bit_exact(model, board_name, goal):
    compilation = compile(model, board_name, feed=True, goal=goal)
    assert compilation.plan.fed is not None and compilation.plan.fed not in compilation.plan.places
    assert verify(compilation, random_inputs(compilation.model, 3), "reference", model).mismatches == 0


def test_it_needs_less_room(model):
    fed, whole = (compile(model, BOARD, feed=feed, compiler="none").plan for feed in (True, False))
    picture = ROWS * COLUMNS * 3
    assert fed.tensor_bytes < whole.tensor_bytes - picture / 3
    least = compile(model, BOARD, feed=True, compiler="none", goal="ram").plan
    assert least.ram_bytes < fed.ram_bytes
    assert compile(model, BOARD, feed=True, compiler="none", max_ram=least.ram_bytes).plan.ram_bytes <= least.ram_bytes
    with pytest.raises(DoesNotFit):
        compile(model, BOARD, feed=True, compiler="none", max_ram=1000)


def test_a_person_is_detected_in_17_kb():
    """Visual Wake Words, with everything that its plan knows: must be below 20 KB, aimed at 17. The picture alone has 27.6."""
    plan = compile(VWW, BOARD, feed=True, goal="ram", compiler="none").plan
    assert plan.ram_bytes < 17_000


def test_an_inference_is_counted_with_what_is_done_while_rows_come(model):
    compilation = compile(model, BOARD, feed=True)
    run = execute(compilation, random_inputs(compilation.model, 2)).run
    figures = profile(compilation, run)
    assert run.runs == 2 and len(run.step_instructions) == len(compilation.plan.calls)
    assert figures.steps[0].instructions > figures.macs / 4 > figures.steps[-1].instructions


PROGRAM = """
#include "eye_net.h"
#include <stdio.h>

EYE_MEMORY(memory);

int main(void)
{
    int8_t rows[EYE_IN_PICTURE_ROWS * EYE_IN_PICTURE_ROW_ELEMENTS];
    eye_net net;
    if (eye_init(&net, &memory) != 0) {
        return 1;
    }
    for (int n; (n = getchar()) != EOF;) {
        if (n == 255) {
            (void)eye_init(&net, &memory);
            continue;
        }
        if (n != 0 && fread(rows, EYE_IN_PICTURE_ROW_ELEMENTS, (size_t)n, stdin) != (size_t)n) {
            return 2;
        }
        const uint32_t wanted = eye_feed(&net, rows, (uint32_t)n);
        putchar((int)wanted);
        if (wanted == 0u) {
            eye_run(&net);
            fwrite(eye_get_outputs(&net).out_mean, 1, EYE_OUT_MEAN_ELEMENTS, stdout);
        }
    }
    return 0;
}
"""


def test_any_number_of_rows_at_a_time(model, tmp_path):
    """In C without a warning, for every input another division; an input that is left off; one row more than is wanted."""
    compilation = compile(model, BOARD, name="eye", compiler="none", feed=True)
    for file, text in compilation.sources.files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    (tmp_path / "main.c").write_text(PROGRAM)
    build = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        *WARNINGS,
        "-fsanitize=undefined",
        "main.c",
        "eye_net.c",
        "eye_weights.c",
    ]
    subprocess.run([*build, "-o", "program"], cwd=tmp_path, check=True)
    random, given, expected = np.random.default_rng(5), b"", b""
    for number, (picture,) in enumerate(random_inputs(compilation.model, 8)):
        if number == 3:
            given, expected = given + bytes([7]) + picture[0, :7].tobytes() + b"\xff", expected + bytes([ROWS - 7])
        come = 0
        while come < ROWS:
            some = min(int(random.integers(0, 2 + 3 * number)), ROWS - come)
            more = number == 5 and come + some == ROWS
            rows = np.concatenate([picture[0, come : come + some], picture[0, :more]])
            given += bytes([some + more]) + rows.tobytes()
            come += some
            expected += bytes([ROWS - come])
        expected += run(compilation.model, (picture,))[0].tobytes()
    done = subprocess.run([tmp_path / "program"], input=given, capture_output=True)
    assert done.returncode == 0 and done.stdout == expected


def test_rows_that_come_wrong_are_found(model):
    plan = compile(model, BOARD, feed=True, compiler="none").plan
    step, arrivals = plan.steps[0], plan.steps[0].way.arrivals
    assert isinstance(step.way, Bands) and len(arrivals) > 2

    def checked(changed):
        way = replace(step.way)
        way.__dict__["arrivals"] = tuple(changed)
        return check(replace(plan, steps=(replace(step, way=way), *plan.steps[1:])))

    checked(arrivals)
    readers = [k for k, piece in enumerate(step.pieces) if piece.way.op.inputs[0].name.startswith("picture[")]
    read, found = [next(k for k in readers if k >= number) for number, _ in arrivals], 0
    for n, (number, arrival) in enumerate(arrivals):
        part = arrival.part
        moved = Part(part.owner, part.offset + 4, part.tensor, part.first)
        wrong = [(), ((read[n] + 1, arrival),), ((number, replace(arrival, part=moved)),)]
        wrong += [((number, replace(arrival, rows=replace(arrival.rows, first=arrival.rows.first + 1))),)]
        for changed in wrong:
            with pytest.raises(SmeltError, match="defect of smelt"):
                checked([*arrivals[:n], *changed, *arrivals[n + 1 :]])
            found += 1
    assert found == 4 * len(arrivals)


def test_what_cannot_be_fed_is_refused(model, tmp_path):
    dense = tmp_path / "dense.tflite"
    dense.write_bytes(dense_model())
    with pytest.raises(OptionError, match="cannot be fed in rows"):
        compile(dense, BOARD, feed=True, compiler="none")
    w = ModelWriter()
    xs = [w.tensor(name, (1, 8, 4, 2), "int8", 0.5, 3) for name in "ab"]
    y = w.tensor("y", (1, 8, 4, 2), "int8", 0.5, 3)
    w.op("MAXIMUM", xs, [y])
    (tmp_path / "two.tflite").write_bytes(w.finish(xs, [y]))
    with pytest.raises(OptionError, match="one input"):
        compile(tmp_path / "two.tflite", BOARD, feed=True, compiler="none")
    for arguments in (("verify", model, "--layers"), ("compile", model, dense)):
        code, _, err = smelt(*arguments, "--feed", "--board", BOARD)
        assert code == 2 and "--feed" in err


def test_the_command_line_feeds(model, tmp_path):
    found = answer("compile", model, "--feed", "--board", BOARD, "--out", tmp_path / "out", "--name", "eye")
    header = (tmp_path / "out" / "eye_net.h").read_text("utf-8")
    assert found["tensor_bytes"] and "uint32_t eye_feed(eye_net *net, const int8_t *rows, uint32_t n);" in header
    assert "get_inputs" not in header and f"EYE_IN_PICTURE_ROWS {ROWS}u" in header
    assert answer("verify", model, "--feed", "--board", BOARD, "-n", 1)["mismatches"] == 0


def test_the_example_of_the_documentation_compiles(model, tmp_path):
    text = (ROOT / "docs" / "feeding.md").read_text("utf-8")
    (example,) = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for file, content in compile(model, BOARD, name="eye", compiler="none", feed=True).sources.files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    (tmp_path / "main.c").write_text(example)
    command = [sys.executable, "-m", "ziglang", "cc", *WARNINGS, "-c", "main.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
