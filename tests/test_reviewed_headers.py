"""Headers as users get them: the same machine code as the text that measurements are about, function by function."""

import re
import subprocess

import pytest

from smelt.kernels.headers import all_headers
from smelt.kernels.reviewed import reviewed_header
from tests.tiny_firmware import need

LEFT_OUT = ("smelt_xpulp.h", "smelt_pulp_cores.h", "smelt_stm32_mdma.h")  # of other processors
KEEP = "-std=c99 -O1 -fkeep-static-functions -fkeep-inline-functions -ffreestanding -Wall -Wextra -Wconversion -Wshadow -Werror"
COMPILERS = ("gcc", "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb")


def functions(folder, command):
    """The instructions of each function of all headers, without the numbers of labels."""
    flags = [*command.split(), *KEEP.split(), "-I.", "-S", "all.c", "-o", "-"]
    done = subprocess.run(flags, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, name = {}, ""
    for line in done.stdout.splitlines():
        if label := re.match(r"(smelt_\w+):", line):
            name, found[label[1]] = label[1], {}
        elif name and not line.lstrip().startswith((".", "@", "#")):
            numbers = found[name]
            line = re.sub(r"\.L[A-Z]*\d+", lambda m, n=numbers: n.setdefault(m[0], f"L{len(n)}"), line)
            numbers.setdefault("", []).append(line)
    return {name: numbers.get("", []) for name, numbers in found.items()}


@pytest.mark.parametrize("command", COMPILERS, ids=lambda c: c.split()[0])
def test_reviewed_headers_are_the_same_machine_code(command, tmp_path):
    need(command.split()[0])
    texts = {name: text for name, text in all_headers().items() if name.endswith(".h") and name not in LEFT_OUT}
    first = ["smelt_dsp.h", *(name for name in texts if name != "smelt_dsp.h")]
    made = {}
    for way, change in {"plain": str, "reviewed": reviewed_header}.items():
        folder = tmp_path / way
        folder.mkdir()
        for name, text in texts.items():
            (folder / name).write_text(change(text))
        (folder / "string.h").write_text(
            "#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\nvoid *memset(void *, int, size_t);\n"
        )
        (folder / "all.c").write_text("".join(f'#include "{name}"\n' for name in first))
        made[way] = functions(folder, command)
    plain, reviewed = made["plain"], made["reviewed"]
    assert len(plain) > 50 and plain.keys() <= reviewed.keys()
    assert {n: (plain[n], reviewed[n]) for n in plain if plain[n] != reviewed[n]} == {}


def test_what_a_reviewed_header_says():
    text = (
        "\nSMELT_INLINE int32_t smelt_f(int32_t n, const int8_t *x, int32_t both)\n{\n    int32_t a = x[n * 2 + 1], b = -n;\n"
        "    memcpy(&a, x + n, 4u);\n    ++x;\n    both += a < b && n > 3 ? *x : n & 1;\n    return (int32_t)(a * b) - both;\n}\n\n"
        "#define smelt_f_2(...) smelt_f(2, __VA_ARGS__)\n#undef SMELT_F\n"
    )
    assert reviewed_header(text) == (
        "\nSMELT_INLINE int32_t smelt_f(int32_t n, const int8_t *x_given, int32_t both_given)\n{\n"
        "    const int8_t *x = x_given;\n    int32_t both = both_given;\n"
        "    int32_t a = x[(n * 2) + 1];\n    int32_t b = -n;\n"
        "    (void)memcpy(&a, &x[n], 4u);\n    ++x;\n    both += ((a < b) && (n > 3)) ? *x : (n & 1);\n"
        "    return (int32_t)(a * b) - both;\n}\n\n"
        "SMELT_INLINE int32_t smelt_f_2(const int8_t *x, int32_t both)\n{\n    return smelt_f(2, x, both);\n}\n\n"
    )


def test_places_of_several_terms_are_elements_of_elements():
    text = (
        "\nSMELT_INLINE void smelt_f(int32_t n, const void *w, const int8_t *x)\n{\n    uint32_t sums[4];\n"
        "    const char *from = (const char *)w + n + (4 * n);\n    smelt_g(sums + n, x + (n * 2) + 1, from + n);\n}\n"
    )
    assert reviewed_header(text) == (
        "\nSMELT_INLINE void smelt_f(int32_t n, const void *w, const int8_t *x)\n{\n    uint32_t sums[4];\n"
        "    const char *from = &(&smelt_characters(w)[n])[4 * n];\n    smelt_g(&sums[n], &(&x[n * 2])[1], &from[n]);\n}\n"
    )
