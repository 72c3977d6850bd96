"""The boards that users name or describe: one word, also for those of other packages, or a TOML file of theirs."""

from __future__ import annotations

from pathlib import Path

from smelt import plugins
from smelt.errors import OptionError
from smelt.files import read
from smelt.targets.board_file import parse_board
from smelt.targets.boards import board
from smelt.targets.types import Board

LARGEST = 1 << 16  # bytes; the longest description of a board of smelt has 4,000


def read_board(file: Path | str) -> Board:
    """The board that a TOML file describes (docs/boards.md). Raises OptionError, which names the file and the key."""
    return parse_board(read(Path(file), LARGEST), str(file))


def find_board(text: str) -> Board:
    """The board of that name, smelt's or another package's, or of the TOML file of that name. Raises OptionError."""
    if text.lower().endswith(".toml") or "/" in text or "\\" in text:
        return read_board(text)
    try:
        return board(text)
    except OptionError as error:
        added = {b.name: b for b in plugins.boards()}
        if text in added:
            return added[text]
        raise OptionError(f"{error} (the name of a file with a board of your own ends in .toml)") from None
