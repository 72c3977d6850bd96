"""The ONNX files of `tests/data/pytorch`: python benchmarks/pytorch_exports.py [NETWORK ...] [--by TOOL,...] [--out FOLDER]

Run by hand, never in CI: PyTorch brings gigabytes. In an environment of its own:

    pip install torch==2.14.1 torchao==0.18.0 brevitas==0.13.4 onnxoptimizer==0.4.2 \
        nncf==3.4.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0

Seven networks (`pytorch_networks.py`), trained for 150 steps, are written by `torch` (float32), by onnxruntime's `quantize_static`
(`ort_qdq`; `ort_qop`: QOperator), by PT2E with torchao's XNNPACK quantiser (`pt2e`), by Brevitas (`brevitas`: QCDQ) and by NNCF
(`nncf`).
Weights that meet activations of uint8 have 7 bits: onnxruntime adds pairs of such products in 16 bits where a processor lacks
VNNI, and they must not saturate. Traces of where the code lay are taken out of the files.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from data import DATA

FOLDER = DATA / "pytorch"
NAMES = ("resnet8", "mobilenet_v1", "mobilenet_v2", "dscnn", "autoencoder", "cnn1d", "transformer")


def by_torch(name: str, out: Path) -> None:
    """Float32, as the exporter writes it."""
    out.write_bytes(exported(name))


@cache
def exported(name: str) -> bytes:
    """The file of float32."""
    import torch
    from pytorch_networks import example, trained

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "real.onnx")
        torch.onnx.export(
            trained(name), example(name), str(file), dynamo=True, external_data=False, verbose=False, input_names=["x"]
        )
        return file.read_bytes()


def by_onnxruntime(name: str, out: Path, **settings: Any) -> None:
    """`quantize_static` of the float file."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from pytorch_networks import calibration

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.inputs: Iterator[dict[str, Any]] = iter({"x": x.numpy()} for x in calibration(name))

        def get_next(self) -> dict[str, Any] | None:
            return next(self.inputs, None)

    with tempfile.TemporaryDirectory() as folder:
        real, ready = Path(folder, "real.onnx"), Path(folder, "ready.onnx")
        by_torch(name, real)
        quant_pre_process(str(real), str(ready), skip_symbolic_shape=True)
        quantize_static(str(ready), str(out), Reader(), per_channel=True, weight_type=QuantType.QInt8, **settings)


def as_qdq(name: str, out: Path) -> None:
    """Quantisers around every operator, activations of int8."""
    from onnxruntime.quantization import QuantFormat, QuantType

    by_onnxruntime(name, out, quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8)


def as_qoperator(name: str, out: Path) -> None:
    """Operators on integers, activations of uint8."""
    from onnxruntime.quantization import QuantFormat, QuantType

    wide = QuantType.QUInt8
    by_onnxruntime(name, out, quant_format=QuantFormat.QOperator, activation_type=wide, reduce_range=True)


def by_pt2e(name: str, out: Path) -> None:
    """PyTorch's own quantisation of exported graphs."""
    import torch
    from pytorch_networks import calibration, example, trained
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

    x = example(name)
    graph = torch.export.export(trained(name), x, strict=True).module()
    quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(graph, quantiser)
    for sample in calibration(name):
        prepared(sample)
    converted = convert_pt2e(prepared)
    program = torch.export.export(converted, x)
    torch.onnx.export(program, (), str(out), dynamo=True, external_data=False, verbose=False, input_names=["x"])


def by_brevitas(name: str, out: Path) -> None:
    """Brevitas' quantisation of a traced graph, calibrated, weights of 7 bits; QCDQ."""
    import torch
    from brevitas.export import export_onnx_qcdq
    from brevitas.graph.calibrate import bias_correction_mode, calibration_mode
    from brevitas.graph.quantize import COMPUTE_LAYER_MAP, preprocess_for_quantize, quantize
    from pytorch_networks import calibration, example, trained

    traced = preprocess_for_quantize(trained(name), equalize_iters=0)
    narrow = {
        layer: made and (made[0], {**made[1], "weight_bit_width": 7}) for layer, made in COMPUTE_LAYER_MAP.items()
    }
    quantised = quantize(traced, compute_layer_map=narrow)
    samples = calibration(name)
    with torch.no_grad(), calibration_mode(quantised):
        for x in samples:
            quantised(x)
    with torch.no_grad(), bias_correction_mode(quantised):
        for x in samples:
            quantised(x)
    settings: dict[str, Any] = {"opset_version": 13, "dynamo": False, "input_names": ["x"]}
    export_onnx_qcdq(quantised.eval(), args=example(name)[0], export_path=str(out), **settings)


def by_nncf(name: str, out: Path) -> None:
    """NNCF, from the float file; all weights with half of their range."""
    import nncf
    import onnx
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from pytorch_networks import calibration

    with tempfile.TemporaryDirectory() as folder:
        real = Path(folder, "real.onnx")
        by_torch(name, real)
        inputs = nncf.Dataset([{"x": x.numpy()} for x in calibration(name)])
        advanced = AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE)
        found = nncf.quantize(
            onnx.load(real), inputs, preset=nncf.QuantizationPreset.MIXED, advanced_parameters=advanced
        )
        onnx.save(found, out)


TOOLS: dict[str, Callable[[str, Path], None]] = {
    "torch": by_torch,
    "ort_qdq": as_qdq,
    "ort_qop": as_qoperator,
    "pt2e": by_pt2e,
    "brevitas": by_brevitas,
    "nncf": by_nncf,
}


def stripped(file: Path) -> None:
    """Take out of a file what tells where and from which code it was made."""
    import onnx

    model = onnx.load(file)
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for each in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
    del graph.value_info[:]
    onnx.save(model, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NAMES, metavar="NETWORK")
    parser.add_argument("--by", default=",".join(TOOLS), metavar="TOOL,...")
    parser.add_argument("--out", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.networks:
        for tool in chosen.by.split(","):
            file = chosen.out / f"{name}_{tool}.onnx"
            TOOLS[tool](name, file)
            stripped(file)
            print(f"{file.name}: {file.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
