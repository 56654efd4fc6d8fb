"""A tiny model with the interface of Silero's voice activity detector."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_tiny_voice(path: Path, *, inputs: tuple[str, ...] = ("input", "state", "sr")) -> Path:
    """Write a model that hears speech where the samples before the step, its context, are above 0.1 on average.

    The state counts the steps; the model hears nothing in the first two, so a state that is not passed on is noticed.
    """
    kinds = {
        "input": helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, None]),
        "state": helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, None, 128]),
        "sr": helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    }
    constants = {
        "first": ([1], [0]),
        "last": ([1], [64]),
        "axis": ([1], [1]),
        "all": ([3], [0, 1, 2]),
    }
    values = {"one": 1.0, "level": 0.1, "two": 1.5}
    nodes = [
        helper.make_node("Slice", ["input", "first", "last", "axis"], ["context"]),
        helper.make_node("ReduceMean", ["context", "axis"], ["mean"], keepdims=1),
        helper.make_node("Greater", ["mean", "level"], ["loud"]),
        helper.make_node("Add", ["state", "one"], ["stateN"]),
        helper.make_node("ReduceMean", ["state", "all"], ["steps"], keepdims=0),
        helper.make_node("Greater", ["steps", "two"], ["later"]),
        helper.make_node("And", ["loud", "later"], ["both"]),
        helper.make_node("Cast", ["both"], ["output"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "voice",
        [kinds[name] for name in inputs],
        [
            helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("stateN", TensorProto.FLOAT, [2, None, 128]),
        ],
        [helper.make_tensor(name, TensorProto.INT64, *one) for name, one in constants.items()]
        + [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if set(inputs) == {"input", "state", "sr"}:
        onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
