"""What a farm and its workers say to each other."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any

from smelt.errors import OptionError
from smelt.targets.types import Board
from smelt.tuning.pool import Outcome

CONNECTING = 10.0
"""Seconds that a scheduler may take to answer."""


@dataclass(frozen=True, eq=False)
class Job:
    """What a worker is asked: an order, or the firmware of one where the board is simulated; on none of the boards that are put
    aside."""

    work: Any
    aside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reply:
    """What a worker says: on which board, and the outcomes; `failure` where there are none: (words, whether no candidate is to
    blame). `lost`: the board went away, or there is none left."""

    board: str
    outcomes: tuple[Outcome, ...] = ()
    failure: tuple[str, bool] | None = None
    lost: bool = False


def resource(origin: str, board: Board) -> str:
    """By what name workers own boards of a kind whose cycles are of an origin."""
    return f"smelt/{origin}/{board.name}"


def check_address(address: str) -> None:
    """Raises OptionError for what is no address of a scheduler, or where nobody listens: Dask takes long to say so."""
    found = re.fullmatch(r"(?:(?:tcp|tls)://)?\[?([^/\s]+?)\]?:(\d{1,5})", address)
    if found is None:
        raise OptionError(f"'{address}' is no address of a scheduler of Dask: write tcp://HOST:8786")
    try:
        socket.create_connection((found[1], int(found[2])), CONNECTING).close()
    except (OSError, OverflowError) as error:
        raise OptionError(f"there is no scheduler of Dask at {address}: {error}") from None
