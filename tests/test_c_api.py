"""The public header: helpers, statuses, steps one at a time, hooks that cost nothing where nobody defines them."""

import re
import subprocess

import numpy as np
import pytest

from dev import compilers
from smelt.firmware import emit, render
from smelt.firmware.layout import LONGEST, wrapped
from smelt.firmware.names import telling
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.kernels.headers import needed
from smelt.loops.kernel import Kernel
from smelt.loops.reviewed import reviewed
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.targets.boards import board
from tests.small_models import dense_model
from tests.tflite_writer import ModelWriter
from tests.tiny_firmware import need

STRICT = "-std=c99 -pedantic-errors -Wall -Wextra -Wconversion -Wshadow -Wundef -Werror -O1".split()
MAIN = """
#include "words_net.h"
#include <stdio.h>

WORDS_MEMORY(memory);
static const int32_t shape[WORDS_IN_X_RANK] = WORDS_IN_X_SHAPE;

#ifdef WORDS_PROFILE
static uint32_t now;
uint32_t words_cycles(void) { now += 7u; return now; }
void words_profile(uint32_t step, uint32_t cycles)
{
    fprintf(stderr, "%lu %s %s %lu %lu\\n", (unsigned long)step, words_steps[step].name, words_steps[step].operators,
            (unsigned long)words_steps[step].macs, (unsigned long)cycles);
}
#endif

int main(void)
{
    words_net net;
    const words_memory none = {NULL, NULL}, odd = {(char *)memory.fast + 1, (char *)memory.main + 1};
    if (words_init(&net, NULL) != WORDS_STATUS_NULL_POINTER || words_init(&net, &none) != WORDS_STATUS_NULL_POINTER
        || words_init(&net, &odd) != WORDS_STATUS_MISALIGNED || words_init(&net, &memory) != WORDS_STATUS_OK) {
        return 1;
    }
    if (shape[1] != WORDS_IN_X_HEIGHT || shape[2] != WORDS_IN_X_WIDTH || shape[3] != WORDS_IN_X_CHANNELS) {
        return 2;
    }
    float real[WORDS_IN_X_ELEMENTS];
    if (fread(real, sizeof real[0], WORDS_IN_X_ELEMENTS, stdin) != WORDS_IN_X_ELEMENTS) {
        return 3;
    }
    for (int i = 0; i < WORDS_IN_X_ELEMENTS; i++) {
        words_get_inputs(&net).in_x[i] = words_in_x_quantize(real[i]);
    }
#ifdef BY_STEP
    for (uint32_t step = 0u; step < WORDS_STEPS; step++) {
        if (words_step(&net, step) != WORDS_STATUS_OK) {
            return 4;
        }
    }
    if (words_step(&net, WORDS_STEPS) != WORDS_STATUS_UNKNOWN_STEP) {
        return 5;
    }
#else
    words_run(&net);
#endif
    for (int i = 0; i < WORDS_OUT_Y_ELEMENTS; i++) {
        printf("%.9g\\n", (double)words_out_y_dequantize(words_get_outputs(&net).out_y[i]));
    }
    return 0;
}
"""
HOOKS = """
#include <stdio.h>
#define WORDS_YIELD() fprintf(stderr, "yield\\n")
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The graph of a network of three steps, and the folder of its library and of a program that uses it."""
    folder = tmp_path_factory.mktemp("network")
    w = ModelWriter()
    rng = np.random.default_rng(1)
    x = w.tensor("x", (1, 6, 5, 4), "int8", 0.25, -3)
    weights = w.tensor("weights", (8, 3, 3, 4), "int8", 0.5, 0, data=rng.integers(-127, 128, (8, 3, 3, 4), np.int8))
    bias = w.tensor("bias", (8,), "int32", 0.125, 0, data=rng.integers(-99, 99, 8, np.int32))
    a, b = (w.tensor(name, (1, 6, 5, 8), "int8", 2.0, 5) for name in "ab")
    y = w.tensor("y", (1, 240), "int8", 1 / 256, -128)
    w.op("CONV_2D", [x, weights, bias], [a], Padding=0, StrideH=1, StrideW=1)
    w.op("RELU", [a], [b])
    flat = w.tensor("flat", (1, 240), "int8", 2.0, 5)
    shape = w.tensor("shape", (2,), "int32", data=np.array([1, 240], np.int32))
    w.op("RESHAPE", [b, shape], [flat])
    w.op("SOFTMAX", [flat], [y], Beta=1.0)
    (folder / "model.tflite").write_bytes(w.finish([x], [y]))
    graph = load(folder / "model.tflite")
    plan = make_plan(prepare(graph), board("nucleo_l4r5zi"))
    for file, text in render(emit(plan, "words")).files.items():
        (folder / file).write_text(text)
    (folder / "main.c").write_text(MAIN)
    (folder / "hooks.h").write_text(HOOKS)
    return graph, plan, folder


