"""Runs a program for as long as the parent holds the pipe to standard input: `guard.py LOG PROGRAM ARGUMENT...`.

When the parent closes the pipe, or dies in whatever way, the program is killed. The program's identifier is the first line of
output. Started as a file, without the package, so that it is quick and needs nothing; works alike on Linux, macOS and Windows.
"""

import contextlib
import subprocess
import sys
import threading


def main() -> int:
    with open(sys.argv[1], "wb") as log:
        child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    threading.Thread(target=kill_at_end_of_input, args=(child,), daemon=True).start()
    with contextlib.suppress(OSError):
        print(child.pid, flush=True)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the parent, who will end us properly
            return child.wait()


def kill_at_end_of_input(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError, KeyboardInterrupt):
        while sys.stdin.buffer.read(1):
            pass
    child.kill()


if __name__ == "__main__":
    sys.exit(main())
