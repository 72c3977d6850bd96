"""The native part: ready in the package, or compiled by whatever compiler there is; named after what it is made of."""

import shutil
from dataclasses import replace

import pytest

import smelt.devices.simulators.native_library as native_library
from smelt.devices.qemu_run import plugin
from smelt.devices.simulators.native_library import COUNTER, Native, Platform, how, load_native, native
from smelt.errors import BuildError

HERE = Platform.here()


@pytest.fixture(scope="module")
def made():
    """The library, as it is compiled here."""
    return native(COUNTER, lambda library: library)


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """A computer with neither zig nor another compiler, and an empty cache."""

    def missing():
        raise BuildError("zig is not installed")

    monkeypatch.setattr(native_library, "zig", missing)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(native_library, "cache_folders", lambda name: iter((tmp_path / "cache" / name,)))


def test_what_a_platform_wheel_brings_is_taken_without_any_compiler(made, nothing, tmp_path, monkeypatch):
    with pytest.raises(BuildError, match="there is no C compiler"):
        load_native()
    package = tmp_path / "native"
    shutil.copytree(COUNTER.folder, package)
    monkeypatch.setattr(Native, "folder", package)
    ready = package / COUNTER.name(HERE)
    ready.write_bytes(b"made for another computer")
    with pytest.raises(BuildError, match="there is no C compiler"):
        load_native()
    ready.unlink()
    shutil.copy(made, ready)
    assert how(COUNTER) == "ready in the package" and load_native().smelt_block


def test_another_source_or_platform_is_another_library():
    names = {COUNTER.name(HERE), COUNTER.name(Platform("darwin", "aarch64")), COUNTER.name(Platform("win32", "x86_64"))}
    names |= {plugin(1).name(HERE), plugin(2).name(HERE), replace(COUNTER, defines=("-DA",)).name(HERE)}
    names |= {COUNTER.name(replace(HERE, bits=16))}
    assert len(names) == 7
    assert COUNTER.name(Platform("win32", "x86_64")).endswith(".dll")