def build(folder, *flags):
    need("gcc")
    sources = ["words_net.c", "words_weights.c", "main.c"]
    command = ["gcc", *STRICT, *flags, *sources, "-o", "main"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "main"


@pytest.mark.parametrize("how", [(), ("-DBY_STEP",), ("-DWORDS_PROFILE", '-DWORDS_HOOKS="hooks.h"')])
def test_runs_and_steps_compute_the_same_and_hooks_hear_of_each_step(how, network):
    graph, plan, folder = network
    program = build(folder, *how)
    given = random_inputs(graph, 1)[0][0]
    real = ((given.astype(np.float32) + 3) * np.float32(0.25)).astype("<f4")
    done = subprocess.run([program], input=real.tobytes(), capture_output=True)
    assert done.returncode == 0
    expected = (run(graph, (given,))[0].astype(np.float64) + 128) / 256
    assert np.array_equal(np.array(done.stdout.split(), float), expected.reshape(-1))
    heard = [line for line in done.stderr.decode().splitlines() if line != "yield"]
    if len(how) < 2:
        assert not heard
        return
    assert heard == [f"{n} {s.name} {s.operators} {s.macs} 7" for n, s in enumerate(plan.steps)]
    assert done.stderr.count(b"yield") == len(plan.steps) - 1


def test_what_nobody_uses_is_not_there(network):
    """Neither steps nor their table, and a run is kernel calls and nothing else."""
    folder = network[2]
    program = build(folder, "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
    names = subprocess.run(["nm", program], capture_output=True, text=True).stdout
    assert "words_run" in names and not re.findall(r"\bwords_s(?:tep)?\w*", names)


def test_reals_are_rounded_to_the_nearest_value(network, tmp_path):
    folder = network[2]
    scale, zero = np.float32(0.25), -3
    halves = (np.arange(-140, 140).astype(np.float32) + np.float32(0.5)) * scale
    reals = np.concatenate([halves, np.nextafter(halves, np.float32(-1e9)), np.nextafter(halves, np.float32(1e9)),
                            np.array([0, -0.0, 1e30, -1e30, np.inf, -np.inf, np.nan], np.float32)])  # fmt: skip
    (tmp_path / "q.c").write_text(
        '#include "words_net.h"\n#include <stdio.h>\nint main(void) { float x;\n'
        'while (fread(&x, sizeof x, 1, stdin) == 1) { printf("%d\\n", words_in_x_quantize(x)); } return 0; }\n'
    )
    subprocess.run(["gcc", *STRICT, f"-I{folder}", "q.c", "-o", "q"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "q"], input=reals.astype("<f4").tobytes(), capture_output=True, check=True)
    scaled = (reals / scale).astype(np.float64)
    away = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + zero
    expected = np.where(np.isnan(away), -128, np.clip(away, -128, 127))
    assert np.array_equal(np.array(done.stdout.split(), int), expected.astype(int))


@pytest.mark.parametrize("compiler", ["gcc -std=c99", "g++ -std=c++98", "g++ -std=c++20 -pedantic"])
def test_each_header_stands_alone(compiler, network, tmp_path):
    """The public one in C and C++, the others in C: included twice, with nothing before them."""
    program, *flags = compiler.split()
    need(program)
    for header in network[2].glob("words_net.h" if program == "g++" else "[sw][mo]*.h"):
        file = tmp_path / ("alone.cpp" if program == "g++" else "alone.c")
        file.write_text(f'#include "{header.name}"\n' * 2)
        warnings = "-Wall -Wextra -Wconversion -Wshadow -Wundef -Werror -Wno-unused-function".split()
        command = [program, *flags, *warnings, f"-I{network[2]}", "-DWORDS_PROFILE", "-fsyntax-only", file]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_lines_are_short_and_offsets_have_names(network):
    for file in network[2].glob("[!m]*.[ch]"):
        assert max(map(len, file.read_text().splitlines())) <= LONGEST, file
    code = (network[2] / "words_net.c").read_text()
    assert "(net, WORDS_AT_INPUT_0)" in code and not re.search(r"(?:net->\w+(?: \+ |\[)|\(net, )\d", code)


def test_what_reviewers_see_is_the_same_machine_code(network, tmp_path):
    """As the plain print, of which names of kernels and all measurements are digests."""
    _, plan, folder = network
    kernels = list({call.kernel.name: call.kernel for call in plan.calls}.values())
    heads = '#include "smelt_kernels.h"\n' + "".join(
        f'#include "{h}"\n' for h in needed("".join(k.c() for k in kernels), plan.board.core)
    )
    made = {}
    for way, text in {"plain": Kernel.c, "reviewed": reviewed}.items():
        (tmp_path / f"{way}.c").write_text(heads + "\n".join(text(k, k.name) for k in kernels))
        command = ["gcc", *STRICT, "-O2", f"-I{folder}", "-S", "-o", "-", f"{way}.c"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made[way] = done.stdout.replace(f"{way}.c", "")
    assert made["plain"] == made["reviewed"] and len(made["plain"]) > 1000
    assert (tmp_path / "plain.c").read_text() != (tmp_path / "reviewed.c").read_text()


def test_kernels_say_what_they_are_for(network):
    code = (network[2] / "words_net.c").read_text()
    assert re.search(r"void words_k_conv2d_\w+_6x5x4_to_8_[0-9a-f]{8}", code)
    assert re.search(r"void words_k_softmax\w*_240_[0-9a-f]{8}", code)
    long = "conv2d_pointwise_1a2b3c4d_s"
    assert telling(long, "96x96x3_to_48x48x8", 50) == "conv2d_pointwise_96x96x3_to_48x48x8_1a2b3c4d_s"
    assert telling(long, "96x96x3_to_48x48x8", 40) == long, (
        "compilers must tell names apart by their first 63 characters"
    )


def test_long_lines_are_broken_where_c_allows_it():
    call = f"    f({', '.join(f'argument_{n}' for n in range(20))}); /* {'words ' * 20}*/"
    text = f' "{"a, b " * 40}"'
    macro = f"#define X {' + '.join(f'value_{n}' for n in range(30))}"
    for line in (call, macro, f"/*\n * {'words ' * 40}\n */"):
        found = wrapped(line)
        assert max(map(len, found.splitlines())) <= LONGEST
        assert "".join(re.sub(r"\\\n|\n \*|\s", "", found)) == re.sub(r"\n \*|\s", "", line)
    assert wrapped(text) == text, "strings stay whole"
    assert all(line.endswith(" \\") for line in wrapped(macro).splitlines()[:-1])
    last = wrapped(f"#define X \\\n    f({', '.join(f'argument_{n}' for n in range(20))})").splitlines()
    assert len(last) > 2 and all(line.endswith("\\") for line in last[:-1])


def test_compilers_are_asked_for_warnings_and_results(tmp_path, monkeypatch, capsys):
    """One row of docs/compilers.md, in little: a compiler that has nothing but C99."""
    need("gcc")
    (tmp_path / "model.tflite").write_bytes(dense_model())
    monkeypatch.setattr(compilers, "LEVELS", ("-O1",))
    compilers.main(["--model", str(tmp_path / "model.tflite"), "--only", "nothing but C99"])
    row = capsys.readouterr().out.splitlines()[-1].split("|")
    assert [word.strip() for word in row[3:6]] == ["this machine", "0", "equal"]
