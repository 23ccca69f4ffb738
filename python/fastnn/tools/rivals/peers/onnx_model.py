"""A row as an ONNX model with constant weights: what onnxruntime_peer.py and openvino_peer.py run."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..row import CONVOLUTIONS, POOLINGS, RECURRENT, Row
from . import onnx_recurrent

OPERATORS = {
    "AdaptiveAvgPool2d": "GlobalAveragePool",
    "AvgPool2d": "AveragePool",
    "Conv1d": "Conv",
    "Conv2d": "Conv",
    "ConvTranspose2d": "ConvTranspose",
    "Linear": "Gemm",
    "MaxPool2d": "MaxPool",
    "ReLU": "Relu",
}


def attributes(row: Row) -> dict[str, Any]:
    if row.kind == "Linear":
        return {"transB": 1}
    if row.kind not in CONVOLUTIONS + POOLINGS or row.kind == "AdaptiveAvgPool2d":
        return {}
    found = {
        "kernel_shape": row.axes("kernel_size"),
        "strides": row.axes("kernel_size" if row.kind in POOLINGS and "stride" not in row.options else "stride"),
        "pads": row.axes("padding", 0) * 2,
    }
    if row.kind in CONVOLUTIONS:
        found |= {"dilations": row.axes("dilation"), "group": row.options.get("groups", 1)}
    return found


def output_shape(row: Row) -> tuple[int, ...]:
    if row.kind == "Linear":
        return (row.x[0], row.options["out_features"])
    return row.x if row.kind == "ReLU" else row.output


def inputs(row: Row) -> dict[str, np.ndarray]:
    """Names and values of what a call is given."""
    return onnx_recurrent.inputs(row) if row.kind in RECURRENT else {"x": row.input()}


def outputs(row: Row) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a call returns."""
    return onnx_recurrent.outputs(row) if row.kind in RECURRENT else {"y": output_shape(row)}


def onnx_model(row: Row) -> bytes | None:
    """The serialized model; None where ONNX has no such forward."""
    if row.kind in RECURRENT:
        nodes, constants = onnx_recurrent.nodes(row), onnx_recurrent.constants(row)
    elif row.kind in OPERATORS:
        constants = row.weights()
        nodes = [helper.make_node(OPERATORS[row.kind], ["x", *constants], ["y"], **attributes(row))]
    else:
        return None
    graph = helper.make_graph(
        nodes,
        "row",
        [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
         for k, v in inputs(row).items()],
        [helper.make_tensor_value_info(k, onnx.TensorProto.FLOAT, shape) for k, shape in outputs(row).items()],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
