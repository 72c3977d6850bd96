"""Weights as an image of their own: trainings of one network exchange theirs, and nothing else is taken for them."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.compile import compile
from smelt.errors import OptionError
from smelt.firmware.image import make_image
from smelt.firmware.weights_image import HEAD, is_weights_image
from smelt.inputs import random_inputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.numbers import numbered
from smelt.model.reference import run
from smelt.report.execute import execute
from tests.tiny_firmware import need
from tests.trainings import training

BOARD = "nucleo_l4r5zi"
STRICT = "-std=c99 -pedantic-errors -Wall -Wextra -Wconversion -Wshadow -Wundef -Werror -O1".split()
TRAININGS = {"first": (1, 0), "same scales": (2, 0), "other scales": (3, 1)}
PROGRAM = """
#include "words_net.h"
#include <stdio.h>
WORDS_MEMORY(memory);

/* An image of the built-in size, then inputs; or of another size, given as a number of bytes. */
int main(void)
{
    static uint64_t image[4096];
    uint32_t bytes = 0u;
    int8_t x[WORDS_IN_X_SIZE];
    words_net net;
    if (words_init(&net, &memory) != WORDS_STATUS_OK
        || words_init_image(&net, &memory, NULL) != WORDS_STATUS_NULL_POINTER
        || words_init_image(&net, &memory, (const char *)image + 4) != WORDS_STATUS_MISALIGNED) {
        return 1;
    }
    if (fread(&bytes, sizeof bytes, 1, stdin) != 1 || fread(image, 1, bytes, stdin) != bytes) {
        return 2;
    }
    const words_status_code status = words_init_image(&net, &memory, image);
    printf("%d\\n", (int)status);
    if (status != WORDS_STATUS_OK) {
        return 0;
    }
    while (fread(x, 1, sizeof x, stdin) == sizeof x) {
        for (uint32_t i = 0u; i < WORDS_IN_X_SIZE; i++) {
            const float real = words_in_x_scale(&net) * (float)((int32_t)x[i] - words_in_x_zero_point(&net));
            words_get_inputs(&net).in_x[i] = words_in_x_quantize(&net, real);
        }
        words_run(&net);
        for (int i = 0; i < WORDS_OUT_Y_ELEMENTS; i++) {
            printf("%g\\n", 256.0 * (double)words_out_y_dequantize(&net, words_get_outputs(&net).out_y[i]));
        }
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """The compilations of all trainings, C only."""
    folder = tmp_path_factory.mktemp("trainings")
    found = {}
    for name, (seed, scales) in TRAININGS.items():
        (folder / "model.tflite").write_bytes(training(seed, scales))
        found[name] = compile(folder / "model.tflite", BOARD, name="words", compiler="none", weights_image=True)
    return found


@pytest.fixture(scope="module")
def program(trainings, tmp_path_factory):
    """What the first training was made into; it reads an image, and inputs."""
    need("gcc")
    folder = tmp_path_factory.mktemp("program")
    for file, text in trainings["first"].sources.files.items():
        (folder / file).write_text(text)
    (folder / "main.c").write_text(PROGRAM)
    sources = ["words_net.c", "words_weights.c", "main.c"]
    done = subprocess.run(["gcc", *STRICT, *sources, "-o", "main"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "main"


def answer(program, image, inputs=b""):
    given = len(image).to_bytes(4, "little") + image + inputs
    done = subprocess.run([program], input=given, capture_output=True)
    assert done.returncode == 0
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("name", TRAININGS)
def test_c_of_one_training_computes_what_another_does(name, trainings, program):
    made = trainings[name]
    inputs = random_inputs(made.model, 3)
    status, *values = answer(program, made.weights_image, b"".join(arrays[0].tobytes() for arrays in inputs))
    expected = [int(v) + 128 for arrays in inputs for v in run(made.model, arrays)[0].ravel()]
    assert status == 0 and values == expected
    assert name == "first" or made.weights_image != trainings["first"].weights_image


def test_the_image_that_is_linked_is_aligned_without_words_of_gnu(program, tmp_path):
    """As IAR sees it, which has C11. (GCC itself would align it in any case.)"""
    command = ["gcc", "-std=c11", "-U__GNUC__", "-Wno-system-headers", "words_weights.c"]
    for more in (["-E"], ["-c", "-Werror", "-o", tmp_path / "weights.o"]):
        done = subprocess.run([*command, *more], cwd=program.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "-c" in more or re.search(r"_Alignas\(32\)\s+const uint32_t words_weights\[", done.stdout)


def test_what_is_no_image_of_this_code_or_a_damaged_one_is_refused(trainings, program, tmp_path):
    image = trainings["other scales"].weights_image
    assert is_weights_image(image) and not is_weights_image(image[:-8]) and not is_weights_image(b"")
    for at in (HEAD, len(image) // 2, len(image) - 1, 16):
        damaged = bytearray(image)
        damaged[at] ^= 1
        assert answer(program, bytes(damaged)) == [-5] and not is_weights_image(bytes(damaged))
    for at in (0, 4, 11, 12):
        damaged = bytearray(image)
        damaged[at] ^= 1
        assert answer(program, bytes(damaged)) == [-4]
    assert answer(program, bytes(len(image))) == answer(program, b"\xff" * len(image)) == [-4]
    (tmp_path / "wider.tflite").write_bytes(training(1, channels=12))
    wider = compile(tmp_path / "wider.tflite", BOARD, compiler="none", weights_image=True)
    assert answer(program, wider.weights_image) == [-4]
    with pytest.raises(OptionError, match="another layout"):
        compile(tmp_path / "wider.tflite", BOARD, compiler="none", weights_image=True, replaces=image)


def test_firmware_on_a_board_takes_the_image_of_another_training(trainings, tmp_path):
    """As a loader does over the air: the bytes in flash are others, the code is not."""
    (tmp_path / "first.tflite").write_bytes(training(*TRAININGS["first"]))
    made, other = compile(tmp_path / "first.tflite", BOARD, name="words", weights_image=True), trainings["other scales"]
    assert made.image.elf.count(made.weights_image) == 1
    elf = made.image.elf.replace(made.weights_image, other.weights_image)
    image = make_image(elf, made.plan.board, "zig", made.sources.entry, made.sources.kernels)
    inputs = random_inputs(other.model, 1)
    for compilation, model in ((made, made.model), (replace(made, image=image), other.model)):
        found = execute(compilation, inputs)
        assert np.array_equal(found.outputs[0][0].ravel(), run(model, inputs[0])[0].ravel())


def test_the_command_writes_the_image_and_looks_at_the_one_in_the_field(tmp_path):
    def smelt(name, *more):
        command = ["compile", tmp_path / name, "-b", BOARD, "--compiler", "none", "--name", "words", *more]
        return CliRunner().invoke(main, [str(word) for word in command])

    for name in ("first", "next"):
        (tmp_path / name).with_suffix(".tflite").write_bytes(training(len(name)))
    out, file = tmp_path / "out", tmp_path / "out/words_weights.bin"
    assert smelt("first.tflite", "--weights-image", "--out", out).exit_code == 0
    first = file.read_bytes()
    assert smelt("next.tflite", "--weights-image", "--out", out, "--replaces", file).exit_code == 0
    assert is_weights_image(file.read_bytes()) and file.read_bytes()[4:12] == first[4:12] and file.read_bytes() != first
    before = file.read_bytes()
    for model, options, told in (
        ("next.tflite", ["--replaces", file], "--weights-image"),
        ("next.tflite", ["--weights-image", "--weights", "ram"], "where it lies"),
        ("next.tflite", ["--weights-image", "--replaces", tmp_path / "next.tflite"], "no image of weights"),
    ):
        result = smelt(model, *options, "--out", out)
        assert result.exit_code == 2 and told in result.stderr
    file.write_bytes(before[:-1] + b"!")
    assert smelt("next.tflite", "--weights-image", "--out", out).exit_code == 2, "what somebody changed is not lost"
    file.write_bytes(before)
    assert smelt("next.tflite", "--out", out).exit_code == 0 and not file.exists()


def test_only_numbers_in_what_is_computed_go_into_tables():
    def kernel(add, index=1, turns=4):
        k = KernelBuilder("sum")
        x, y = k.input("x", "int8_t", 8), k.output("y", "int32_t", 8)
        with k.loop("i", 0, turns) as i:
            k.store(y, i, (x[i + index] + add) * add)
        return k.finish()

    made = numbered([kernel(5), kernel(7)])
    (buffer,) = (b for b in made.kernel.buffers if b.role == "constant")
    assert made.tables[0].tolist() == [5] and buffer.size == 1 and "+ numbers[0]) * numbers[0]" in made.kernel.c()
    assert numbered([kernel(6), kernel(8)]).kernel.name == made.kernel.name
    assert numbered([kernel(5), kernel(5)]).tables == ()
    assert numbered([kernel(5), kernel(7, index=2)]) is None and numbered([kernel(5), kernel(5, turns=3)]) is None
    assert numbered([kernel(5), kernel(0)]) is None, "a sum with nothing is no sum"
