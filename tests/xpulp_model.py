"""What XpulpV2's instructions on registers compute, from the words of the fact sheet and of RI5CY's manual, on Python's
integers: the other opinion that the simulator is compared with. `a`, `b`, `d` are rs1, rs2 and rd as unsigned words, `n` what
small fields say."""

from collections.abc import Callable

MASK = 0xFFFFFFFF


def signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def lanes(value: int, bits: int) -> list[int]:
    return [value >> bits * i & (1 << bits) - 1 for i in range(32 // bits)]


def joined(values: list[int], bits: int) -> int:
    return sum((v & (1 << bits) - 1) << bits * i for i, v in enumerate(values))


ON_LANES: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda x, y, bits: x + y,
    "sub": lambda x, y, bits: x - y,
    "avg": lambda x, y, bits: signed(x + y, bits) >> 1,
    "avgu": lambda x, y, bits: (x + y & (1 << bits) - 1) >> 1,
    "min": lambda x, y, bits: min(signed(x, bits), signed(y, bits)),
    "minu": lambda x, y, bits: min(x, y),
    "max": lambda x, y, bits: max(signed(x, bits), signed(y, bits)),
    "maxu": lambda x, y, bits: max(x, y),
    "srl": lambda x, y, bits: x >> y % bits,
    "sra": lambda x, y, bits: signed(x, bits) >> y % bits,
    "sll": lambda x, y, bits: x << y % bits,
    "or": lambda x, y, bits: x | y,
    "xor": lambda x, y, bits: x ^ y,
    "and": lambda x, y, bits: x & y,
    "abs": lambda x, y, bits: abs(signed(x, bits)),
    "cmpeq": lambda x, y, bits: -(x == y),
    "cmpne": lambda x, y, bits: -(x != y),
    "cmpgt": lambda x, y, bits: -(signed(x, bits) > signed(y, bits)),
    "cmpge": lambda x, y, bits: -(signed(x, bits) >= signed(y, bits)),
    "cmplt": lambda x, y, bits: -(signed(x, bits) < signed(y, bits)),
    "cmple": lambda x, y, bits: -(signed(x, bits) <= signed(y, bits)),
    "cmpgtu": lambda x, y, bits: -(x > y),
    "cmpgeu": lambda x, y, bits: -(x >= y),
    "cmpltu": lambda x, y, bits: -(x < y),
    "cmpleu": lambda x, y, bits: -(x <= y),
}


def vector(mnemonic: str, kind: str, a: int, b: int, d: int, six: int) -> int:
    """pv.*: `kind` is the encoding's format, which tells how six bits are meant; `six` are those."""
    _, name, *forms, width = mnemonic.split(".")
    bits = 8 if width == "b" else 16
    x, z = lanes(a, bits), lanes(d, bits)
    y = lanes(b, bits)
    if forms == ["sc"]:
        y = [y[0]] * len(y)
    elif forms == ["sci"]:
        y = [signed(six, 6) if kind.endswith("S") else six] * len(x)
        y = [v & (1 << bits) - 1 for v in y]
    if name in ON_LANES:
        return joined([ON_LANES[name](p, q, bits) for p, q in zip(x, y, strict=True)], bits)
    if "dot" in name:
        kinds = {"up": (False, False), "sp": (True, True), "usp": (False, True)}[name.split("dot")[1]]
        left, right = ([signed(v, bits) if s else v for v in vs] for vs, s in zip((x, y), kinds, strict=True))
        return (d if name[0] == "s" else 0) + sum(p * q for p, q in zip(left, right, strict=True))
    return moved(name, bits, x, y, z, lanes(six, 2) if bits == 8 else [six & 1, six >> 1 & 1], six)


def moved(name: str, bits: int, x: list[int], y: list[int], z: list[int], chosen: list[int], six: int) -> int:
    """Extractions, insertions, shuffles, packs."""
    count = len(x)
    lane = six % count
    if name.startswith("extract"):
        return x[lane] if name[-1] == "u" else signed(x[lane], bits)
    if name == "insert":
        return joined([x[0] if i == lane else v for i, v in enumerate(z)], bits)
    if name.startswith("shuffleI"):
        return joined([x[chosen[0]], x[chosen[1]], x[chosen[2]], x[int(name[-1])]], bits)
    if name == "shuffle":
        return joined([x[i % count] for i in (y if y != [six] * count or bits == 8 else chosen)], bits)
    if name == "shuffle2":
        return joined([(x if i & count else z)[i % count] for i in y], bits)
    if name == "pack":
        return joined([y[0], x[0]], bits)
    return joined([z[0], z[1], y[0], x[0]] if name == "packhi" else [y[0], x[0], z[2], z[3]], bits)


def half(n: int) -> int:
    return 1 << n >> 1 if n else 0


def clamped(value: int, low: int, high: int) -> int:
    return low if value <= low else high if value >= high else value


def count_leading(value: int) -> int:
    """Sign bits besides the sign itself; 0 for 0."""
    text = f"{value:032b}"
    return 0 if value == 0 else len(text) - len(text.lstrip(text[0])) - 1


PLAIN: dict[str, Callable[[int, int, int, int], int]] = {
    "p.avgu": lambda a, b, d, n: (a + b & MASK) >> 1,
    "p.slet": lambda a, b, d, n: signed(a) <= signed(b),
    "p.sletu": lambda a, b, d, n: a <= b,
    "p.min": lambda a, b, d, n: min(signed(a), signed(b)),
    "p.minu": lambda a, b, d, n: min(a, b),
    "p.max": lambda a, b, d, n: max(signed(a), signed(b)),
    "p.maxu": lambda a, b, d, n: max(a, b),
    "p.ror": lambda a, b, d, n: (a << 32 | a) >> b % 32,
    "p.ff1": lambda a, b, d, n: f"{a:032b}"[::-1].find("1") if a else 32,
    "p.fl1": lambda a, b, d, n: a.bit_length() - 1 if a else 32,
    "p.clb": lambda a, b, d, n: count_leading(a),
    "p.cnt": lambda a, b, d, n: a.bit_count(),
    "p.exths": lambda a, b, d, n: signed(a, 16),
    "p.exthz": lambda a, b, d, n: a & 0xFFFF,
    "p.extbs": lambda a, b, d, n: signed(a, 8),
    "p.extbz": lambda a, b, d, n: a & 0xFF,
    "p.abs": lambda a, b, d, n: abs(signed(a)),
    "p.mac": lambda a, b, d, n: d + a * b,
    "p.msu": lambda a, b, d, n: d - a * b,
    "p.clip": lambda a, b, d, n: clamped(signed(a), -half(n) - (n == 0), half(n) - (n != 0)),
    "p.clipu": lambda a, b, d, n: clamped(signed(a), 0, half(n) - (n != 0)),
    "p.clipr": lambda a, b, d, n: clamped(signed(a), -signed(b) - 1, signed(b)),
    "p.clipur": lambda a, b, d, n: clamped(signed(a), 0, signed(b)),
}


def bit_field(name: str, a: int, d: int, low: int, width: int) -> int:
    """p.extract and its like, of `width` bits from `low`."""
    mask = ((1 << width) - 1) << low & MASK
    if name == "bclr":
        return a & ~mask
    if name == "bset":
        return a | mask
    if name == "insert":
        return d & ~mask | a << low & mask
    found = a >> low & (1 << width) - 1
    return found if name == "extractu" else signed(found, width)


def product(name: str, a: int, b: int, d: int, n: int) -> int:
    """p.mul*, p.mac* of halves, rounded or not, shifted by `n`."""
    body = name.removeprefix("p.").lower()
    rounds = body.endswith("nr")
    kind = body[3:].removesuffix("nr").removesuffix("n")
    is_signed, high = kind.endswith("s"), kind.startswith("hh")
    halves = [v >> 16 if high else v & 0xFFFF for v in (a, b)]
    x, y = ([signed(v, 16) for v in halves]) if is_signed else halves
    total = x * y + (d if body.startswith("mac") else 0) + (half(n) if rounds else 0)
    return signed(total) >> n if is_signed else (total & MASK) >> n


def shifted_sum(name: str, a: int, b: int, d: int, n: int) -> int:
    """p.add*N*, p.sub*N*, by a number or a register."""
    body = name.removeprefix("p.")
    by_register = body.endswith("r")
    first, second, by = (d, a, b % 32) if by_register else (a, b, n)
    total = first - second if body.startswith("sub") else first + second
    flags = body[3:].removesuffix("r").removesuffix("N")
    total += half(by) if "R" in flags else 0
    return (total & MASK) >> by if "u" in flags else signed(total) >> by
