"""The headers that kernels call, for people who review them: as `loops/reviewed.py` is for kernels.

The text in `support/` is what measurements are about (`digest.py`), and does not change for coding rules. What users get is this:
operands that are operations themselves stand in parentheses, results that nobody wants are dropped by a cast, parameters that only
assembly uses are named in C, those that would be changed are copied first, there is one variable to a declaration, variants of
a function are functions, sums of pointers are elements, and two functions alone make pointers to objects of pointers to void.
To a compiler it is the same; a test compares the machine code of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

TOKEN = re.compile(
    r'(?P<space>(?:\s|\\\n|/\*.*?\*/|//[^\n]*)+)|(?P<text>"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\')|(?P<word>[A-Za-z_]\w*)'
    r"|(?P<number>\.?\d(?:[eE][+-]|[\w.])*)|(?P<sign><<=|>>=|\.\.\.|##|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)",
    re.DOTALL,
)
DIRECTIVE = re.compile(r"^[ \t]*#.*?(?<!\\)$", re.MULTILINE | re.DOTALL)
DEFINE = re.compile(r"([ \t]*#[ \t]*define[ \t]+\w+(?:\([^)]*\))?)(.*)", re.DOTALL)
LEVELS = {
    "||": 3, "&&": 4, "|": 5, "^": 6, "&": 7, "==": 8, "!=": 8, "<": 9, ">": 9, "<=": 9, ">=": 9, "<<": 10, ">>": 10,
    "+": 11, "-": 11, "*": 12, "/": 12, "%": 12, "?": 2, ":": 2,
}  # fmt: skip
ENDS = {";", ",", "{", "}", "=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "...", "#"}
TYPES = re.compile(
    r"(?:u?int\d+_t|u?intptr_t|size_t|void|char|float|double|int|unsigned|const|restrict|volatile|type)$"
)
OPAQUE = {"__asm__", "asm", "__attribute__", "_Pragma", "__asm"}
STATEMENTS = {"return", "case", "else", "do", "goto", "default"}
OPENING = {"(": ")", "[": "]"}
ASSEMBLY = re.compile(
    r"((?<=\n)SMELT_INLINE int32_t smelt_\w+\(([^)]*)\)\n\{\n(?:#if[^\n]*\n[^\n]*\n#else\n)?    int32_t result;\n)(    __asm__\()"
)
FUNCTION = re.compile(r"((?<=\n)SMELT_(?:INLINE|SHARED) [\w *]+\()([^()]*)\)\n\{\n((?:(?!\n\}\n).)*\n\}\n)", re.DOTALL)
VARIANT = re.compile(r"(?<=\n)#define (smelt_\w+)\(\.\.\.\) (smelt_\w+)\((\w+(?:, \w+)*), __VA_ARGS__\)\n")
UNDEFINED = re.compile(r"(?<=\n)#undef SMELT_\w+\n")
POINTER = re.compile(r"\w \*(?:const |restrict )*(\w+)(?= =|[,);])")
ARRAY = re.compile(r"^ +\w+ (\w+)\[\w+\];", re.MULTILINE)
CHARACTERS = re.compile(r"\(const char \*\)(\w+)")
ACCESS = "/* Reading and writing at any address. */\n"
OBJECTS = """/* Bytes as such, and as words, which lie where words may lie. */

SMELT_INLINE const char *smelt_characters(const void *from)
{
    return (const char *)from;
}

SMELT_INLINE int32_t *smelt_words(void *from)
{
    return (int32_t *)from;
}

