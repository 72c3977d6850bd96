"""What to do about a model that is not supported: the operators that are near, the options of TensorFlow's converter."""

from __future__ import annotations

INT8_OPTIONS = (
    "converter.optimizations = [tf.lite.Optimize.DEFAULT]; converter.representative_dataset = samples; "
    "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]"
)

QUANTISE = f"quantise the whole model to int8 ({INT8_OPTIONS})"

HYBRID = (
    "weights of int8 beside activations of float32 (dynamic range quantisation): they are made float32 while the file is read, "
    "in four times the flash, and products and sums are those of float32; TensorFlow Lite Micro refuses such models, and "
    "TensorFlow Lite rounds their activations to int8; smaller and faster is int8 throughout, with a representative data set: "
    f"{INT8_OPTIONS}"
)

SELECTED = (
    "it is an operator of TensorFlow itself (SELECT_TF_OPS); convert with converter.target_spec.supported_ops = "
    "[tf.lite.OpsSet.TFLITE_BUILTINS_INT8] alone, and rewrite what the converter then names"
)

DENSE = "convert without tf.lite.Optimize.EXPERIMENTAL_SPARSITY"

HALF = "convert without converter.target_spec.supported_types = [tf.float16]"

FIXED_SHAPE = (
    "fix it: tf.lite.TFLiteConverter.from_concrete_functions([tf.function(model).get_concrete_function("
    "tf.TensorSpec([1, ROWS, COLUMNS, CHANNELS], tf.float32))])"
)

UNROLL = "give the layer unroll=True (tf.keras.layers.LSTM(..., unroll=True)) and a fixed number of time steps, then convert again"

NEAREST: dict[str, str] = {
    "CONV_3D": "CONV_2D is",
    "WHERE": "it is on constants only: how many results it has depends on its input; use SELECT_V2",
    "NON_MAX_SUPPRESSION_V4": "export the network without its last stage, and suppress boxes on the host",
    "NON_MAX_SUPPRESSION_V5": "export the network without its last stage, and suppress boxes on the host",
    "RNN": UNROLL,
    "LSTM": UNROLL,
    "CONV_3D_TRANSPOSE": "TRANSPOSE_CONV is",
}
