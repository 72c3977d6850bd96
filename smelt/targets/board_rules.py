"""What must hold for a board as a whole, whoever describes it; the errors name the key of a TOML file."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

from smelt.targets.start_up import REGIONS, like_devices
from smelt.targets.toml_table import BadKey
from smelt.targets.types import KB, MB, Board, Cache, Chip, Contents, Core, Memory

PAGE = 4 * KB  # that memories are mapped by, in simulated boards
MOST_BYTES = 512 * MB  # of all memories: a simulated board has each of them
MOST_MEMORIES = 16
LINKER_WORDS = ("drom", "org", "len", "origin", "length")  # of linker scripts
PERIPHERALS, SYSTEM = (0x40000000, 0x60000000), (0xE0000000, 0x100000000)  # of Arm's cores of the M profile
SEEN_TWICE = "flash_seen_twice.ld"


def check_board(board: Board, caches: Mapping[str, Cache], known: Collection[Board]) -> None:
    """Raise BadKey for what cannot be. `caches` are those that were described, `known` the boards that there are."""
    for check in (_kinds, _names, _roles, _order, _ranges, _addresses, _devices, _views, _registers):
        check(board.chip)
    unused = [name for name, cache in caches.items() if cache not in board.chip.caches]
    if unused:
        raise BadKey(f"caches[{list(caches).index(unused[0])}]", f"no path of a memory names the cache {unused[0]}")
    if any(b.name == board.name and b != board for b in known):
        raise BadKey(
            "name",
            f"{board.name} is a board that smelt knows, and another one: its measurements would be taken for yours",
        )


def priced_like(
    boards: Collection[Board], core: Core, holds: Contents, external: bool, size: int
) -> tuple[Board, Memory]:
    """A memory of a board that is nearest to one in what it is, with its board: an example of a price."""

    def distance(found: tuple[Board, Memory]) -> tuple[bool, bool, bool, float]:
        b, m = found
        return m.holds != holds, m.external != external, b.core != core, abs(m.size - size)

    priced = [(b, m) for b in boards for m in b.chip.memories if m.path.first]
    return min(priced, key=distance)


def _wrong(number: int, key: str, what: str) -> BadKey:
    return BadKey(f"memories[{number}].{key}", what)


def _names(chip: Chip) -> None:
    for number, memory in enumerate(chip.memories):
        if memory.name in [m.name for m in chip.memories[:number]]:
            raise _wrong(number, "name", f"there are two memories called {memory.name}")
        if memory.name in LINKER_WORDS:
            raise _wrong(number, "name", f"{memory.name} is a word of linker scripts")
        if memory.name == "flash" and memory is not next((m for m in chip.memories if m.holds == "code"), None):
            raise _wrong(
                number, "name", "flash is the name of the memory that holds the firmware, the first one of code"
            )


def _kinds(chip: Chip) -> None:
    if not 2 <= len(chip.memories) <= MOST_MEMORIES:
        raise BadKey("memories", f"{len(chip.memories)} memories; a board has 2 to {MOST_MEMORIES}")
    for holds, what in (("code", "no flash"), ("data", "no RAM")):
        number = next((n for n, m in enumerate(chip.memories) if m.holds == holds), None)
        if number is None:
            raise BadKey("memories", f'{what}: none of them has holds = "{holds}"')
        if chip.memories[number].external:
            use = "the firmware is" if holds == "code" else "the stack and the firmware's own variables are"
            raise _wrong(
                number, "external", f"{use} in the first memory for {holds}, which must be there after a reset"
            )
    total = sum(m.size for m in chip.memories)
    if total > MOST_BYTES:
        raise BadKey("memories", f"{total:,} bytes in all, more than {MOST_BYTES:,}")


def _roles(chip: Chip) -> None:
    taken: list[str] = []
    for number, memory in enumerate(chip.memories):
        if memory.holds == "code" and memory.role is not None:
            raise _wrong(number, "role", 'only memories with holds = "data" have a role')
        if memory.holds == "code":
            continue
        if memory.role is None:
            raise _wrong(
                number, "role", "is missing: generated C calls each RAM by its role (fast, main, extra, external, ...)"
            )
        if memory.role in taken:
            raise _wrong(number, "role", f"there are two memories with the role {memory.role}")
        if memory.role.startswith("external") != memory.external:
            raise _wrong(
                number, "role", f"{memory.role} and external = {str(memory.external).lower()} contradict each other"
            )
        taken.append(memory.role)


def _order(chip: Chip) -> None:
    """Plans take the data memories in the order in which they are listed."""
    data = [(n, m) for n, m in enumerate(chip.memories) if m.holds == "data"]
    for (_, before), (number, memory) in itertools.pairwise(data):
        if memory.path.first < before.path.first:
            what = f"{memory.path.first} is less than that of {before.name} before it: list the fastest memory first"
            raise _wrong(number, "path.first", what)


def _ranges(chip: Chip) -> None:
    for number, memory in enumerate(chip.memories):
        for key, value in (("size", memory.size), ("start", memory.start), *_aliases(memory)):
            if value % PAGE:
                shown = f"{value:,}" if key == "size" else f"{value:#010x}"
                raise _wrong(number, key, f"{shown} is no multiple of {PAGE:,}")
        for key, start in (("start", memory.start), *_aliases(memory)):
            if start + memory.size > 1 << 32:
                raise _wrong(number, key, f"{memory.size:,} bytes from {start:#010x} on leave the 32-bit addresses")
    if chip.boot_bytes >= chip.flash.size or chip.boot_bytes % 4:
        raise BadKey(
            "boot_bytes", f"{chip.boot_bytes:,} is no multiple of 4 within the {chip.flash.size:,} bytes of flash"
        )


def _aliases(memory: Memory) -> Iterator[tuple[str, int]]:
    return ((f"aliases[{n}]", at) for n, at in enumerate(memory.aliases))


def _addresses(chip: Chip) -> None:
    """No two ranges overlap, none is where an Arm core has something else, and below the stack nothing is."""
    seen: list[tuple[int, int, str]] = []
    for number, memory in enumerate(chip.memories):
        for key, start in (("start", memory.start), *_aliases(memory)):
            end = start + memory.size
            for low, high, name in (*seen, *_reserved(chip)):
                if start < high and low < end:
                    raise _wrong(
                        number,
                        key,
                        f"{start:#010x} to {end - 1:#010x} overlaps {name} ({low:#010x} to {high - 1:#010x})",
                    )
            seen.append((start, end, memory.name))
    stack = chip.rams[0]
    for low, high, name in seen:
        if low <= stack.start - 1 < high:
            what = f"right below it lies {name}: the stack is at the start of the first RAM, and would overflow into it"
            raise _wrong(chip.memories.index(stack), "start", what)


def _reserved(chip: Chip) -> Sequence[tuple[int, int, str]]:
    if chip.core.isa.family != "arm":
        return ()
    return ((*PERIPHERALS, "the peripherals"), (*SYSTEM, "the core's own registers"))


def _devices(chip: Chip) -> None:
    found = like_devices(chip)
    for memory in found:
        number, start = (
            chip.memories.index(memory),
            f"{memory.start:#010x} is a device to the core until its MPU says otherwise",
        )
        if not chip.core.mpu:
            raise _wrong(number, "start", f"{start}, and smelt knows no MPU of {chip.core.name}")
        if memory.size & (memory.size - 1) or memory.start % memory.size:
            raise _wrong(
                number, "start", f"{start}: its regions have a power of two of bytes, and begin at a multiple of it"
            )
    if len(found) > REGIONS:
        raise BadKey("memories", f"{len(found)} of them need a region of the MPU, which has {REGIONS}")


def _views(chip: Chip) -> None:
    for number, memory in enumerate(chip.memories):
        for key, at in (("reads_at", memory.reads_at), ("fetches_at", memory.fetches_at)):
            if at is not None and at not in memory.aliases:
                raise _wrong(number, key, f"{at:#010x} is none of the aliases")
        if memory.reads_at is not None and memory is not chip.flash:
            raise _wrong(number, "reads_at", "only the flash may be read elsewhere than it is executed")
        if memory.fetches_at is not None and memory.holds != "data":
            raise _wrong(number, "fetches_at", "only RAM may be executed elsewhere than it is read")
    if (chip.linker_script == SEEN_TWICE) != (chip.flash.reads_at is not None):
        raise BadKey("linker_script", f"{SEEN_TWICE} is for flash with reads_at, and for no other")


def _registers(chip: Chip) -> None:
    for number, change in enumerate(chip.setup):
        if change.address % 4:
            raise BadKey(f"setup[{number}].address", f"{change.address:#010x} is no multiple of 4")
        inside = next(
            (m for m in chip.memories for at in (m.start, *m.aliases) if at <= change.address < at + m.size), None
        )
        if inside:
            raise BadKey(f"setup[{number}].address", f"{change.address:#010x} is in the memory {inside.name}")
