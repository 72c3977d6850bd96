"""Files of users: what is no regular file stays what it is, what cannot be read is named, and nothing is left half-written."""

import os
import stat
import threading
from pathlib import Path

import pytest

from smelt.errors import BuildError, ModelError, OptionError, SmeltError, printable
from smelt.files import read, save, write

posix = pytest.mark.skipif(os.name == "nt", reason="platform: pipes and devices with names are of POSIX systems")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_pipes_are_written_to_and_stay(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"values")
    reader.join()
    assert found == [b"values"] and stat.S_ISFIFO(pipe.stat().st_mode)


@posix
def test_devices_are_written_to_and_stay(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    for device in (tmp_path / "null", Path("/dev/null")):
        write(device, b"values")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and (tmp_path / "null").is_symlink()
    if os.path.exists("/dev/full"):
        with pytest.raises(BuildError, match="No space left"):
            write(Path("/dev/full"), b"values")


@posix
@pytest.mark.parametrize("there", [True, False])
def test_links_lead_to_their_targets(tmp_path, there):
    target, link, hop = tmp_path / "a" / "target", tmp_path / "link", tmp_path / "hop"
    target.parent.mkdir()
    hop.symlink_to(target)
    link.symlink_to("hop")
    if there:
        target.write_bytes(b"old")
        target.chmod(0o640)
    write(link, b"new")
    assert link.is_symlink() and hop.is_symlink() and not target.is_symlink()
    assert target.read_bytes() == b"new" and mode(target) == (0o640 if there else 0o644)
    assert [p.name for p in target.parent.iterdir()] == ["target"]


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "y.npy").mkdir()
    with pytest.raises(OptionError, match="folder"):
        write(tmp_path / "y.npy", b"values")
    with pytest.raises(ModelError, match="is a folder"):
        read(tmp_path, 10, ModelError)
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="it is a file, or in one, and not a folder"):
        write(tmp_path / "file" / "y.npy", b"values")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_cannot_be_finished_leaves_nothing(tmp_path, monkeypatch, failure):
    kept = tmp_path / "old"
    kept.write_bytes(b"old")

    def fail(*_):
        raise failure

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises((BuildError, KeyboardInterrupt)):
        save({"old": b"new", "deep/er/other": b"new"}, tmp_path)
    assert kept.read_bytes() == b"old" and [p for p in tmp_path.rglob("*") if p.is_file()] == [kept]


@posix
def test_what_has_no_end_or_no_data_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "pipe", "a pipe"), ("/dev/zero", "a device"), (tmp_path, "a folder")):
        with pytest.raises(OptionError, match=words):
            read(path, 1 << 20)


def test_what_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(OptionError, match="the most is 1,000"):
        read(tmp_path / "sparse", 1000)


def test_names_are_shown_without_control_characters(tmp_path):
    name = "a\x1b[31m\nb\udc80\u202e\u2028"
    assert printable(name) == "a\\x1b[31m\\nb\\udc80\\u202e\\u2028"
    with pytest.raises(ModelError) as raised:
        read(tmp_path / name, 10, ModelError)
    assert str(raised.value).isprintable() and "a\\x1b[31m\\nb" in str(raised.value)
    assert str(SmeltError("two\nlines \x07")) == "two\nlines \\x07"
    with pytest.raises(OptionError, match="null"):
        read(tmp_path / "a\0b", 10)
