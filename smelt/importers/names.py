"""Names that are unique within one graph."""

from __future__ import annotations


class Names:
    """Hands out names, appending `_2`, `_3`... where one is taken already."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """`name`, or `name` with the first free number behind it."""
        found = name
        while found in self._next:
            found = f"{name}_{self._next[name]}"
            self._next[name] += 1
        self._next[found] = 2
        return found
