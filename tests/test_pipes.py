"""A reader that has seen enough, such as `head`, is no error."""

import os
import subprocess
import sys

import pytest

COMMANDS = (("boards",), ("ops",), ("ops", "--json"))


@pytest.mark.skipif(os.name == "nt", reason="platform: Windows has no broken pipes of this kind")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_closed_pipe_is_quiet(arguments):
    read, write = os.pipe()
    os.close(read)
    code = "from smelt.cli import main; main()"
    try:
        done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
