"""A model file and its expected sha256 enter, an ONNX Runtime session over exactly those bytes leaves."""

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
from reelscore.files import existing_file
from reelscore.types import FloatArray

from .input import input_facts
from .specs import LATER_KEYS, EncoderSpec, Output

Shape = tuple[int | None, ...]
"""A tensor's shape as a specification promises it; None is free."""


class OnnxModel:
    """One ONNX file of a pack: verified and opened when first used, one row at a time.

    Rows run one at a time because the bytes of a row must not depend on its neighbours, and because on
    one thread larger batches are no faster.

    Parameters
    ----------
    folder : Path
        The pack.
    spec : PictureSpec, SoundSpec or TextSpec
        What the manifest says of the file.
    inputs : Mapping of str to sequence of Shape
        Every shape that will be fed to each input tensor, with 1 as its leading axis.
    whole_numbers : collection of str
        The inputs that are int64; the others are float32.
    unpack_weights : bool
        Whether 8-bit weights become float32 once at load. Convolutions otherwise unpack them for every
        row, at half the speed; a transformer's matrix products have 8-bit kernels of their own.
    num_threads : int
        Threads inside one operator.
    """

    def __init__(
        self,
        folder: Path,
        spec: EncoderSpec,
        inputs: Mapping[str, Iterable[Shape]],
        *,
        whole_numbers: Collection[str] = (),
        unpack_weights: bool = True,
        num_threads: int = 1,
    ) -> None:
        self.path = folder / spec.file
        self.spec = spec
        self._inputs = {name: tuple(shapes) for name, shapes in inputs.items()}
        self._dtypes = {
            name: "tensor(int64)" if name in whole_numbers else "tensor(float)" for name in self._inputs
        }
        self._unpack_weights = unpack_weights
        self._num_threads = num_threads
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, FloatArray]:
        """Run one row; each input has N = 1 and each output comes back as its columns, shape (D,)."""
        return {name: rows[0] for name, rows in self.run_rows(feeds).items()}

    def run_rows(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, FloatArray]:
        """Run N rows together; each output comes back with shape (N, D)."""
        names = [output.name for output in self.spec.outputs]
        outputs = self._opened().run(names, dict(feeds))
        return {name: np.asarray(rows, np.float32) for name, rows in zip(names, outputs, strict=True)}

    @property
    def one_at_a_time(self) -> bool:
        """Whether the network takes no more than one row in one run."""
        return any(tensor.shape[0] == 1 for tensor in self._opened().get_inputs())

    def labels(self, output: str) -> tuple[str, ...]:
        """Return the column names of `output`, or raise `InputError` where the manifest gives none."""
        found = next((o for o in self.spec.outputs if o.name == output), None)
        if found is None or found.labels is None:
            labelled = ", ".join(o.name for o in self.spec.outputs if o.labels) or "none"
            raise InputError(
                f"{self.spec.name} has no labels for {output!r}; outputs with labels: {labelled}"
            )
        return _read_labels(self.path.parent, found)

    def identity(self, output: Output | None = None) -> tuple[str, ...]:
        """Return all that shapes the numbers: the file's sha256, the input's specification, the output."""
        values = input_facts(self.spec.input).items()
        told = {name: value for name, value in values if LATER_KEYS.get(name) != value}
        specification = json.dumps(told, sort_keys=True)
        return (self.spec.sha256, specification, (output or self.spec.feature).name)

    def _opened(self) -> Any:
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> Any:
        content = verified_bytes(self.path, self.spec.sha256)
        import onnxruntime

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
        given = {tensor.name: tensor for tensor in session.get_inputs()}
        promised = ", ".join(
            f"{name} {list(shapes[0])} {self._dtypes[name]}" for name, shapes in self._inputs.items()
        )
        actual = ", ".join(f"{tensor.name} {tensor.shape} {tensor.type}" for tensor in given.values())
        fits = set(given) == set(self._inputs) and all(
            given[name].type == self._dtypes[name] and _fits(given[name].shape, shape)
            for name, shapes in self._inputs.items()
            for shape in shapes
        )
        if not fits:
            raise ArtifactError(
                f"{self.path}: the manifest promises the inputs {promised}, the model has "
                f"{actual}; mend the manifest's input (docs/packs.md)"
            )
        outputs = {tensor.name: tensor.shape for tensor in session.get_outputs()}
        for output in self.spec.outputs:
            if output.name not in outputs or not _fits(outputs[output.name], (None, output.dim)):
                raise ArtifactError(
                    f"{self.path}: the manifest promises the output {output.name} [N, {output.dim}], the "
                    f"model has {outputs}; mend the manifest's outputs (docs/packs.md)"
                )


def verified_bytes(path: Path, sha256: str) -> bytes:
    """Return a file's bytes once their sha256 is the expected one; these very bytes are then used."""
    content = existing_file(path).read_bytes()
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
        text = verified_bytes(folder / labels.file, labels.sha256).decode("utf-8")
        if labels.column is None:
            names = tuple(line.strip() for line in text.splitlines() if line.strip())
        else:
            names = tuple(row.get(labels.column) or "" for row in csv.DictReader(io.StringIO(text)))
    if len(names) != output.dim or not all(names):
        raise ArtifactError(
            f"{folder}: the output {output.name} has {output.dim} columns but {len([n for n in names if n])} "
            "labels; mend the labels in the manifest"
        )
    return names
