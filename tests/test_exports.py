"""Packages: each format built by the tool that it is for, or by its rules and stubs of what it is compiled against."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
import zipfile
from datetime import date

import kconfiglib
import numpy as np
import pytest
import yaml

from smelt.commands.options import EXPORTS
from smelt.compile import compile
from smelt.errors import OptionError
from smelt.firmware import emit, render
from smelt.firmware.exports import (
    FORMATS,
    MANIFEST,
    Golden,
    Label,
    Origin,
    check_format,
    format_named,
    lay_out,
    package,
)
from smelt.firmware.mark import is_intact, is_marked
from smelt.firmware.mlperf import Mlperf, Mode
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.targets.boards import WITH_EXTERNAL
from smelt.targets.boards import board as board_named
from tests.paths import DATA, HELLO_FLOAT
from tests.small_models import dense_model
from tests.test_feed import camera
from tests.test_states import delay_line
from tests.tiny_firmware import need

WARNINGS = "-std=c99 -O1 -ffp-contract=off -pedantic-errors -Wall -Wextra -Wconversion -Wundef -Werror".split()
LABEL = Label(license="MIT", publisher="Somebody", day=date(2026, 11, 29))


ORIGIN = Origin("a model.tflite", "0" * 64, {"--for": "balanced"})
STUBS = DATA / "exports"


def made(path, board="nucleo_l4r5zi", name="words", label=LABEL, labels=(), **options):
    """The package of a model."""
    c = compile(path, board, name=name, compiler="none", **options)
    (inputs,) = random_inputs(c.model, 1)
    return package(c.program, c.sources, Golden(inputs, run(c.model, inputs)), label, ORIGIN, labels=labels)


def with_states():
    """The package of a network that remembers its last inputs."""
    graph = delay_line()
    program = emit(make_plan(prepare(graph), board_named("nucleo_l4r5zi")), "words")
    (inputs,) = random_inputs(graph, 1)
    return package(program, render(program), Golden(inputs, run(graph, inputs)), LABEL, ORIGIN)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(dense_model())
    return path


@pytest.fixture(scope="module")
def words(model):
    return made(model, labels=("yes", "no", "up", "down", 'it\'s "?"'))


@pytest.fixture(scope="module")
def answering(model):
    """The same network with firmware, for formats that have it."""
    c = compile(model, "nucleo_l4r5zi", name="words", mlperf=Mlperf("somebody"))
    (inputs,) = random_inputs(c.model, 1)
    mode = Mode("performance", c.plan.board, c.firmware, c.image)
    return package(c.program, c.sources, Golden(inputs, run(c.model, inputs)), LABEL, ORIGIN, modes=(mode,))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a folder with spaces"


def written(format, thing, folder):
    """`folder`, with a package as that format."""
    for name, data in lay_out(format_named(format), thing).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def execute(*command, cwd=None):
    """What a program prints; its complaint where it fails."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def code(folder):
    return sorted(p for p in folder.iterdir() if p.suffix in (".c", ".S"))


def compiled(folder, *sources, compiler="gcc", flags=WARNINGS, include=(".",)):
    """A program of those sources."""
    paths = [f"-I{folder / name}" for name in include]
    execute(compiler, *flags, *paths, *sources, "-o", folder / "program")
    return folder / "program"


def test_the_command_knows_all_formats():
    assert tuple(format.name for format in FORMATS) == EXPORTS


def test_c_runs_its_self_test_which_can_fail(words, folder):
    need("gcc")
    written("c", words, folder)
    sources = [folder / "examples" / "main.c", *code(folder)]
    assert "self-test: 0 wrong" in execute(compiled(folder, *sources))
    test = folder / "words_self_test.h"
    changed = re.sub(r"(golden_out_\w+\[\d+\] = \{\n *)-?\d+", r"\g<1>99", test.read_text())
    assert changed != test.read_text()
    test.write_text(changed)
    done = subprocess.run([compiled(folder, *sources)], capture_output=True, text=True)
    assert "self-test: 1 wrong" in done.stdout and done.returncode == 1


