"""`mlf`: microTVM's Model Library Format, version 7: a .tar with C, its entry as TVM's executor names it, and metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from smelt.firmware.exports.archives import tarred
from smelt.firmware.exports.arranged import arranged
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Package
from smelt.firmware.exports.texts import filled
from smelt.firmware.program import Port
from smelt.firmware.sources import lines

VERSION = 7
HOST = "codegen/host/"
CPU = 1  # TVM's number of the device


def _files(package: Package) -> dict[str, str]:
    name = package.name
    return {
        **arranged(package, f"{HOST}include/", f"{HOST}src/"),
        f"{HOST}include/tvmgen_{name}.h": filled(
            "mlf_entry.h",
            package,
            inputs=lines(f"    void *{port.name};" for port in _inputs(package)),
            outputs=lines(f"    void *{port.name};" for port in package.program.outputs),
            workspace=str(_workspace(package)),
        ),
        f"{HOST}src/tvmgen_{name}.c": filled(
            "mlf_entry.c",
            package,
            inputs=lines(_given(package)),
            outputs=lines(
                f"    (void)memcpy(outputs->{p.name}, out.{p.field}, {p.tensor.bytes}u);"
                for p in package.program.outputs
            ),
        ),
        "metadata.json": f"{json.dumps(_metadata(package), indent=2)}\n",
    }


def _inputs(package: Package) -> tuple[Port, ...]:
    return ((package.fed,) if package.fed else ()) + package.program.inputs


def _given(package: Package) -> Iterator[str]:
    name, feed = package.name, package.program.feed
    if feed is not None:
        yield f"    (void){name}_feed(&net, inputs->{feed.port.name}, {feed.rows}u);"
    elif package.program.inputs:
        yield f"    const {name}_in in = {name}_get_inputs(&net);"
        for port in package.program.inputs:
            yield f"    (void)memcpy(in.{port.field}, inputs->{port.name}, {port.tensor.bytes}u);"


def _workspace(package: Package) -> int:
    return sum(region.bytes for region in package.program.regions)


def _metadata(package: Package) -> dict[str, Any]:
    program = package.program
    tensors = {"inputs": _inputs(package), "outputs": program.outputs}
    main = {
        "device": CPU,
        "workspace_size_bytes": _workspace(package),
        "constants_size_bytes": program.constant_bytes,
        "io_size_bytes": sum(port.tensor.bytes for ports in tensors.values() for port in ports),
        **{
            kind: {port.name: {"size": port.tensor.bytes, "dtype": port.tensor.dtype} for port in ports}
            for kind, ports in tensors.items()
        },
    }
    functions = [
        {"function_name": function, "workspace": [{"device": CPU, "workspace_size_bytes": 0}]}
        for function in dict.fromkeys(program.calls)
    ]
    module = {
        "model_name": package.name,
        "export_datetime": f"{package.label.day.isoformat()} 00:00:00Z",
        "memory": {"functions": {"main": [main], "operator_functions": functions}},
        "target": ["c -keys=cpu"],
        "executors": ["aot"],
        "style": "full-model",
        "external_dependencies": [],
    }
    return {"version": VERSION, "modules": {package.name: module}}


def _packed(package: Package, files: Mapping[str, str]) -> dict[str, bytes]:
    """The archive, and beside it what people read."""
    archive = tarred({name: text.encode() for name, text in files.items()})
    return {f"{package.name}.tar": archive, "README.md": files["README.md"].encode()}


FORMAT = Format("mlf", "Model Library Format of microTVM, for its scripts and projects", "mlf_use.md", _files, _packed)
