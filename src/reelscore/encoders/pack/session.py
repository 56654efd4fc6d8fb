"""ONNX Runtime sessions over verified model files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError, InputError
from reelscore.files import existing_file, read_file
from reelscore.types import FloatArray

from .inputs import LATER_DEFAULTS, input_facts
from .specs import ModelSpec, Output

Shape = tuple[int | None, ...]
"""Expected shape of a tensor; None is a free axis."""


class OnnxModel:
    """One ONNX file of a pack, verified and opened at its first use.

    Parameters
    ----------
    folder : Path
        Folder of the pack.
    spec : ModelSpec
        Specification of the model in the manifest.
    inputs : Mapping of str to iterable of Shape
        Every shape that each input tensor will get, with 1 as the first axis.
    int64_inputs : collection of str
        The inputs that are int64; the others are float32.
    unpack_weights : bool
        Whether 8-bit weights become float32 once at load. Without it convolutions unpack them in every run, at half
        the speed. Transformers have 8-bit kernels for their matrix products and do not need it.
    num_threads : int
        Threads within one operator.
    """

    def __init__(
        self,
        folder: Path,
        spec: ModelSpec,
        inputs: Mapping[str, Iterable[Shape]],
        *,
        int64_inputs: Collection[str] = (),
        unpack_weights: bool = True,
        num_threads: int = 1,
    ) -> None:
        self.path = folder / spec.file
        self.spec = spec
        self._inputs = {name: tuple(shapes) for name, shapes in inputs.items()}
        self._dtypes = {
            name: "tensor(int64)" if name in int64_inputs else "tensor(float)" for name in self._inputs
        }
        self._unpack_weights = unpack_weights
        self._num_threads = num_threads
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, FloatArray]:
        """Run one row: each input has N = 1, each output has shape (D,)."""
        # Batched kernels round differently, so a row would depend on its batch; on one thread they are no faster.
        return {name: rows[0] for name, rows in self.run_rows(feeds).items()}

    def run_rows(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, FloatArray]:
        """Run N rows in one batch; each output has shape (N, D)."""
        names = [output.name for output in self.spec.outputs]
        outputs = self._opened().run(names, dict(feeds))
        return {name: np.asarray(rows, np.float32) for name, rows in zip(names, outputs, strict=True)}

    @property
    def single_row_only(self) -> bool:
        """Whether the model takes batches of one row only."""
        return any(tensor.shape[0] == 1 for tensor in self._opened().get_inputs())

    def labels(self, output: str) -> tuple[str, ...]:
        """Return the labels of `output`, or raise `InputError` if the manifest has none."""
        outputs = {o.name: o for o in self.spec.outputs if o.labels is not None}
        if output not in outputs:
            names = ", ".join(outputs) or "none"
            raise InputError(f"{self.spec.name} has no labels for {output!r}; outputs with labels: {names}")
        return _read_labels(self.path.parent, outputs[output])

    def identity(self, output: Output | None = None) -> tuple[str, ...]:
        """Return what determines the numbers: the file's sha256, the input's specification and the output's name."""
        facts = input_facts(self.spec.input).items()
        specification = {name: value for name, value in facts if LATER_DEFAULTS.get(name) != value}
        return (
            self.spec.sha256,
            json.dumps(specification, sort_keys=True),
            (output or self.spec.feature).name,
        )

    def _opened(self) -> Any:
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> Any:
        content = read_verified(self.path, self.spec.sha256)
        onnxruntime = onnx_runtime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.disable_quant_qdq", str(int(self._unpack_weights)))
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own errors share no base class
            raise ArtifactError(
                f"{self.path} is no ONNX model that ONNX Runtime can load: {error}"
            ) from error
        self._check_signature(session)
        return session

    def _check_signature(self, session: Any) -> None:
        inputs = {tensor.name: tensor for tensor in session.get_inputs()}
        expected = ", ".join(
            f"{name} {list(shapes[0])} {self._dtypes[name]}" for name, shapes in self._inputs.items()
        )
        actual = ", ".join(f"{tensor.name} {tensor.shape} {tensor.type}" for tensor in inputs.values())
        fits = set(inputs) == set(self._inputs) and all(
            inputs[name].type == self._dtypes[name] and _fits(inputs[name].shape, shape)
            for name, shapes in self._inputs.items()
            for shape in shapes
        )
        if not fits:
            raise ArtifactError(
                f"{self.path}: the manifest declares the inputs {expected}, the model has "
                f"{actual}; fix the manifest's input (docs/how-to/packs.md)"
            )
        outputs = {tensor.name: tensor.shape for tensor in session.get_outputs()}
        for output in self.spec.outputs:
            if output.name not in outputs or not _fits(outputs[output.name], (None, output.dim)):
                raise ArtifactError(
                    f"{self.path}: the manifest declares the output {output.name} [N, {output.dim}], the "
                    f"model has {outputs}; fix the manifest's outputs (docs/how-to/packs.md)"
                )


def onnx_runtime() -> Any:
    """Return the module, which looks for devices when it is imported, and warns where a confinement denies that."""
    import onnxruntime

    return onnxruntime


def read_verified(path: Path, sha256: str) -> bytes:
    """Read a file and check its sha256, so that the bytes that are used are the bytes that were checked."""
    content = read_file(existing_file(path))
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256.lower():
        raise ArtifactError(
            f"{path} has sha256 {actual}, its manifest expects {sha256}; fetch the pack again, or write the "
            "new sha256 into the manifest if you changed the file yourself"
        )
    return content


def _fits(actual: list[int | str | None], shape: Shape) -> bool:
    return len(actual) == len(shape) and all(
        not isinstance(a, int) or b is None or a == b for a, b in zip(actual, shape, strict=True)
    )


def _read_labels(folder: Path, output: Output) -> tuple[str, ...]:
    labels = output.labels
    assert labels is not None
    if labels.names is not None:
        names = labels.names
    else:
        assert labels.file is not None
        assert labels.sha256 is not None
        text = read_verified(folder / labels.file, labels.sha256).decode("utf-8")
        if labels.column is None:
            names = tuple(line.strip() for line in text.splitlines() if line.strip())
        else:
            names = tuple(row.get(labels.column) or "" for row in csv.DictReader(io.StringIO(text)))
    if len(names) != output.dim or not all(names):
        raise ArtifactError(
            f"{folder}: the output {output.name} has {output.dim} columns but {len([n for n in names if n])} "
            "labels; fix the labels in the manifest"
        )
    return names
