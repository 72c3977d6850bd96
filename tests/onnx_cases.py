"""Float operators of ONNX files, one or a few at a time."""

import numpy as np

from tests.onnx_models import model, node, random_inputs

G = np.random.default_rng(7)


def reals(*shape):
    return G.normal(0, 1, shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


IMAGE = (1, 4, 7, 6)
W = {"w": reals(6, 4, 3, 3), "b": reals(6)}

# name: nodes, shapes of inputs, constants, version of the operator set
CASES = {
    "conv": ([node("Conv", "x w b", "y", pads=[1, 0, 2, 1], strides=[2, 1])], [IMAGE], W, 17),
    "conv same": ([node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 2])], [IMAGE], {"w": W["w"]}, 17),
    "conv same lower": ([node("Conv", "x w", "y", auto_pad="SAME_LOWER", strides=[2, 2])], [IMAGE], {"w": W["w"]}, 17),
    "conv dilated": ([node("Conv", "x w b", "y", dilations=[2, 1])], [IMAGE], W, 17),
    "conv groups": ([node("Conv", "x w", "y", group=2)], [IMAGE], {"w": reals(6, 2, 3, 3)}, 17),
    "depthwise": ([node("Conv", "x w", "y", group=4)], [IMAGE], {"w": reals(8, 1, 3, 3)}, 17),
    "conv 1-D": ([node("Conv", "x w", "y", pads=[2, 0])], [(1, 4, 9)], {"w": reals(5, 4, 3)}, 17),
    "conv relu6": (
        [node("Conv", "x w b", "c"), node("Clip", "c lo hi", "y")],
        [IMAGE],
        {**W, "lo": np.float32(0), "hi": np.float32(6)},
        17,
    ),
    "conv used twice": (
        [node("Conv", "x w b", "c"), node("Relu", "c", "r"), node("Add", "c r", "y")],
        [IMAGE],
        W,
        17,
    ),
    "conv batch norm": (
        [node("Conv", "x w b", "c"), node("BatchNormalization", "c s o m v", "n"), node("Relu", "n", "y")],
        [IMAGE],
        {**W, "s": reals(6), "o": reals(6), "m": reals(6), "v": np.abs(reals(6)) + 1},
        17,
    ),
    "batch norm": (
        [node("BatchNormalization", "x s o m v", "y")],
        [IMAGE],
        {"s": reals(4), "o": reals(4), "m": reals(4), "v": np.abs(reals(4)) + 1},
        17,
    ),
    "conv scaled by channel": (
        [node("Conv", "x w", "c"), node("Mul", "c k", "m"), node("Add", "m l", "y")],
        [IMAGE],
        {"w": W["w"], "k": reals(6, 1, 1), "l": reals(1, 6, 1, 1)},
        17,
    ),
    "transposed": ([node("ConvTranspose", "x w", "y", strides=[2, 2])], [IMAGE], {"w": reals(4, 5, 3, 3)}, 17),
    "transposed cut": (
        [node("ConvTranspose", "x w b", "y", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])],
        [IMAGE],
        {"w": reals(4, 5, 3, 3), "b": reals(5)},
        17,
    ),
    "transposed groups": (
        [node("ConvTranspose", "x w", "y", group=2, dilations=[2, 2])],
        [IMAGE],
        {"w": reals(4, 3, 3, 3)},
        17,
    ),
    "flatten gemm": (
        [node("Conv", "x w", "c"), node("Flatten", "c", "f"), node("Gemm", "f g h", "y", transB=1)],
        [IMAGE],
        {"w": W["w"], "g": reals(3, 120), "h": reals(3)},
        17,
    ),
    "flatten relu matmul": (
        [
            node("Conv", "x w", "c"),
            node("Flatten", "c", "f"),
            node("Relu", "f", "r"),
            node("MatMul", "r g", "m"),
            node("Add", "m h", "y"),
        ],
        [IMAGE],
        {"w": W["w"], "g": reals(120, 3), "h": reals(3)},
        17,
    ),
    "gemm transposed": ([node("Gemm", "x g h", "y", transA=1)], [(5, 2)], {"g": reals(5, 3), "h": reals(3)}, 17),
    "gemm of two": ([node("Gemm", "x x2", "y", transA=1, transB=1)], [(5, 2), (3, 5)], {}, 17),
    "gemm alpha": ([node("Gemm", "x g h", "y", alpha=0.5, beta=2.0)], [(2, 5)], {"g": reals(5, 3), "h": reals(1)}, 17),
    "matmul of two": (
        [node("Transpose", "x2", "t", perm=[0, 2, 1]), node("MatMul", "x t", "y")],
        [(2, 3, 4), (2, 5, 4)],
        {},
        17,
    ),
    "max pool": ([node("MaxPool", "x", "y", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])], [IMAGE], {}, 17),
    "max pool ceil": ([node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], [IMAGE], {}, 17),
    "average pool": ([node("AveragePool", "x", "y", kernel_shape=[3, 2], pads=[1, 1, 1, 1])], [IMAGE], {}, 17),
    "average pool counts": (
        [node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2], count_include_pad=1)],
        [IMAGE],
        {},
        17,
    ),
    "average pool ceil": (
        [node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)],
        [(1, 3, 7, 5)],
        {},
        17,
    ),
    "average pool 1-D": ([node("AveragePool", "x", "y", kernel_shape=[3])], [(1, 4, 9)], {}, 17),
    "global pools": (
        [node("GlobalAveragePool", "x", "a"), node("GlobalMaxPool", "x", "b"), node("Concat", "a b", "y", axis=1)],
        [IMAGE],
        {},
        17,
    ),
    "add broadcast": ([node("Add", "x x2", "y")], [IMAGE, (4, 1, 6)], {}, 17),
    "sub constant": ([node("Sub", "k x", "y")], [IMAGE], {"k": reals(6)}, 17),
    "div": ([node("Div", "x k", "y")], [IMAGE], {"k": np.abs(reals(4, 1, 1)) + 1}, 17),
    "min max": ([node("Min", "x x2", "a"), node("Max", "a k", "y")], [IMAGE, IMAGE], {"k": reals(1)}, 17),
    "pow": ([node("Abs", "x", "a"), node("Pow", "a k", "y")], [IMAGE], {"k": np.float32(1.7)}, 17),
    "square": ([node("Pow", "x k", "y")], [IMAGE], {"k": np.float32(2)}, 17),
    "concat": ([node("Concat", "x x2", "y", axis=-3)], [IMAGE, (1, 2, 7, 6)], {}, 17),
    "pad": ([node("Pad", "x p v", "y")], [IMAGE], {"p": ints(0, 1, 2, 0, 0, 0, 1, 3), "v": np.float32(1.5)}, 17),
    "pad crops": ([node("Pad", "x p", "y")], [IMAGE], {"p": ints(0, 0, -1, 2, 0, 0, 1, -2)}, 17),
    "pad reflect": ([node("Pad", "x p", "y", mode="reflect")], [IMAGE], {"p": ints(0, 0, 1, 2, 0, 0, 1, 2)}, 17),
    "pad edge": ([node("Pad", "x p - a", "y", mode="edge")], [IMAGE], {"p": ints(1, 2), "a": ints(3)}, 18),
    "resize nearest": (
        [node("Resize", "x - s", "y", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        [IMAGE],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        17,
    ),
    "resize nearest half": (
        [node("Resize", "x - - s", "y")],
        [IMAGE],
        {"s": ints(1, 4, 10, 3)},
        17,
    ),
    "resize linear": ([node("Resize", "x - - s", "y", mode="linear")], [IMAGE], {"s": ints(1, 4, 14, 9)}, 17),
    "resize corners": (
        [node("Resize", "x - - s", "y", mode="linear", coordinate_transformation_mode="align_corners")],
        [IMAGE],
        {"s": ints(1, 4, 13, 9)},
        17,
    ),
    "upsample": ([node("Upsample", "x s", "y")], [IMAGE], {"s": np.array([1, 1, 2, 3], np.float32)}, 9),
    "reshape transposed": (
        [node("Reshape", "x s", "r"), node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]), node("Reshape", "t s2", "y")],
        [IMAGE],
        {"s": ints(1, 2, 2, 7, 6), "s2": ints(0, -1, 7, 6)},
        17,
    ),
    "reshape across axes": (
        [node("Conv", "x w", "c"), node("Reshape", "c s", "y")],
        [IMAGE],
        {"w": W["w"], "s": ints(8, 15)},
        17,
    ),
    "squeeze": (
        [node("GlobalAveragePool", "x", "p"), node("Squeeze", "p a", "s"), node("Unsqueeze", "s a2", "y")],
        [IMAGE],
        {"a": ints(2, 3), "a2": ints(0)},
        17,
    ),
    "slice": (
        [node("Slice", "x s e a t", "y")],
        [IMAGE],
        {"s": ints(1, -1), "e": ints(4, -9), "a": ints(1, 3), "t": ints(2, -2)},
        17,
    ),
    "split": (
        [node("Split", "x s", "a b", axis=1), node("Concat", "b a", "y", axis=1)],
        [IMAGE],
        {"s": ints(1, 3)},
        17,
    ),
    "gather": ([node("Gather", "x i", "y", axis=1)], [IMAGE], {"i": ints(3, 0, -2)}, 17),
    "gather one": ([node("Gather", "x i", "y", axis=2)], [IMAGE], {"i": np.int64(2)}, 17),
    "expand": ([node("Expand", "x s", "y")], [(1, 4, 1)], {"s": ints(2, 4, 3)}, 17),
    "tile": ([node("Tile", "x s", "y")], [(1, 2, 3)], {"s": ints(1, 2, 2)}, 17),
    "depth to space": (
        [node("Conv", "x w", "c"), node("DepthToSpace", "c", "y", blocksize=2)],
        [IMAGE],
        {"w": reals(8, 4, 3, 3)},
        17,
    ),
    "depth to space crd": ([node("DepthToSpace", "x", "y", blocksize=2, mode="CRD")], [(1, 8, 3, 2)], {}, 17),
    "space to depth": ([node("SpaceToDepth", "x", "y", blocksize=2)], [(1, 3, 4, 6)], {}, 17),
    "softmax of channels": ([node("Softmax", "x", "y", axis=1)], [IMAGE], {}, 17),
    "softmax of all": ([node("Softmax", "x", "y", axis=1)], [(1, 4, 3)], {}, 11),
    "log softmax": ([node("LogSoftmax", "x", "y")], [(2, 5)], {}, 17),
    "reduce mean": ([node("ReduceMean", "x", "y", axes=[2, 3], keepdims=0)], [IMAGE], {}, 17),
    "reduce mean of channels": ([node("ReduceMean", "x a", "y", keepdims=1)], [IMAGE], {"a": ints(1)}, 18),
    "reduce sum": ([node("ReduceSum", "x a", "y")], [IMAGE], {"a": ints(-1)}, 17),
    "reduce max": ([node("ReduceMax", "x", "y", axes=[1])], [IMAGE], {}, 17),
    "reduce l2": ([node("ReduceL2", "x", "y", axes=[1])], [IMAGE], {}, 17),
    "argmax": ([node("ArgMax", "x", "i", axis=1), node("Cast", "i", "y", to=1)], [IMAGE], {}, 17),
    "layer norm": (
        [node("LayerNormalization", "x s b", "y", axis=-1)],
        [(2, 3, 8)],
        {"s": reals(8), "b": reals(8)},
        17,
    ),
    "instance norm": ([node("InstanceNormalization", "x s b", "y")], [IMAGE], {"s": reals(4), "b": reals(4)}, 17),
    "prelu": ([node("PRelu", "x s", "y")], [IMAGE], {"s": reals(4, 1, 1)}, 17),
    "where": ([node("Greater", "x x2", "c"), node("Where", "c x x2", "y")], [IMAGE, IMAGE], {}, 17),
    "cumulative sum": ([node("CumSum", "x a", "y")], [(3, 4)], {"a": np.int32(1)}, 17),
    "gelu of parts": (
        [
            node("Div", "x r", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "f"),
            node("Mul", "x f", "m"),
            node("Mul", "m half", "y"),
        ],
        [(2, 9)],
        {"r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
        17,
    ),
    "view as torch writes it": (
        [
            node("Conv", "x w", "c"),
            node("Shape", "c", "s"),
            node("Gather", "s zero", "n"),
            node("Unsqueeze", "n axes", "u"),
            node("Concat", "u rest", "t", axis=0),
            node("Reshape", "c t", "r"),
            node("Gemm", "r g", "y", transB=1),
        ],
        [("N", 4, 7, 6)],
        {"w": W["w"], "zero": np.int64(0), "axes": ints(0), "rest": ints(-1), "g": reals(3, 120)},
        13,
    ),
    "attention": (
        [
            node("MatMul", "x q", "a"),
            node("MatMul", "x k", "b"),
            node("MatMul", "x v", "c"),
            *(
                n
                for t in "abc"
                for n in (
                    node("Reshape", f"{t} heads", f"{t}1"),
                    node("Transpose", f"{t}1", f"{t}2", perm=[0, 2, 1, 3]),
                )
            ),
            node("Transpose", "b2", "b3", perm=[0, 1, 3, 2]),
            node("MatMul", "a2 b3", "s"),
            node("Softmax", "s", "p", axis=-1),
            node("MatMul", "p c2", "o"),
            node("Transpose", "o", "o1", perm=[0, 2, 1, 3]),
            node("Reshape", "o1 flat", "o2"),
            node("Add", "o2 x", "y"),
        ],
        [(1, 5, 8)],
        {"q": reals(8, 8), "k": reals(8, 8), "v": reals(8, 8), "heads": ints(1, 5, 2, 4), "flat": ints(1, 5, 8)},
        17,
    ),
}
for name in "Relu Sigmoid Tanh HardSigmoid Elu Selu Celu Softplus Softsign Abs Neg Sign Exp Sin Cos Floor Ceil Round Erf".split():
    CASES[name.lower()] = ([node(name, "x", "y")], [IMAGE], {}, 17)
for name in ("HardSwish", "Mish", "ThresholdedRelu", "LeakyRelu", "Shrink", "Sinh", "Cosh", "Reciprocal"):
    CASES[name.lower()] = ([node(name, "x", "y")], [IMAGE], {}, 18)
CASES["gelu"] = ([node("Gelu", "x", "y")], [IMAGE], {}, 20)
CASES["quick gelu"] = ([node("QuickGelu", "x", "y", "com.microsoft")], [IMAGE], {}, 17)
CASES["swish"] = ([node("QuickGelu", "x", "y", "com.microsoft", alpha=1.0)], [IMAGE], {}, 17)
CASES["gelu tanh"] = ([node("Gelu", "x", "y", approximate="tanh")], [IMAGE], {}, 20)


def built(name):
    nodes, shapes, constants, opset = CASES[name]
    names = ("x", "x2")[: len(shapes)]
    file = model(nodes, dict(zip(names, shapes, strict=True)), ["y"], constants, opset)
    return file, random_inputs([tuple(1 if s == "N" else s for s in shape) for shape in shapes])