def test_examples_name_the_class_that_a_network_chose(model, folder):
    need("gcc")
    chosen = made(model, labels=("yes", "no", "up", "down", "stop"), output_type="class")
    written("c", chosen, folder)
    (best,) = run(chosen.program.plan.graph, [np.zeros((1, 16), np.int8)])[0].reshape(-1)
    said = execute(compiled(folder, folder / "examples" / "main.c", *code(folder)))
    assert f"best of 5 classes: number {best} {chosen.labels[best]}\n" in said
    sketch = lay_out(format_named("platformio"), chosen)["examples/basic/basic.ino"].decode()
    assert "largest = (int)out.out_" in sketch and '"best class: "' in sketch


def test_single_file(words, folder):
    for compiler in ("gcc", "arm-none-eabi-gcc", "arm-none-eabi-nm"):
        need(compiler)
    written("single-file", words, folder)
    assert {p.name for p in folder.rglob("*") if p.is_file()} == {
        *("words.h", "main.c", "README.md", "LICENSE", "MISRA.md", MANIFEST)
    }
    assert "self-test: 0 wrong" in execute(compiled(folder, folder / "examples" / "main.c"))
    target = ["-mcpu=cortex-m4", "-mthumb", "-O2", "-Wall", "-Wextra", "-Werror", "-std=c99", "-pedantic-errors", "-c"]
    execute("arm-none-eabi-gcc", *target, f"-I{folder}", folder / "examples" / "main.c", "-o", folder / "one.o")
    execute("g++", "-std=c++11", "-Wall", "-Werror", "-fsyntax-only", "-x", "c++", folder / "words.h")
    (folder / "words_routines.S").write_text(words.private["words_routines.S"])
    execute("arm-none-eabi-gcc", *target, folder / "words_routines.S", "-o", folder / "routines.o")
    routines = symbols(folder / "routines.o")
    assert routines and routines <= symbols(folder / "one.o")


def symbols(file):
    """The names of what an object file defines."""
    return {
        line.split()[-1]
        for line in execute("arm-none-eabi-nm", "--defined-only", file).splitlines()
        if "smelt_" in line
    }


@pytest.mark.parametrize("kind", ["fed", "floats", "states"])
def test_other_networks_run_their_self_test(kind, folder):
    need("gcc")
    if kind == "states":
        thing = with_states()
    else:
        path = folder.parent / "model.tflite"
        path.write_bytes(camera(9, 6) if kind == "fed" else HELLO_FLOAT.read_bytes())
        thing = made(path, feed=kind == "fed")
    assert (thing.fed is not None, bool(thing.program.cells)) == (kind == "fed", kind == "states")
    written("mlf", thing, folder)
    main = written("c", thing, folder) / "examples" / "main.c"
    again = main.read_text().replace("return wrong == 0", "return words_self_test(&net) + wrong == 0")
    assert again != main.read_text()
    main.write_text(again)
    assert "self-test: 0 wrong" in execute(compiled(folder, main, *code(folder)))
    execute("g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{folder}", "-x", "c++", main)
    assert entry(folder, thing) == b"".join(np.ascontiguousarray(a).tobytes() for a in thing.golden.outputs)


