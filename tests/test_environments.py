"""Environments that promise what is not so: firmware is built and simulated all the same, and nothing hangs."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import smelt.firmware.folders as folders
from smelt.firmware.build import compiler_environment
from smelt.firmware.folders import cache_folder, is_usable
from tests.paths import ROOT

SECONDS = 200
BUILD = "from tests.tiny_firmware import tiny_image\nprint(len(tiny_image('esp32c3').elf))\n"
ENVIRONMENTS = {
    "no home": {},
    "an empty home": {"HOME": ""},
    "a home that does not exist": {"HOME": "/nonexistent"},
    "a home that nobody can write, not even root": {"HOME": "/proc"},
    "a home that is no folder": {"HOME": "/dev/null"},
    "a cache that nobody can write": {"XDG_CACHE_HOME": "/proc"},
    "a cache that is no folder": {"XDG_CACHE_HOME": "/dev/null"},
    "a cache somewhere relative": {"XDG_CACHE_HOME": "proc"},
    "an empty cache": {"XDG_CACHE_HOME": "", "HOME": ""},
    "zig's own cache where nobody can write": {"ZIG_GLOBAL_CACHE_DIR": "/proc/zig"},
}
posix = pytest.mark.skipif(os.name != "posix", reason="platform: paths of POSIX")


def run(program, environment, temporary):
    """A Python program in an environment with nothing but what is given."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": "", "TMPDIR": str(temporary), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@posix
@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_firmware_is_built_in_whatever_environment(environment, tmp_path):
    done = run(BUILD, environment, tmp_path)
    assert done.returncode == 0 and int(done.stdout) > 1000, done.stderr
    assert not Path("/nonexistent").exists()


@posix
def test_a_cache_that_cannot_be_locked_is_left_alone(tmp_path, monkeypatch):
    """As on some network file systems, where zig would wait for ever."""
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not is_usable(tmp_path)
    assert cache_folder("zig", tmp_path / "spare", str(tmp_path / "wanted")) == tmp_path / "spare"


def test_the_users_own_cache_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    assert compiler_environment(tmp_path)["ZIG_GLOBAL_CACHE_DIR"] == str(tmp_path / "cache" / "zig")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path / "mine"))
    assert compiler_environment(tmp_path)["ZIG_GLOBAL_CACHE_DIR"] == str(tmp_path / "mine")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()], "trying leaves nothing"


@posix
@pytest.mark.parametrize("spoil", ["mode", "link", "file"])
def test_a_temporary_folder_of_somebody_else_is_not_trusted(spoil, tmp_path, monkeypatch):
    """Whoever could write to a cache could put code into the firmware."""
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path))
    own = tmp_path / f"smelt-{os.getuid()}"
    assert list(folders.cache_folders("zig"))[-1] == own / "zig" and own.stat().st_mode & 0o777 == 0o700
    own.rmdir()
    if spoil == "mode":
        own.mkdir()
        own.chmod(0o777)
    elif spoil == "link":
        (tmp_path / "elsewhere").mkdir()
        own.symlink_to(tmp_path / "elsewhere")
    else:
        own.write_text("")
    assert own / "zig" not in folders.cache_folders("zig")
