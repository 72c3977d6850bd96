"""The C printer: a kernel as a C99 function, clean under -Wall -Wextra -Wconversion."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.loops.ir import (
    SIZES,
    AnyBuffer,
    Assign,
    Binary,
    Buffer,
    Call,
    Cast,
    Comment,
    Const,
    Copy,
    Declare,
    DeclareWindow,
    Element,
    Expr,
    Group,
    If,
    Load,
    Loop,
    Stmt,
    Store,
    Type,
    Var,
)
from smelt.loops.routine import CallRoutine, Span
from smelt.loops.unused import names_used

PREFIX = "smelt_"  # of the functions in smelt_kernels.h
LEVELS = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, "<=": 7, ">": 7, ">=": 7,
    ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip
UNARY, ATOM = 11, 12


def print_definition(buffers: tuple[Buffer, ...], body: tuple[Stmt, ...], in_place: bool) -> str:
    """A C function from its parameters on, with a trailing newline; `void` and its name come before."""
    parameters = ", ".join(_parameter(b, in_place) for b in buffers)
    used = names_used(body)
    unused = (f"    (void){buffer.name};" for buffer in buffers if buffer.name not in used)
    lines = "".join(f"{line}\n" for line in (*unused, *_block(body, 1)))
    return f"({parameters})\n{{\n{lines}}}\n"


def _parameter(buffer: Buffer, in_place: bool) -> str:
    restrict = "" if in_place and buffer.role in ("input", "output") else "restrict "
    return f"{_constness(buffer)}{buffer.type} *{restrict}{buffer.name}"


def _constness(buffer: AnyBuffer) -> str:
    return "const " if buffer.role in ("input", "constant") else ""


def _block(body: tuple[Stmt, ...], depth: int) -> Iterator[str]:
    for statement in body:
        yield from ("    " * depth + line if line else line for line in _statement(statement))


def _statement(statement: Stmt) -> Iterator[str]:
    match statement:
        case Declare(var, value):
            const = "" if var.mutable else "const "
            yield f"{const}{var.type} {var.name} = {_converted(value, var.type)};"
        case DeclareWindow(window):
            yield f"{_constness(window)}{window.type} *const {window.name} = {_address(window.base, window.offset)};"
        case Assign(var, value):
            yield _assignment(var, value)
        case Store(buffer, index, value, type):
            yield _store(buffer, index, value, type)
        case Loop(var, start, stop, step, body, keep):
            advance = f"++{var.name}" if step == 1 else f"{var.name} += {step}"
            if keep or any(isinstance(inner, CallRoutine) for inner in body):
                yield "SMELT_KEEP_LOOP"  # a second copy of the products would not stay in small instruction caches
            yield f"for (int32_t {var.name} = {_text(start)}; {var.name} < {_text(stop, 8)}; {advance}) {{"
            yield from _block(body, 1)
            yield "}"
        case If(condition, then, otherwise):
            yield f"if ({_text(condition)}) {{"
            yield from _block(then, 1)
            if otherwise:
                yield "} else {"
                yield from _block(otherwise, 1)
            yield "}"
        case Copy(target, target_index, source, source_index, count):
            yield _copy(target, target_index, source, source_index, count)
        case CallRoutine(routine, arguments):
            values = (_passed(a) if isinstance(a, Span) else _text(a) for a in arguments)
            yield f"{PREFIX}{routine.name}({', '.join(values)});"
        case Comment(text):
            yield f"/* {text} */"
        case _:
            raise TypeError(f"not a statement: {statement!r}")


def _assignment(var: Var, value: Expr) -> str:
    if isinstance(value, Binary) and value.left == var and value.operator in ("+", "-", "*", "|", "&", "^"):
        if value.type == var.type:
            return f"{var.name} {value.operator}= {_converted(value.right, var.type)};"
    return f"{var.name} = {_converted(value, var.type)};"


def _store(buffer: AnyBuffer, index: Expr, value: Expr, type: Type) -> str:
    if type == buffer.type:
        return f"{buffer.name}[{_text(index)}] = {_converted(value, type)};"
    return f"{PREFIX}store_{_suffix(type)}({_address(buffer, index)}, {_converted(value, type)});"


def _copy(
    target: AnyBuffer, target_index: Expr, source: AnyBuffer | Const | Load, source_index: Expr, count: Expr
) -> str:
    size = _text(count * SIZES[target.type], ATOM)
    to = _address(target, target_index)
    if isinstance(source, Expr):
        return f"memset({to}, {_text(source)}, (size_t){size});"
    return f"memcpy({to}, {_address(source, source_index)}, (size_t){size});"


def _address(buffer: AnyBuffer, index: Expr) -> str:
    if isinstance(_first_term(index), Element):
        return _text(index, 9)
    return buffer.name if index == Const(0) else f"{buffer.name} + {_text(index, 9)}"


def _first_term(index: Expr) -> Expr:
    while isinstance(index, Binary) and index.operator in ("+", "-"):
        index = index.left
    return index


def _passed(span: Span) -> str:
    address = _address(span.buffer, span.index)
    return address if span.words is None else f"({span.words} *)(void *)({address})"


def _suffix(type: Type) -> str:
    return "f32" if type == "float" else type[0] + type.removeprefix("u").removeprefix("int").removesuffix("_t")


def _converted(value: Expr, type: Type) -> str:
    """`value` as an operand of an assignment to `type`, with the cast that -Wconversion wants."""
    own = value.type
    if own == type or (isinstance(value, Const) and type in ("int8_t", "int16_t", "int32_t", "int64_t")):
        return _text(value)
    widening = own.startswith("int") and type.startswith("int") and SIZES[own] < SIZES[type]
    if widening and isinstance(value, Load | Var):
        return _text(value)
    return f"({type}){_text(value, UNARY)}"


def _text(value: Expr, level: int = 0) -> str:
    """C for `value`, in parentheses if it binds less tightly than `level`."""
    text, own = _spelled(value)
    return f"({text})" if own < level else text


def _spelled(value: Expr) -> tuple[str, int]:
    match value:
        case Const():
            return _constant(value)
        case Var(name):
            return name, ATOM
        case Cast(type, inner):
            return f"({type}){_text(inner, UNARY)}", UNARY
        case Group(inner):
            return f"({_text(inner)})", ATOM
        case Element(buffer, inner):
            base = _text(buffer, ATOM) if isinstance(buffer, Element) else buffer.name
            return f"&{base}[{_text(inner)}]", UNARY
        case Load(buffer, index, type) if type == buffer.type:
            return f"{buffer.name}[{_text(index)}]", ATOM
        case Load(buffer, index, type):
            return f"{PREFIX}load_{_suffix(type)}({_address(buffer, index)})", ATOM
        case Call(intrinsic, arguments):
            return f"{PREFIX}{intrinsic.name}({', '.join(map(_text, arguments))})", ATOM
        case Binary(("min" | "max") as operator, left, right):
            return f"{PREFIX}{operator}_{_suffix(value.type)}({_text(left)}, {_text(right)})", ATOM
        case Binary(operator, left, right):
            return _infix(operator, left, right)
    raise TypeError(f"not an expression: {value!r}")


def _infix(operator: str, left: Expr, right: Expr) -> tuple[str, int]:
    if operator == "+" and isinstance(right, Const) and right.value < 0 and right.value > -(2**31):
        operator, right = "-", Const(-right.value, right.type)
    own = LEVELS[operator]
    # Compilers warn of mixed bit operators, and readers stumble over them: these always get parentheses.
    strict = ATOM if operator in ("&", "|", "^", ">>") else own
    if operator in ("&&", "||"):
        strict = 3
    return f"{_text(left, strict)} {operator} {_text(right, max(strict, own + 1))}", own


def _constant(value: Const) -> tuple[str, int]:
    if value.type == "float":
        return float_literal(value.value), ATOM if value.value >= 0 else UNARY
    if value.type == "uint64_t":
        return f"UINT64_C({value.value})", ATOM
    if value.type == "int64_t":
        return f"INT64_C({value.value})" if value.value >= 0 else f"-INT64_C({-value.value})", UNARY
    if value.type == "uint32_t":
        return f"{value.value}u", ATOM
    if value.value == -(2**31):
        return "INT32_MIN", ATOM
    return str(value.value), ATOM if value.value >= 0 else UNARY


def float_literal(value: float) -> str:
    """A float32 as C: nine digits give back exactly the same float32."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