def test_cmake_is_fetched_and_found(words, folder):
    need("cmake")
    written("cmake", words, folder)
    example, build, prefix = folder / "examples" / "basic", folder.parent / "build", folder.parent / "the prefix"
    execute("cmake", "-S", example, "-B", build)
    assert "Release" in (build / "CMakeCache.txt").read_text().split("CMAKE_BUILD_TYPE:")[1].split("\n")[0]
    execute("cmake", "--build", build)
    assert "self-test: 0 wrong" in execute(build / "words_example")
    assert (build / "_deps").is_dir()
    execute("cmake", "--install", build, "--prefix", prefix)
    alone, build = folder.parent / "alone", folder.parent / "found"
    shutil.copytree(example, alone)  # where there is no package above
    execute("cmake", "-S", alone, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    execute("cmake", "--build", build)
    assert "self-test: 0 wrong" in execute(build / "words_example") and not (build / "_deps").exists()


CORES = {  # how Arduino's cores compile libraries, and sketches
    "c": ["gcc", "-std=gnu11", "-Os", "-w", "-ffunction-sections", "-fdata-sections"],
    "c++": ["g++", "-std=gnu++14", "-Os", "-Wall", "-Wextra", "-Werror", "-include", "Arduino.h", "-x", "c++"],
}


def sketch_runs(sketch, headers, sources, folder):
    """What a sketch prints in its first round, compiled against a stub of Arduino's core."""
    objects = [folder / f"{source.stem}.o" for source in (*sources, sketch)]
    for source, file in zip(sources, objects, strict=False):
        execute(*CORES["c"], f"-I{headers}", "-c", source, "-o", file)
    execute(*CORES["c++"], f"-I{headers}", f"-I{STUBS}", "-c", sketch, "-o", objects[-1])
    execute("g++", *objects, "-o", folder / "program")
    return execute(folder / "program")


def test_arduino(words, folder):
    """By the rules of the library specification and of arduino-lint; the sketch is compiled against a stub."""
    need("g++")
    written("arduino", words, folder)
    library = folder / "words"
    properties = dict(line.split("=", 1) for line in (library / "library.properties").read_text().splitlines()[1:])
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= properties.keys() and all(properties.values())
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", properties["name"]) and properties["name"] == library.name
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"]) and properties["category"] == "Data Processing"
    assert "avr" not in properties["architectures"].split(",")  # constants would be copied to RAM
    assert all((library / "src" / header).is_file() for header in properties["includes"].split(","))
    said = sketch_runs(library / "examples" / "basic" / "basic.ino", library / "src", code(library / "src"), folder)
    assert "elements that are wrong: 0\n" in said and "largest output: " in said
    with zipfile.ZipFile(folder / "words-1.0.0.zip") as archive:
        assert archive.testzip() is None
        for file in (f for f in library.rglob("*") if f.is_file()):
            assert archive.read(file.relative_to(folder).as_posix()) == file.read_bytes()


def test_platformio_packs_it(model, words, folder):
    need("pio")
    plain = made(model, label=Label())  # with a licence, pio asks the network for the list of all
    settings = {"PLATFORMIO_CORE_DIR": str(folder.parent / "core"), "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "No"}
    settings |= {"PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL": "99999"}
    written("platformio", plain, folder)
    command = ["pio", "pkg", "pack", str(folder), "-o", str(folder.parent / "words.tar.gz")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings})
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(folder.parent / "words.tar.gz") as archive:
        assert {"library.json", "src/words_net.c", "include/words_net.h"} <= set(archive.getnames())
    said = sketch_runs(folder / "examples" / "basic" / "basic.ino", folder / "include", code(folder / "src"), folder)
    assert "elements that are wrong: 0\n" in said
    assert json.loads(lay_out(format_named("platformio"), words)["library.json"])["license"] == "MIT"


MODULE = {  # the schema of zephyr/module.yml, as Zephyr's own script has it
    "name", "build", "samples", "tests", "boards", "blobs", "package-managers", "security", "runners", "tags",
}  # fmt: skip
BUILD = {"cmake", "kconfig", "cmake-ext", "kconfig-ext", "sysbuild-cmake", "sysbuild-kconfig", "depends", "settings"}


def test_zephyr_and_esp_idf(words, folder):
    """Kconfig by Zephyr's own reader of it; CMake with stubs of what Zephyr and ESP-IDF define; their examples run."""
    need("cmake")
    module, component = (written(name, words, folder / name) for name in ("zephyr", "esp-idf"))
    table = yaml.safe_load((module / "zephyr" / "module.yml").read_text())
    assert table.keys() <= MODULE and table["build"].keys() <= BUILD and table["name"] == "words"
    assert (module / table["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert all((module / sample).is_dir() for sample in table["samples"])
    options = kconfiglib.Kconfig(str(module / table["build"]["kconfig"]), warn_to_stderr=False)
    options.load_config(str(write(folder / "only.conf", "CONFIG_WORDS_NET=y\n")))
    assert not options.warnings and options.syms["WORDS_NET"].str_value == "y"
    assert "CONFIG_WORDS_NET=y" in (module / "samples" / "basic" / "prj.conf").read_text().splitlines()
    (console,) = yaml.safe_load((module / "samples" / "basic" / "sample.yaml").read_text())["tests"].values()
    build = folder / "build"
    execute("cmake", "-S", STUBS, "-B", build, f"-DMODULE={module}", f"-DCOMPONENT={component}")
    execute("cmake", "--build", build)
    for program in ("zephyr_sample", "idf_example"):
        assert re.search(console["harness_config"]["regex"][0], execute(build / program))


def test_esp_idf_packs_it(words, folder):
    need("compote")
    written("esp-idf", words, folder / "words")
    execute("compote", "component", "pack", "--name", "words", cwd=folder / "words")
    with tarfile.open(folder / "words" / "dist" / "words_1.0.0.tgz") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert {"idf_component.yml", "CMakeLists.txt", "src/words_net.c", "include/words_net.h"} <= names
    manifest = yaml.safe_load((folder / "words" / "idf_component.yml").read_text())
    assert (manifest["version"], manifest["license"]) == ("1.0.0", "MIT")


def write(file, text):
    file.write_text(text)
    return file


def test_cmsis_pack(words, folder):
    """By the errors of packchk that a pack of this kind can have, with their numbers, and by the schema's rules of what must be."""
    written("cmsis-pack", words, folder)
    assert not problems(folder)
    root = ElementTree.parse(folder / "Somebody.words.pdsc").getroot()
    entries = root.find("components/component/files").findall("file")
    built = [e for e in entries if e.get("category") in ("sourceC", "sourceAsm") and e.get("attr") is None]
    assert {e.get("name") for e in built} == {f"src/{p.name}" for p in code(folder / "src")}
    (include,) = (e.get("name") for e in entries if e.get("category") == "include")
    (main,) = (e.get("name") for e in entries if e.get("attr") == "template")
    assert "self-test: 0 wrong" in execute(
        compiled(folder, folder / main, *(folder / e.get("name") for e in built), include=(include, "src"))
    )
    with zipfile.ZipFile(folder / "Somebody.words.1.0.0.pack") as archive:
        assert archive.testzip() is None and {"Somebody.words.pdsc", "LICENSE", main} <= set(archive.namelist())


SPOILED = {
    "M302": ("<vendor>Somebody</vendor>", ""),
    "M303": ("<name>words</name>", ""),
    "M207": ("<name>words</name>", "<name>other</name>"),
    "M306": ("<description>[^<]*Generated[^<]*</description>", ""),
    "M323": ('name="src/words_net.c"', 'name="src/words_Net.c"'),
    "M326": ('name="README.md"', 'name="/README.md"'),
    "M332": ('condition="words Little-endian"', 'condition="Little-endian"'),
    "M394": ('release version="1.0.0"', 'release version="1"'),
    "M328": (' version="1.0.0" date', " date"),
    "M329": ("Generated by smelt [0-9.a-z()]+ *.</release>", "</release>"),
    "M373": ('schemaVersion="1.7.28"', ""),
    "M305": ("<release .*</release>", ""),
}


def test_what_is_wrong_with_a_pack_is_seen(words, folder):
    written("cmsis-pack", words, folder)
    file = folder / "Somebody.words.pdsc"
    good = file.read_text()
    for code, (before, after) in SPOILED.items():
        spoiled = re.sub(before, after, good)
        file.write_text(spoiled)
        assert spoiled != good and code in problems(folder), code
    file.write_text(good)
    (folder / "second.pdsc").write_text(good)
    assert problems(folder) == {"M206"}


def problems(folder):
    """What packchk would say, by its numbers."""
    files = sorted(folder.glob("*.pdsc"))
    root = ElementTree.parse(files[0]).getroot()
    texts = {tag: (root.findtext(tag) or "").strip() for tag in ("vendor", "name", "description", "url")}
    releases, components = root.findall("releases/release"), root.findall("components/component")
    conditions = {c.get("id") for c in root.findall("conditions/condition")}
    names = [e.get("name", "") for e in root.iter("file")] + [root.findtext("license") or ""]
    version = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
    said = {
        "M206": len(files) > 1,
        "M207": files[0].name != f"{texts['vendor']}.{texts['name']}.pdsc",
        "M302": not texts["vendor"],
        "M303": not texts["name"],
        "M305": not releases,
        "M306": not texts["description"],
        "M304": not texts["url"].endswith("/"),
        "M323": any(not (folder / name).exists() for name in names),
        "M310": any(name.rstrip("/") not in exact(folder) for name in names if (folder / name).exists()),
        "M326": any(name.startswith("/") or "\\" in name or ".." in name for name in names),
        "M332": any(c.get("condition") not in conditions for c in components),
        "M328": any(r.get("version") is None for r in releases),
        "M329": any(not (r.text or "").strip() for r in releases),
        "M394": any(not version.fullmatch(x.get(k) or "0.0.0") for x, k in ((r, "version") for r in releases)),
        "M373": not re.fullmatch(r"1\.\d+\.\d+", root.get("schemaVersion") or ""),
        "components": any(not c.get(k) for c in components for k in ("Cclass", "Cgroup", "Cversion")) or not components,
    }
    return {code for code, wrong in said.items() if wrong}


def exact(folder):
    """All paths below a folder, as they are spelled."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


CUBE = """/* As STM32CubeMX writes it, with what is in RAM beside the network. */
ENTRY(Reset_Handler)
MEMORY { RAM (xrw) : ORIGIN = %s, LENGTH = 256K  FLASH (rx) : ORIGIN = 0x8000000, LENGTH = 1024K }
INCLUDE words_memory.ld
SECTIONS
{
  .isr_vector : { . = ALIGN(4); KEEP(*(.isr_vector)) . = ALIGN(4); } >FLASH
  .text : { *(.text) *(.text*) } >FLASH
  .rodata : { *(.rodata) *(.rodata*) } >FLASH
  .data : { _sdata = .; *(.data) *(.data*) } >RAM AT> FLASH
  .bss : { *(.bss) *(.bss*) *(COMMON) end = .; _ebss = .; } >RAM
}
"""
RESET = "int words_app(void); void Reset_Handler(void); int buffer[4]; void Reset_Handler(void) { buffer[0] = words_app(); }\n"


def test_stm32cube_links_beside_the_projects_own_script(model, folder):
    need("arm-none-eabi-gcc")
    thing = made(model, "disco_f746ng")
    assert [r.memory for r in thing.program.regions if r.bytes] == ["dtcm"]
    written("stm32cube", thing, folder)
    sources = [*code(folder / "Src"), folder / "Example" / "words_app.c", write(folder / "reset.c", RESET)]
    core = [
        "-mcpu=cortex-m7",
        "-mthumb",
        "-mfpu=fpv5-sp-d16",
        "-mfloat-abi=hard",
        "-std=gnu11",
        "-O0",
        "-Wall",
        "-Werror",
    ]
    sections = ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-nostartfiles"]
    specs = ["--specs=nano.specs", "--specs=nosys.specs", "-Wl,--no-warn-rwx-segments"]

    def linked(start):
        scripts = ["-T", str(write(folder / "cube.ld", CUBE % start)), f"-L{folder}"]
        command = ["arm-none-eabi-gcc", *core, *sections, *specs, f"-I{folder / 'Inc'}", *map(str, sources), *scripts]
        return subprocess.run([*command, "-o", str(folder / "cube.elf")], capture_output=True, text=True)

    done = linked("0x20010000")
    assert done.returncode == 0, done.stderr
    table = dict(reversed(line.split()[::2]) for line in execute("arm-none-eabi-nm", folder / "cube.elf").splitlines())
    assert 0x20000000 <= int(table["memory_fast"], 16) < 0x20010000 <= int(table["buffer"], 16) < 0x20050000
    assert "dtcm holds words" in linked("0x20000000").stderr


def test_stm32cube_says_where_all_memories_of_a_plan_are(model, folder):
    """A region outside of the chip, of a plan that may use no other."""
    board, memory = next((b, m) for b in WITH_EXTERNAL for m in b.chip.memories if m.external and m.holds == "data")
    others = {m.name: 0 for m in board.chip.rams if m is not memory}
    files = lay_out(format_named("stm32cube"), made(model, board.name, regions=others))
    script, header = files["words_memory.ld"].decode(), files["Inc/words_sections.h"].decode()
    region = f"WORDS_{memory.name.upper()}"
    assert f"{region} (rw) : ORIGIN = {memory.start:#x}, LENGTH = {memory.size}" in script
    section = re.search(rf"\*\((\.words_\w+) .*> {region}\n", script)[1]
    assert f'section("{section}")' in header


def entry(folder, thing):
    """The outputs that the entry of a Model Library Format archive in `folder` computes of the golden inputs."""
    with tarfile.open(folder / "words.tar") as archive:
        archive.extractall(folder / "mlf", filter="data")
        assert {(m.uid, m.gid, m.uname, m.mtime) for m in archive.getmembers()} == {(0, 0, "root", 0)}
        assert all(m.name == "." or m.name.startswith("./") for m in archive.getmembers())
    host = folder / "mlf" / "codegen" / "host"
    (module,) = json.loads((folder / "mlf" / "metadata.json").read_text())["modules"].values()
    (main,) = module["memory"]["functions"]["main"]
    inputs, outputs = main["inputs"], main["outputs"]
    assert main["io_size_bytes"] == sum(t["size"] for t in (*inputs.values(), *outputs.values()))
    program = CALLER + "".join(
        f"static uint32_t b_{n}[{(t['size'] + 3) // 4}];\n" for n, t in {**inputs, **outputs}.items()
    )
    program += "int main(void) {\n  struct tvmgen_words_inputs in; struct tvmgen_words_outputs out;\n"
    program += "".join(
        f"  in.{n} = b_{n}; if (fread(b_{n}, 1, {t['size']}, stdin) != {t['size']}) return 2;\n"
        for n, t in inputs.items()
    )
    program += "".join(f"  out.{n} = b_{n};\n" for n in outputs) + "  if (tvmgen_words_run(&in, &out) != 0) return 1;\n"
    program += "".join(f"  fwrite(b_{n}, 1, {t['size']}, stdout);\n" for n, t in outputs.items()) + "  return 0;\n}\n"
    main_file = write(folder / "caller.c", program)
    built = compiled(folder, main_file, *code(host / "src"), include=("mlf/codegen/host/include",))
    stream = b"".join(np.ascontiguousarray(a).tobytes() for a in thing.golden.inputs)
    return subprocess.run([built], input=stream, capture_output=True, check=True).stdout


CALLER = '#include "tvmgen_words.h"\n#include <stdio.h>\n'


def test_model_library_format(words, folder):
    written("mlf", words, folder)
    assert entry(folder, words) == words.golden.outputs[0].tobytes()
    table = json.loads((folder / "mlf" / "metadata.json").read_text())
    module = table["modules"]["words"]
    assert table["version"] == 7 and module["executors"] == ["aot"] and module["style"] == "full-model"
    assert module["export_datetime"] == "2026-11-29 00:00:00Z" and module["target"] == ["c -keys=cpu"]
    (main,) = module["memory"]["functions"]["main"]
    assert main["workspace_size_bytes"] == sum(r.bytes for r in words.program.regions)
    assert all(f["workspace"] for f in module["memory"]["functions"]["operator_functions"])


@pytest.mark.parametrize("format", FORMATS, ids=lambda f: f.name)
def test_what_every_package_says(format, words, answering, model):
    """Twice the same bytes; each text its licence; what smelt marks is intact; the README and the list of files what is known."""
    thing = answering if format.firmware else words
    files = lay_out(format, thing)
    assert files == lay_out(format, thing)
    archives = {n: d for n, d in files.items() if n.endswith((".zip", ".pack", ".tar", ".elf"))}
    assert len({n.lower() for n in files}) == len(files)  # Windows and macOS do not tell them apart
    assert all(re.fullmatch(r"[\w.-]*\w", part) for n in files for part in n.split("/"))
    if format.name == "mlf":
        with tarfile.open(fileobj=io.BytesIO(files["words.tar"])) as archive:
            members = [m for m in archive.getmembers() if m.isfile()]
            files = {**files, **{m.name: archive.extractfile(m).read() for m in members}}
    texts = {name: data.decode() for name, data in files.items() if name not in archives and not name.endswith(".json")}
    unstated = [name for name, text in texts.items() if "SPDX-License-Identifier: MIT" not in text]
    assert texts and not unstated
    assert all(is_intact(text.encode()) for text in texts.values() if is_marked(text.encode()))
    c = [text for name, text in texts.items() if name.endswith((".c", ".h", ".cpp", ".ino"))]
    longest = 140 if format.firmware else 120  # start-up code is written by hand
    assert all(
        len(line) <= longest
        for text in c
        for line in text.split("\n")
        if "    " not in line[:5] or not line.endswith(",")
    )
    assert all(line == line.rstrip() for text in texts.values() for line in text.split("\n"))
    readme = next(text for name, text in texts.items() if name.endswith("README.md"))
    assert (
        "a model.tflite" in readme
        and "0" * 64 in readme
        and "belongs to its user" in readme
        and "$" not in readme.replace("${C", "")
    )
    manifest = json.loads(files[MANIFEST])
    assert manifest["model"] == {"file": "a model.tflite", "sha256": "0" * 64} and manifest["options"] == {
        "--for": "balanced"
    }
    assert set(manifest["files"]) == set(lay_out(format, thing)) - {MANIFEST}


@pytest.mark.parametrize(
    "format, name, label, why",
    [
        ("arduino", "arduino_words", LABEL, "another --name"),
        ("esp-idf", "main", LABEL, "another --name"),
        ("cmsis-pack", "words", Label(publisher="Some Body"), "another --publisher"),
        ("c", "words", Label(version="1.0"), "three numbers"),
        ("c", "words", Label(version="01.0.0"), "three numbers"),
        ("c", "words", Label(license="my own"), "SPDX"),
        ("c", "words", Label(license="(MIT"), "SPDX"),
        ("c", "words", Label(url="words"), "https"),
        ("c", "words", Label(publisher=" "), "1 to 100"),
        ("c", "words", Label(publisher="a\nb"), "1 to 100"),
    ],
)
def test_what_formats_refuse_is_said(format, name, label, why):
    with pytest.raises(OptionError, match=why):
        check_format(format_named(format), name, label)


def test_strange_names_and_texts_stay_texts(model, folder):
    """What users and model files say ends no comment and opens no tag."""
    label = Label(license="MIT OR Apache-2.0", publisher='A & B <a*/b> "q" -- é', url="https://example.com/?a&b")
    thing = made(model, label=label)
    for format in FORMATS:
        if not format.refused("words", label):
            written(format.name, thing, folder / format.name)
    yaml.safe_load((folder / "esp-idf" / "idf_component.yml").read_text())
    json.loads((folder / "platformio" / "library.json").read_text())
    assert "self-test: 0 wrong" in execute(
        compiled(folder / "c", folder / "c" / "examples" / "main.c", *code(folder / "c"))
    )
