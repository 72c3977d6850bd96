"""`smelt export`: what it writes and says, the folders that it leaves alone, and what it refuses before the work."""

import json
import os
from hashlib import sha256

import pytest

from smelt.errors import OptionError
from smelt.firmware.exports import MANIFEST
from smelt.report.export_folder import save_package
from tests import schemas
from tests.paths import HELLO
from tests.test_cli import smelt

FILES = {"a.c": b"one\n", "src/b.c": b"two\n", MANIFEST: b""}


def listed(files=FILES, format="c", name="words"):
    """Files with the list of them, as a package has it."""
    table = {
        "format": format,
        "name": name,
        "files": {n: sha256(d).hexdigest() for n, d in files.items() if n != MANIFEST},
    }
    return {**files, MANIFEST: json.dumps(table).encode()}


def save(files, folder, format="c", name="words"):
    save_package(files, folder, format, name)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def export(format, folder, *options, model=HELLO, board="nucleo_l4r5zi"):
    return smelt("export", format, model, "--board", board, "--out", folder, "--name", "words", *options)


def test_a_package_is_what_the_simulated_board_computed(tmp_path):
    folder = tmp_path / "a folder"
    raw = tmp_path / "x.raw"
    raw.write_bytes(bytes([17]))
    code, out, err = export("cmake", folder, "--license", "MIT", "--input", raw, "--for", "ram", "--json")
    assert code == 0, err
    found = json.loads(out)
    schemas.check("export", found)
    assert (found["license"], found["options"], found["folder"]) == ("MIT", {"--for": "ram"}, str(folder))
    figures = {f["what"]: f for f in found["figures"]}
    assert figures["cycles"]["value"] > 300 and figures["cycles"]["how"] == "simulated"
    assert found["files"] == {name: len(data) for name, data in contents(folder).items()}
    test = (folder / "include" / "words_self_test.h").read_text()
    assert "[1] = {\n    17,\n};" in test
    header = " ".join(next(folder.rglob("*_net.h")).read_text().replace("\n *", " ").split())
    assert f"main and assembly included, was {figures['stack']['value']} bytes with zig" in header
    readme = (folder / "README.md").read_text()
    assert f"| cycles | {figures['cycles']['value']:,}  | simulated |" in readme and HELLO.name in readme


def test_options_are_told_as_users_type_them(tmp_path):
    (tmp_path / "x.raw").write_bytes(b"1")
    options = ("--hello", tmp_path / "x.raw", "--uart", "--region", "sram1=64K", "--compiler", "none", "--no-run")
    code, _, err = export("c", tmp_path / "out", *options)
    assert code == 0, err
    told = "| options | --uart --hello=x.raw --compiler=none --region=sram1=65536 --no-run |"
    assert told in (tmp_path / "out" / "README.md").read_text()


def test_without_a_compiler_figures_are_estimates(tmp_path):
    code, out, err = export("arduino", tmp_path, "--compiler", "none")
    assert code == 0 and "estimated" in out, err
    assert {p.name for p in tmp_path.iterdir()} == {"words", "words-1.0.0.zip", MANIFEST}


REFUSED = {
    "arduino": (("arduino", "--name", "arduino_words"), "another --name"),
    "version": (("c", "--package-version", "1"), "three numbers"),
    "vendor": (("cmsis-pack", "--publisher", "Some Body"), "another --publisher"),
    "cluster": (("c", "--board", "gapuino"), "smelt compile --out"),
    "name": (("c", "--name", "Words"), "cannot be the name of a network"),
    "several": (("c", HELLO), "one network"),
    "format": (("keil",), "FORMAT"),
    "runs": (("c", "--compiler", "none", "--input", "two"), "one inference"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case, tmp_path):
    ((format, *options), why) = REFUSED[case]
    two = tmp_path / "two.raw"
    two.write_bytes(bytes(2))
    options = [two if option == "two" else option for option in options]
    folder = tmp_path / "out"
    code, _, err = smelt("export", format, HELLO, "--board", "nucleo_l4r5zi", "--out", folder, *options)
    assert code == 2 and why in err and not folder.exists()


def test_a_folder_is_written_again_as_smelt_left_it(tmp_path):
    """Files of users stay, and so does what was not changed; what is not needed any more goes, folders that are empty then too."""
    save(listed(), tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    save(listed(), tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == times
    fewer = listed({"a.c": b"three\n"})
    save(fewer, tmp_path)
    assert contents(tmp_path) == {**fewer, "mine.txt": b"mine"} and not (tmp_path / "src").exists()


@pytest.mark.parametrize("case", ["changed", "foreign", "format", "network", "manifest", "file"])
def test_what_is_not_smelts_is_refused_and_kept(case, tmp_path):
    folder = tmp_path / "out"
    if case == "file":
        folder.write_text("mine")
    elif case in ("foreign", "manifest"):
        folder.mkdir()
        (folder / ("a.c" if case == "foreign" else MANIFEST)).write_text("mine")
    else:
        save(listed(), folder)
        (folder / "a.c").write_text("mine" if case == "changed" else "one\n")
    before = contents(tmp_path)
    other = {"format": "cmake"} if case == "format" else {"name": "other"} if case == "network" else {}
    with pytest.raises(OptionError, match=r"choose another folder|not a folder"):
        save(listed({**FILES, "a.c": b"new\n"}, **other), folder, **other)
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="platform: links of POSIX systems")
def test_links_are_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "src").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="is a link"):
        save(listed(), tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("path", ["../outside.c", "/outside.c", "src/../../outside.c"])
def test_a_list_of_files_reaches_nothing_outside(path, tmp_path):
    """A list that somebody changed: what it names beyond its folder stays."""
    outside = tmp_path / "outside.c"
    outside.write_bytes(b"mine\n")
    folder = tmp_path / "out"
    folder.mkdir()
    named = str(outside) if path.startswith("/") else path
    (folder / MANIFEST).write_bytes(listed({named: b"mine\n"})[MANIFEST])
    save(listed(), folder)
    assert outside.read_bytes() == b"mine\n"
