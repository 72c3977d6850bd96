"""The functions of smelt_math.h and smelt_powers.h are within two units in the last place (over every 16,411th float)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.kernels_host import SUPPORT, ZIG

STRIDE = 16411
MOST = {"sqrt": 0.0, "floor": 0.0, "ceil": 0.0, "round": 0.0}  # correctly rounded; others: two units

PROGRAM = r"""
#include "smelt_powers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double units(float got, double wanted)
{
    const float near = (float)wanted;
    int exponent;
    if (isnan(wanted) || isnan(got)) {
        return isnan(wanted) && isnan(got) ? 0.0 : 1e9;
    }
    if (isinf(near) || isinf(got)) {
        return near == got ? 0.0 : (isinf(near) ? copysignf(3.40282347e38f, near) == got : near == copysignf(3.40282347e38f, got)) ? 1.0 : 1e9;
    }
    (void)frexpf(near == 0.0f ? 1e-45f : near, &exponent);
    return fabs((double)got - (double)near) / ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
}

static double logistic(double x)
{
    return x > 16.619047164916992188f ? 1.0 : x < -9.0 ? exp(x) : 1.0 / (1.0 + exp(-x));
}

static double elu(double x)
{
    return x < 0.0 ? expm1(x) : x;
}

/* pow by x, and by y */
#define smelt_square(x) smelt_pow(x, 2.0f)
#define smelt_cube_root(x) smelt_pow(x, 0.333333343f)
#define smelt_steep(x) smelt_pow(x, -31.0f)
#define smelt_of_half(x) smelt_pow(0.5f, x)
#define square(x) pow(x, 2.0)
#define cube_root(x) pow(x, 0.333333343f)
#define steep(x) pow(x, -31.0)
#define of_half(x) pow(0.5, x)

#define TRY(name, reference)                                                                  \
    {                                                                                         \
        double worst = 0.0;                                                                   \
        for (uint64_t bits = 0; bits < 0x100000000u; bits += (uint64_t)stride) {              \
            const float x = smelt_float_of((int32_t)(uint32_t)bits);                          \
            const double off = units(smelt_##name(x), reference((double)x));                  \
            worst = off > worst ? off : worst;                                                \
        }                                                                                     \
        printf(#name " %.3f\n", worst);                                                       \
    }

int main(int count, char **values)
{
    const long stride = count > 1 ? atol(values[1]) : 1;
    TRY(sqrt, sqrt) TRY(exp, exp) TRY(log, log) TRY(tanh, tanh) TRY(logistic, logistic) TRY(elu, elu)
    TRY(sin, sin) TRY(cos, cos) TRY(floor, floor) TRY(ceil, ceil) TRY(round, rint)
    TRY(erfc, erfc) TRY(erf, erf) TRY(square, square) TRY(cube_root, cube_root) TRY(steep, steep) TRY(of_half, of_half)
    return 0;
}
"""  # noqa: E501


@pytest.fixture(scope="module")
def worst(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder: Path = tmp_path_factory.mktemp("math")
    (folder / "math.c").write_text(PROGRAM)
    command = [*ZIG, "-O2", "-ffp-contract=off", "-I", str(SUPPORT), "math.c", "-o", "math", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([str(folder / "math"), str(STRIDE)], capture_output=True, text=True, check=True)
    return {name: float(units) for name, units in (line.split() for line in done.stdout.splitlines())}


@pytest.mark.parametrize(
    "name",
    (
        *("sqrt", "exp", "log", "tanh", "logistic", "elu", "sin", "cos", "floor", "ceil", "round", "erfc", "erf"),
        *("square", "cube_root", "steep", "of_half"),
    ),
)
def test_functions_are_within_two_units_in_the_last_place(worst: dict[str, float], name: str) -> None:
    assert worst[name] <= MOST.get(name, 2.0)
