"""Models as C arrays, as every tool writes them; and files that are no model, named as what they are."""

import gzip
import io
import tarfile
import time
import zipfile

import numpy as np
import pytest

from smelt.errors import ModelError, SmeltError, Unsupported
from smelt.importers import load, model_bytes
from smelt.importers.c_array import from_c
from tests.importer_cases import relu_chain


@pytest.fixture(scope="module")
def model():
    w, inputs, outputs = relu_chain("ab")
    return w.finish(inputs, outputs)


def numbers(data, form="0x{:02x}", per_row=12, separator=", "):
    rows = [data[i : i + per_row] for i in range(0, len(data), per_row)]
    return ",\n  ".join(separator.join(form.format(v) for v in row) for row in rows)


def signed(data):
    return ", ".join(str(v) for v in np.frombuffer(data, np.int8))


WRITERS = {
    "xxd -i": lambda m: f"unsigned char a_tflite[] = {{\n  {numbers(m)}\n}};\nunsigned int a_tflite_len = {len(m)};\n",
    "TFLM": lambda m: (
        '/* Licence: "none", {really} */\n#include "m.h"\n#ifdef __has_attribute\n#define HAVE_ATTRIBUTE(x) __has_attribute(x)\n'
        "#else\n#define HAVE_ATTRIBUTE(x) 0\n#endif\n#if HAVE_ATTRIBUTE(aligned) || \\\n  defined(__GNUC__)\n"
        "#define DATA_ALIGN_ATTRIBUTE __attribute__((aligned(4)))\n#else\n#define DATA_ALIGN_ATTRIBUTE\n#endif\n"
        f"const unsigned char g_model[] DATA_ALIGN_ATTRIBUTE = {{{numbers(m)}}};\nconst int g_model_len = {len(m)};\n"
    ),
    "alignas": lambda m: (
        f"namespace n {{ alignas(16) constexpr uint8_t model[{len(m)}] = {{ {numbers(m, '0X{:02X}')}, }}; }}"
    ),
    "attribute behind": lambda m: (
        f'static const uint8_t m[] __attribute__((section(".rodata"), aligned(8)))=\n{{{numbers(m, "{}", separator=",")}}};'
    ),
    "std::array": lambda m: f"inline constexpr std::array<std::uint8_t, {len(m)}> model{{{{{numbers(m, '{:#x}u')}}}}};",
    "signed": lambda m: f"const signed char model[] PROGMEM = {{{signed(m)}}};",
    "casts": lambda m: f"const char model[] = {{{numbers(m, '(char)0x{:x}')}}};",
    "octal": lambda m: f"char m[] = {{{numbers(m, '0{:o}')}}};",
    "characters": lambda m: "char m[] = {" + ",".join(f"'\\x{v:02x}'" for v in m) + "};",
    "comments inside": lambda m: (
        "char m[] = { // {\n" + ", // }, 1\n".join(f"/* {i}, */ {v}" for i, v in enumerate(m)) + "\n};"
    ),
    "words": lambda m: (
        "const uint32_t m[] = {" + ",".join(f"0x{v:08x}UL" for v in np.frombuffer(m + bytes(-len(m) % 4), "<u4")) + "};"
    ),
    "several arrays": lambda m: (
        f"const int8_t input[] = {{1, 2, -3}};\nstruct s t = {{.a = 1}};\nconst uint8_t model[] = {{{numbers(m)}}};\n"
        'const char *labels[] = {"a,b", "}", "{1, 2}"};\nint f(void) { return \'{\'; }\n'
    ),
    "carriage returns": lambda m: f"unsigned char m[] = {{\n{numbers(m)}\n}};\n".replace("\n", "\r\n"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_c_arrays_are_read_as_the_model_they_hold(tmp_path, model, writer):
    path = tmp_path / "model_data.cc"
    path.write_text(WRITERS[writer](model), newline="")
    assert model_bytes(path)[: len(model)] == model
    assert str(load(path)).splitlines()[1:] == str(load(written(tmp_path / "m.tflite", model))).splitlines()[1:]


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("int f(void) { return 0; }", "C without a model"),
        ("const uint8_t m[] = {0x1c, 0, 0, 0, 'T', 'F', 'L', '4'};", "C without a model"),
        ("const uint8_t m[] = {\n#if A\n1,\n#else\n2,\n#endif\n0,0,0,'T','F','L','3'};", "C without a model"),
        ("const uint8_t m[] = {1,0,0,0,'T','F','L','3', x};", "C without a model"),
        ("char a[] = {1,0,0,0,'T','F','L','3',1}; char b[] = {1,0,0,0,'T','F','L','3',2};", r"holds 2 models \(a, b\)"),
        ("const uint8_t m[] = {1,0,0,0,'T','F','L','3'};", "damaged"),
    ],
)
def test_c_without_one_sound_model_is_refused(tmp_path, text, words):
    path = tmp_path / "model.h"
    path.write_text(text)
    with pytest.raises(ModelError, match=words):
        load(path)


@pytest.mark.parametrize(
    "text", [b"{" * 10**6, b"/*" * 10**6, b"'" * 10**6, b'"' * 10**6, b"{0," * 10**6, b"#\\\n" * 10**6, b"(" * 10**6]
)
def test_absurd_texts_take_time_in_proportion(text):
    start = time.process_time()
    assert from_c(b"char m[] = {" + text) is None
    assert time.process_time() - start < 20


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.tflite"))
    return buffer.getvalue()


FOREIGN = {
    "pointer.tflite": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        ModelError,
        "Git LFS pointer",
    ),
    "model.zip": (zipped(**{"a/model.tflite": b""}), ModelError, "zip archive with a .tflite file"),
    "renamed.tflite": (zipped(readme=b""), ModelError, "zip archive"),
    "model.keras": (zipped(**{"model.weights.h5": b"", "config.json": b""}), Unsupported, "Keras model"),
    "model.pt": (zipped(**{"archive/data.pkl": b""}), Unsupported, "PyTorch model"),
    "old.pth": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.torch", Unsupported, "PyTorch model"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), Unsupported, "Keras model"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch", ModelError, "holds no graph"),
    "model.tar.gz": (gzip.compress(tarred()), ModelError, "gzip archive"),
    "model.tar": (tarred(), ModelError, "tar archive"),
    "saved_model.pb": (b"\x08\x01\x12", Unsupported, "TensorFlow graph"),
    "page.tflite": (b"\n<!DOCTYPE html>\n<html>{}</html>", ModelError, "web page"),
    "frog.png": (b"\x89PNG\r\n\x1a\n", ModelError, "a picture"),
    "x.npz": (zipped(**{"x.npy": b""}), ModelError, "NumPy arrays"),
    "firmware.elf": (b"\x7fELF\x01", ModelError, "a program"),
    "empty.tflite": (b"", ModelError, "is empty"),
    "text.txt": (b"hello", ModelError, "not a model file"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_named_as_what_they_are(tmp_path, name):
    data, error, words = FOREIGN[name]
    with pytest.raises(SmeltError, match=words) as raised:
        load(written(tmp_path / name, data))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("inside", "error", "words"),
    [
        ("saved_model.pb", Unsupported, "SavedModel"),
        ("kws.tflite", ModelError, "in it is kws.tflite"),
        ("x", ModelError, "a folder"),
    ],
)
def test_folders_are_named_as_what_they_are(tmp_path, inside, error, words):
    (tmp_path / inside).write_bytes(b"")
    with pytest.raises(SmeltError, match=words) as raised:
        load(tmp_path)
    assert type(raised.value) is error
