"""Small ONNX files with the inputs and outputs of the real exporters, whose answers a test decides.

The shapes are those that the exporters document: Ultralytics' guide to end-to-end detection (1×300×6, 1×300×57
with pose), D-FINE's `logits` 1×300×80 and `pred_boxes` 1×300×4, RF-DETR's `dets` 1×300×4 and `labels` 1×300×91.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Axis", "write_answering_network", "write_quantised_network", "write_seeing_network"]

Axis = int | str
Floats = npt.NDArray[np.float32]


def write_answering_network(
    path: Path,
    outputs: Mapping[str, Floats],
    *,
    shape: Sequence[Axis] = (1, 3, 640, 640),
    input_name: str = "images",
    element: int = TensorProto.FLOAT,
) -> Path:
    """A network that looks at its picture and gives these outputs whatever it shows; `shape` may name open axes."""
    nodes = [
        helper.make_node("Cast", [input_name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    constants = [numpy_helper.from_array(np.zeros((), np.float32), "nothing")]
    for name, table in outputs.items():
        constants.append(numpy_helper.from_array(np.asarray(table, np.float32), f"{name}_table"))
        nodes.append(helper.make_node("Add", [f"{name}_table", "zero"], [name]))
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, table.shape) for name, table in outputs.items()]
    return _save(path, nodes, constants, helper.make_tensor_value_info(input_name, element, list(shape)), told)


def write_seeing_network(path: Path, *, side: int = 64) -> Path:
    """An end-to-end network whose first three rows have the mean of their channel as confidence."""
    table = np.zeros((1, 300, 6), np.float32)
    for channel in range(3):
        table[0, channel, :4] = [10 * channel, 0, 10 * channel + 5, 20]
    selector = np.zeros((3, 300), np.float32)
    selector[range(3), range(3)] = 1
    column = np.zeros((1, 1, 6), np.float32)
    column[0, 0, 4] = 1
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "selector"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "last"], ["tall"]),
        helper.make_node("Mul", ["tall", "column"], ["confidence"]),
        helper.make_node("Add", ["table", "confidence"], ["output0"]),
    ]
    constants = [
        numpy_helper.from_array(selector, "selector"),
        numpy_helper.from_array(column, "column"),
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2], np.int64), "last"),
    ]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])
    told = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 300, 6])]
    return _save(path, nodes, constants, picture, told)


def write_quantised_network(path: Path) -> Path:
    """An end-to-end network that finds nobody, and passes its picture through whole numbers on the way."""
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "step", "zero"], ["whole"]),
        helper.make_node("DequantizeLinear", ["whole", "step", "zero"], ["floats"]),
        helper.make_node("ReduceMean", ["floats"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nobody"], ["output0"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(1, np.float32), "step"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
        numpy_helper.from_array(np.zeros((1, 300, 6), np.float32), "nobody"),
    ]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    told = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 300, 6])]
    return _save(path, nodes, constants, picture, told)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    picture: onnx.ValueInfoProto,
    told: list[onnx.ValueInfoProto],
) -> Path:
    graph = helper.make_graph(nodes, "answers", [picture], told, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
