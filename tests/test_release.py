"""What is released: a small wheel with all that smelt needs, which works outside of the clone; extras; the bill of materials."""

import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import jsonschema
import numpy
import pytest
import referencing

from dev import sbom
from dev.build_wheels import MOST_BYTES
from smelt.report.doctor import PACKAGES
from tests.paths import HELLO, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_PEOPLE = EXTRAS.keys() - {"all", "test", "docs"}
"""Extras that bring a package which smelt itself imports."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """What setuptools makes of a copy of the sources."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    shutil.copytree(ROOT / "smelt", source / "smelt", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]):
        shutil.copy(ROOT / name, source)
    program = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_is_small_and_holds_all_of_smelt_and_nothing_else(wheel):
    assert wheel.stat().st_size < MOST_BYTES
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (file for file in (ROOT / "smelt").rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    assert held == {file.relative_to(ROOT).as_posix() for file in files}


def test_the_wheel_alone_does_the_job(wheel, tmp_path):
    """In an environment of its own, far from the clone; the packages it needs are those of this environment."""
    environment = tmp_path / "an environment"
    venv.create(environment)
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(programs / "python"),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*pip, "--disable-pip-version-check", "--no-compile", str(wheel)], env=env, check=True)
    packages = next(environment.rglob("site-packages"))
    (packages / "beside.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n", "utf-8")

    def run(*command):
        full = [programs / command[0], *command[1:]]
        done = subprocess.run(full, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(run("python", "-c", "import smelt; print(smelt.__file__)").strip()).is_relative_to(packages)
    assert run("smelt", "--version").split()[-1] == PROJECT["version"]
    shutil.copy(HELLO, tmp_path)
    assert "all 2 values of 2 input(s) equal reference" in run("smelt", "verify", HELLO.name, "-b", "pico", "-n", "2")


def test_what_most_people_install_has_not_what_few_need():
    """The demo and everything without a probe, without a second oracle, without a farm."""
    assert EXTRAS["all"] == ["smelt[build,plan,simulate,image,oracle]"]
    assert set(re.findall(r"\w+", EXTRAS["test"][0])) == {"smelt", "all", "docs", *FOR_PEOPLE} - named(EXTRAS["all"][0])


def named(requirement: str) -> set[str]:
    return set(re.findall(r"\w+", requirement)) - {"smelt"}


def test_messages_name_extras_that_there_are():
    texts = {
        file: file.read_text("utf-8") for file in (*(ROOT / "smelt").rglob("*.py"), *(ROOT / "docs").rglob("*.md"))
    }
    for file, text in texts.items():
        for extras in re.findall(r"(?:smelt|')\[([a-z,]+)\]'", text):
            assert set(extras.split(",")) <= EXTRAS.keys(), file
        packages = re.findall(r"pip install ([\w-]+)", text) if file.suffix == ".py" else []
        assert set(packages) <= {"smelt"}, f"{file}: which extra brings {packages}?"


def test_the_changelog_begins_with_this_version():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == PROJECT["version"]


def test_the_doctor_has_a_line_for_each_extra():
    remedies = " ".join(remedy for *_, remedy in PACKAGES) + "smelt[build]"  # zig's line is not like the others
    assert set(re.findall(r"smelt\[(\w+)\]", remedies)) == FOR_PEOPLE


def test_installing_says_what_each_extra_weighs():
    page = (ROOT / "docs" / "installing.md").read_text("utf-8")
    for extra in {*FOR_PEOPLE, "all", "docs"}:
        assert re.search(rf"^\| `smelt\[{extra}\]` \|.*\d+ MB", page, re.MULTILINE), extra


@pytest.fixture(scope="module")
def bill(wheel):
    return sbom.bill(wheel, ("all", "onnx", "pyocd", "farm"))


def test_the_bill_of_materials_is_valid(bill):
    folder = importlib.resources.files("cyclonedx.schema") / "_res"
    schemas = {
        n: json.loads((folder / f"{n}.SNAPSHOT.schema.json").read_text("utf-8"))
        for n in ("spdx", "jsf-0.82", "bom-1.6")
    }
    beside = {f"http://cyclonedx.org/schema/{n}.SNAPSHOT.schema.json": schema for n, schema in schemas.items()}
    known = referencing.Registry().with_resources(
        (address, referencing.Resource.from_contents(schema)) for address, schema in beside.items()
    )
    jsonschema.Draft7Validator(schemas["bom-1.6"], registry=known).validate(bill)
    references = [c["bom-ref"] for c in bill["components"]] + [bill["metadata"]["component"]["bom-ref"]]
    assert len(references) == len(set(references)) == len(bill["dependencies"])
    assert all(set(d["dependsOn"]) <= set(references) for d in bill["dependencies"])


def test_the_bill_names_what_is_required_and_what_the_wheel_holds(bill, wheel):
    assert {"numpy", "click", "rich", "ziglang", "unicorn", "pandas", "distributed"} <= {
        c["name"] for c in bill["components"]
    }
    assert "pytest" not in {c["name"] for c in bill["components"]}
    held = {c["name"]: c for c in bill["metadata"]["component"]["components"]}
    assert held["resnet8.tflite"]["type"] == "machine-learning-model"
    assert held["resnet8.tflite"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert held.keys() == {file.name for file in (ROOT / "smelt" / "assets").iterdir()} - {"README.md"}
    assert bill == sbom.bill(wheel, ("all", "onnx", "pyocd", "farm"))


def test_a_bill_is_not_made_of_what_is_not_there(wheel, tmp_path):
    """A wheel with a model that nobody says the licence of; one that requires what is not installed."""
    unknown, lacking = tmp_path / "unknown.whl", tmp_path / "lacking.whl"
    for file in (unknown, lacking):
        shutil.copy(wheel, file)
    with zipfile.ZipFile(unknown, "a") as archive:
        archive.writestr("smelt/assets/found.tflite", b"")
    with pytest.raises(sbom.Bill, match=r"found\.tflite: its origin and its licence"):
        sbom.bill(unknown)
    with zipfile.ZipFile(lacking, "w") as archive:
        archive.writestr("x.dist-info/METADATA", "Name: x\nVersion: 1\nRequires-Dist: not-there-at-all\n")
        archive.writestr("smelt/assets/README.md", "")
    with pytest.raises(sbom.Bill, match="not-there-at-all is required and not installed"):
        sbom.bill(lacking)
