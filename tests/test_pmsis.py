"""Applications for a vendor's SDK: compiled against headers of our own, run on the host by an SDK of our own."""

import re
import subprocess

import numpy as np
import pytest

from smelt.compile import compile as compile_model
from smelt.firmware.build import compiler_command
from smelt.firmware.mark import is_intact
from smelt.firmware.pmsis import FILES
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.targets.boards import CLUSTERS
from tests.paths import ROOT
from tests.small_models import dense_model
from tests.tflite_writer import ModelWriter

(BOARD,) = CLUSTERS
SDK = ROOT / "tests" / "pmsis"
WARNINGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror")
L1 = 60000


def image_model() -> bytes:
    """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: rounds of several kinds."""
    random, writer = np.random.default_rng(5), ModelWriter()

    def weights(name, *shape):
        return writer.tensor(name, shape, "int8", 0.01, 0, data=random.integers(-127, 128, shape, np.int8))

    x = writer.tensor("x", (1, 18, 14, 6), "int8", 0.1, 3)
    y = writer.tensor("y", (1, 18, 14, 24), "int8", 0.2, -5)
    z = writer.tensor("z", (1, 9, 7, 24), "int8", 0.2, 2)
    scores = writer.tensor("scores", (1, 10), "int8", 0.3, 1)
    same = dict(Padding=0, StrideH=1, StrideW=1)
    writer.op("CONV_2D", [x, weights("v", 24, 3, 3, 6), -1], [y], **same)
    writer.op(
        "DEPTHWISE_CONV_2D",
        [y, weights("w", 1, 3, 3, 24), -1],
        [z],
        **same | dict(StrideH=2, StrideW=2),
        DepthMultiplier=1,
    )
    writer.op("FULLY_CONNECTED", [z, weights("d", 10, 9 * 7 * 24), -1], [scores])
    return writer.finish([x], [scores])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(image_model())
    return compile_model(path, BOARD, name="words", compiler="none", effort="quick", regions={"l1": 16384})


@pytest.fixture
def folder(made, tmp_path):
    made.save(tmp_path)
    return tmp_path


def command_of(folder, portable=False) -> tuple[list[str], list[str]]:
    """The sources and the flags that the Makefile names; it has one condition, whether PORTABLE is set."""
    always, sometimes = (folder / "words_pmsis.mk").read_text().split("ifdef PORTABLE\n")
    text = always + sometimes.partition("endif\n")[0] * portable
    sources = re.findall(r"^APP_SRCS = (.*)$", text, re.MULTILINE)
    flags = re.findall(r"^APP_CFLAGS \+= (.*)$", text, re.MULTILINE)
    return sources[0].split(), [f for f in " ".join(flags).split() if f.startswith(("-D", "-I"))]


@pytest.mark.parametrize("portable", [False, True])
def test_all_of_it_compiles_for_the_cores(folder, portable):
    """Nothing is missing, and there are no warnings; with the instructions, and without."""
    sources, flags = command_of(folder, portable)
    assert set(sources) == {p.name for p in folder.iterdir() if p.suffix in (".c", ".S")}
    where = (f"-I{SDK}", f"-I{ROOT / 'smelt' / 'firmware' / 'support'}")
    command = (*compiler_command(BOARD), *WARNINGS, "-ffreestanding", *flags, *where)
    done = [execute((*command, "-c", s, "-o", f"{s}.o"), folder) for s in sources]
    assert [d.stderr for d in done] == [""] * len(sources)
    assert (".insn" in execute((*command, "-E", "words_net.c"), folder).stdout) != portable


def execute(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def on_host(folder, sources, flags=(), l1=L1):
    """Run sources on our own SDK."""
    where = (f"-I{SDK}", f"-DL1_SIZE={l1}", "-fno-pie", "-no-pie", "-o", "application")
    command = ("gcc", *WARNINGS, *flags, *sources, str(SDK / "pmsis_on_host.c"), *where)
    assert execute(command, folder).stderr == ""
    return execute([folder / "application"], folder)


def test_it_computes_what_the_reference_computes(made, folder):
    """Moved as late as can be, with the last worker first; and it tells when an output is not what it should be."""
    sources, flags = command_of(folder)
    done = on_host(folder, sources, flags)
    (inputs,) = random_inputs(made.model, 1)
    (expected,) = run(made.model, inputs)
    cycles, prediction, equal = done.stdout.splitlines()
    assert done.returncode == 0 and equal.endswith(" 0 of 10")
    assert prediction == f"prediction: {expected.argmax()}" and int(cycles.split()[1]) >= len(made.plan.steps)
    header = (folder / "words_example.h").read_text()
    first = re.search(r"example_out_scores\[10\] = \{\s+(\d+)", header)
    (folder / "words_example.h").write_text(f"{header[: first.start(1)]}{int(first[1]) ^ 1}{header[first.end(1) :]}")
    done = on_host(folder, sources, flags)
    assert done.returncode == 1 and done.stdout.splitlines()[2].endswith(" 1 of 10")


def test_an_sdk_that_leaves_too_little_l1(folder):
    done = on_host(folder, *command_of(folder), l1=4096)
    assert done.returncode == 256 - 2 and "--region l1=BYTES" in done.stdout


def test_long_transfers_and_the_ram_outside(folder):
    done = on_host(folder, ("words_pmsis.c", str(SDK / "layer.c")), ("-I.", "-DSMELT_PMSIS"), l1=100000)
    assert (done.stdout, done.returncode) == ("", 0)


def test_files_are_there_for_chips_with_an_sdk_only(made, folder, tmp_path_factory):
    """And go with the network that they belong to."""
    names = {f"words_{end}" for end in FILES}
    assert names <= {p.name for p in folder.iterdir()}
    assert all(is_intact((folder / name).read_bytes()) for name in names)
    path = tmp_path_factory.mktemp("other") / "model.tflite"
    path.write_bytes(dense_model())
    compile_model(path, "nucleo_l4r5zi", name="words", compiler="none").save(folder)
    assert not names & {p.name for p in folder.iterdir()}
