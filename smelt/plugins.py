"""What other packages add without any change of smelt: ways to compute operators, and boards with chips and cores of their own.

A package names them in its metadata, as entry points whose values are objects:

    [project.entry-points."smelt.implementations"]
    conv2d_mine = "my_package.kernels:CONV2D_MINE"      # a smelt.kernels.implementation.Implementation

    [project.entry-points."smelt.boards"]
    my_board = "my_package.boards:MY_BOARD"             # a smelt.targets.types.Board

docs/plugins.md has the whole story.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar

from smelt.errors import OptionError

if TYPE_CHECKING:
    from smelt.kernels.implementation import Implementation
    from smelt.targets.types import Board

T = TypeVar("T")
IMPLEMENTATIONS = "smelt.implementations"
BOARDS = "smelt.boards"


@cache
def implementations() -> tuple[Implementation, ...]:
    """Every way there is to compute an operator: those of other packages first, since who installs one wants it tried. Raises
    OptionError for one that cannot be loaded, or has the name of another."""
    from smelt.kernels import IMPLEMENTATIONS as OWN
    from smelt.kernels.implementation import Implementation

    return _with_own(_loaded(IMPLEMENTATIONS, Implementation), OWN, IMPLEMENTATIONS)


@cache
def boards() -> tuple[Board, ...]:
    """The boards of other packages. Raises OptionError for one that cannot be loaded, or has the name of another."""
    from smelt.targets.boards import BOARDS as OWN
    from smelt.targets.boards import CLUSTERS
    from smelt.targets.types import Board

    found = _loaded(BOARDS, Board)
    _with_own(found, (*OWN, *CLUSTERS), BOARDS)
    return found


def _loaded(group: str, kind: type[T]) -> tuple[T, ...]:
    return tuple(_load(point, kind) for point in sorted(entry_points(group=group), key=lambda p: p.name))


def _load(point: EntryPoint, kind: type[T]) -> T:
    package = point.dist.name if point.dist is not None else "a package"
    where = f"{package} adds '{point.name}' to {point.group}"
    try:
        found = point.load()
    except Exception as error:  # whatever other people's modules raise when they are imported
        raise OptionError(
            f"{where}, but {point.value} cannot be loaded: {type(error).__name__}: {error}. Mend or uninstall it"
        ) from None
    if not isinstance(found, kind):
        raise OptionError(f"{where}, but {point.value} is of type {type(found).__name__}, not {kind.__name__}")
    return found


def _with_own(added: tuple[T, ...], own: tuple[T, ...], group: str) -> tuple[T, ...]:
    names = [str(getattr(one, "name", "")) for one in added]
    taken = {str(getattr(one, "name", "")) for one in own}
    for number, name in enumerate(names):
        if name in taken or name in names[:number]:
            raise OptionError(f"a package adds '{name}' to {group}, and there is one of that name already")
    return (*added, *own)
