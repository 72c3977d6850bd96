"""Runs a program for as long as the parent holds the pipe to standard input: `guard.py LOG PROGRAM ARGUMENT...`.

When the parent closes the pipe, or dies in whatever way, the program is killed and the log's folder is removed. The program's
identifier is the first line of output, and its exit code is ours. Started as a file, without the package, so that it is quick
and needs nothing; works alike on Linux, macOS and Windows.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path


def main() -> None:
    log = Path(sys.argv[1])
    with log.open("wb") as output:
        child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    with contextlib.suppress(OSError):
        print(child.pid, flush=True)
    ended = threading.Thread(target=wait, args=(child,), daemon=True)
    parent = threading.Thread(target=wait_for_the_end_of_input, args=(child,), daemon=True)
    parent.start()
    ended.start()
    while ended.is_alive():
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the parent, who will end us properly
            ended.join()
    parent.join(0.1)
    if not parent.is_alive():
        shutil.rmtree(log.parent, ignore_errors=True)
    sys.exit(child.returncode)


def wait(child: "subprocess.Popen[bytes]") -> None:
    child.wait()


def wait_for_the_end_of_input(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):  # not through Python's own buffer, whose lock would be in the way at our end
            pass
    child.kill()


if __name__ == "__main__":
    main()
