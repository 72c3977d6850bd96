"""Killing the program behind a link, and proving that nothing is left of it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from smelt.devices.link import LinkLost
from smelt.errors import DeviceError
from tests.links import load, ram_of
from tests.paths import ROOT

FOREVER = 'for (;;) __asm__ volatile("nop");'


def exists(pid: int) -> bool:
    """Whether a process runs (a zombie has ended)."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc").is_dir():
        try:
            return status.read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):  # it may end while its file is open
            return False
    return subprocess.run(("ps", "-p", str(pid)), capture_output=True).returncode == 0


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while exists(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def dies_in_the_middle(link) -> None:
    """Kill the program during a call: `LinkLost` well before the time-out, and again for everything after that."""
    entry, stack = load(link, ram_of(link), FOREVER)
    killer = threading.Timer(0.3, os.kill, (link.process.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL))
    killer.start()
    start = time.monotonic()
    with pytest.raises(LinkLost):
        link.call(entry, stack, 30)
    assert time.monotonic() - start < 5
    assert gone_within(link.process.pid, 2)
    with pytest.raises(DeviceError):
        link.read(ram_of(link), 4)
    link.close()
    link.close()
    assert not link.process.folder.exists()


def closing_ends_the_program(link) -> None:
    pid, folder = link.process.pid, link.process.folder
    assert exists(pid)
    link.close()
    assert gone_within(pid, 2)
    assert not folder.exists()


def dies_with_its_parent(make: str) -> None:
    """Kill the Python that owns a link, as hard as can be."""
    program = (
        f"import time\nfrom tests.links import *\nlink = {make}\n"
        "print(link.process.pid, link.process.folder, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen((sys.executable, "-c", program), cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid, folder = parent.stdout.readline().split(maxsplit=1)
        assert exists(int(pid))
        assert Path(folder.strip()).is_dir()
        parent.kill()
    assert gone_within(int(pid), 5)
    end = time.monotonic() + 5
    while Path(folder.strip()).exists():
        assert time.monotonic() < end
        time.sleep(0.02)
