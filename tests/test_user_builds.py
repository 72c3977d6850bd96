"""Whole models in QEMU, built as users build: with flags that put code of their own into every C function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smelt.compile import compile
from smelt.devices.choose import run_image
from smelt.firmware import build, render_harness
from smelt.inputs import random_inputs
from smelt.model.reference import run as reference
from smelt.targets.boards import board
from tests.paths import INT8_MODELS
from tests.thumb_programs import HOOKS
from tests.tiny_firmware import need

FLAGS = {
    "protector": ("-fstack-protector-all",),
    "instrument": ("-finstrument-functions",),
    "size": (
        "-Os",
        "-fstack-protector-all",
        "-finstrument-functions",
        "-fno-omit-frame-pointer",
        "-ffixed-r9",
        "-ftrapv",
    ),
}


@pytest.mark.parametrize(
    ("model", "flags", "name"),
    [
        *((m, f, "mps2_an386") for m in ("AD", "KWS") for f in FLAGS),
        *((m, "size", "mps2_an505") for m in ("AD", "KWS")),
    ],
)
def test_a_model_is_exact_however_users_build_it(model: str, flags: str, name: str) -> None:
    need("qemu-system-arm")
    need("arm-none-eabi-gcc")
    made = compile(INT8_MODELS[model], board(name), compiler="none")
    assert any(k.assembly_stack for k in made.program.kernels)
    harness = render_harness(made.program, made.sources)
    own = {file: FLAGS[flags] for file in made.sources.files if file.endswith(".c")}
    sources = replace(harness, files={**harness.files, "hooks.c": HOOKS}, flags={**harness.flags, **own})
    image = build(sources, board(name), "gcc")
    inputs = random_inputs(made.model, 1, seed=3)
    stream = b"".join(a.tobytes() for arrays in inputs for a in arrays)
    run = run_image(board(name), image, stream, "qemu", False)
    expected = b"".join(np.ascontiguousarray(a).tobytes() for arrays in inputs for a in reference(made.model, arrays))
    assert run.outputs == expected