"""
TERM = r"\w+|\((?:[^()]|\([^()]*\))*\)"
DROPPED = re.compile(r"^(\s*)((?:mem(?:cpy|set)|SMELT_COPY)\()", re.MULTILINE)


@dataclass
class Node:
    """A piece of C: what stands before it, and itself; of brackets also what is inside."""

    space: str
    text: str
    inside: list[Node] = field(default_factory=list)
    closing: str = ""

    @property
    def is_group(self) -> bool:
        return bool(self.closing)

    @property
    def is_type(self) -> bool:
        return bool(TYPES.match(self.text))


@cache
def reviewed_header(text: str) -> str:
    """A header with its expressions in parentheses, and nothing else of it changed."""
    found, end = [], 0
    for directive in DIRECTIVE.finditer(text):
        found += [_code(text[end : directive.start()]), _directive(directive[0])]
        end = directive.end()
    text = DROPPED.sub(r"\1(void)\2", "".join((*found, _code(text[end:]))))
    text = VARIANT.sub(lambda variant: _function(variant, text), UNDEFINED.sub("", text))
    text = FUNCTION.sub(_copied, ASSEMBLY.sub(_named, text))
    return text.replace(ACCESS, OBJECTS + ACCESS)


def _function(variant: re.Match[str], text: str) -> str:
    """A macro that is a function with its first arguments given, as such a function."""
    name, target, given = variant.groups()
    found = re.search(rf"SMELT_INLINE (\w+) {target}\(([^)]*)\)", text)
    if found is None:
        return variant[0]
    parameters = [p.strip() for p in found[2].split(",")][given.count(",") + 1 :]
    names = ", ".join((given, *map(_name, parameters)))
    returned = "" if found[1] == "void" else "return "
    return f"SMELT_INLINE {found[1]} {name}({', '.join(parameters)})\n{{\n    {returned}{target}({names});\n}}\n\n"


def _copied(function: re.Match[str]) -> str:
    """A function whose parameters stay what they are."""
    head, parameters, body = function.groups()
    copies = ""
    for parameter in parameters.split(","):
        name, declared = _name(parameter), " ".join(parameter.split())
        if re.search(rf"(?<![\w.>*])(?:{name} (?:[-+*/%|&^]|<<|>>)?= |(?:\+\+|--){name}\b|{name}(?:\+\+|--))", body):
            parameters = re.sub(rf"\b{name}\b(?=\s*(?:,|$))", f"{name}_given", parameters)
            copies += f"    {declared} = {name}_given;\n"
    opening = function[0][len(head) + len(function[2]) : -len(body)]
    body = _elements(body, sorted({*POINTER.findall(function[0]), *ARRAY.findall(body)}))
    return f"{head}{parameters}{opening}{copies}{body}"


def _elements(body: str, pointers: Sequence[str]) -> str:
    """Sums of a pointer and terms as addresses of elements."""
    body = CHARACTERS.sub(r"smelt_characters(\1)", body)
    for name in (r"smelt_characters\(\w+\)", *pointers):
        body = re.sub(rf"^(\s*)({name}) \+= ([^;]+);", r"\1\2 = &\2[\3];", body, flags=re.MULTILINE)
        sums = re.compile(rf"((?:[(,=]|return) ?)({name})((?: \+ (?:{TERM}))+)(?=\s?[,;)])")
        body = sums.sub(_element, body)
    return body


def _element(found: re.Match[str]) -> str:
    """An element, one from there on, and so on: compilers see the same sum."""
    place = found[2]
    for term in re.findall(TERM, found[3]):
        place = f"({place})" if place.startswith("&") else place
        place = f"&{place}[{term[1:-1] if term.startswith('(') else term}]"
    return f"{found[1]}{place}"


def _name(parameter: str) -> str:
    return parameter.split()[-1].lstrip("*")


def _named(function: re.Match[str]) -> str:
    """A function that is one instruction, with its parameters as statements."""
    return function[1] + "".join(f"    (void){_name(p)};\n" for p in function[2].split(",")) + function[3]


def _directive(text: str) -> str:
    parts = DEFINE.fullmatch(text)
    return parts[1] + _code(parts[2]) if parts else text


def _code(text: str) -> str:
    tokens = [(m.lastgroup, m[0]) for m in TOKEN.finditer(text)]
    nodes, rest = _nodes(iter(tokens))
    return "".join(_printed(tuple(_single(_grouped(nodes))))) + rest


def _single(nodes: Sequence[Node]) -> Iterator[Node]:
    """One variable to a declaration of numbers."""
    begin = 0
    for place, node in enumerate(nodes):
        if node.text in (";", "{", "}"):
            yield from _declared(nodes[begin:place])
            yield node
            begin = place + 1
    yield from nodes[begin:]


def _declared(nodes: Sequence[Node]) -> Iterator[Node]:
    """A statement without its end; where it declares several numbers, so many."""
    count = next((n for n, node in enumerate(nodes) if not node.is_type), 0)
    is_one = count and count + 1 < len(nodes) and (nodes[count + 1].is_group or nodes[count].text == "*")
    for node in nodes:
        if node.text == "," and count and not is_one:
            yield Node("", ";")
            yield from nodes[:count]
        else:
            yield node


def _nodes(tokens: Iterator[tuple[str | None, str]], closing: str = "") -> tuple[list[Node], str]:
    """What comes up to a closing bracket, and the space before that."""
    found, space = list[Node](), ""
    for kind, text in tokens:
        if kind == "space":
            space += text
        elif text in OPENING:
            inside, before = _nodes(tokens, OPENING[text])
            found.append(Node(space, text, inside, before + OPENING[text]))
            space = ""
        elif closing and text == closing:
            return found, space
        else:
            found.append(Node(space, text))
            space = ""
    return found, space


def _printed(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        yield node.space + node.text
        if node.is_group:
            yield from _printed(node.inside)
            yield node.closing


def _grouped(nodes: Sequence[Node]) -> list[Node]:
    """The same with parentheses around operands."""
    found, part = list[Node](), list[Node]()
    for place, node in enumerate(nodes):
        if node.is_group and place and nodes[place - 1].text in OPAQUE | {"volatile"}:
            part.append(node)
            continue
        if node.is_group:
            node = Node(node.space, node.text, _grouped(node.inside), node.closing)
        if node.text in ENDS or node.text in STATEMENTS or node.text in OPAQUE:
            found += [*_expression(part), node]
            part = []
        else:
            part.append(node)
    return [*found, *_expression(part)]


def _expression(nodes: list[Node]) -> list[Node]:
    """Nodes without an end of an expression among them: its operators in their order of precedence."""
    places = [n for n in range(len(nodes)) if _is_operator(nodes, n)]
    if not places:
        return nodes
    level = min(LEVELS[nodes[n].text] for n in places)
    cuts = [n for n in places if LEVELS[nodes[n].text] == level]
    found, begin = list[Node](), 0
    for cut in (*cuts, len(nodes)):
        operand = nodes[begin:cut]
        found += _operand(operand) if any(begin <= n < cut for n in places) else operand
        found += nodes[cut : cut + 1]
        begin = cut + 1
    return found


def _operand(nodes: list[Node]) -> list[Node]:
    """An operation that is the operand of another one."""
    first, *rest = _expression(nodes)
    return [Node(first.space, "(", [Node("", first.text, first.inside, first.closing), *rest], ")")]


def _is_operator(nodes: Sequence[Node], place: int) -> bool:
    """Whether a sign stands between two operands."""
    node = nodes[place]
    if node.text not in LEVELS or node.is_group or place == 0 or place == len(nodes) - 1:
        return False
    before = nodes[place - 1]
    if before.is_group:
        return not (before.text == "(" and _is_cast(nodes, place - 1))
    return not before.is_type and (before.text[0].isalnum() or before.text[0] in "_\"'." or before.text in ("++", "--"))


def _is_cast(nodes: Sequence[Node], place: int) -> bool:
    """Whether a group is a type in parentheses, and no call."""
    inside = nodes[place].inside
    return bool(inside) and all(n.is_type or n.text == "*" for n in inside)
