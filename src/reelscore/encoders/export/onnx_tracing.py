"""Export a transformers network to an ONNX file by tracing."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from reelscore.encoders.hub.network import HubModel
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.files import is_disk_full, write_bytes

_MAX_BYTES = 2_000_000_000  # an ONNX file is one protobuf message of at most 2 GiB
_OPSET = 18


def export_network(
    folder: Path,
    file: str,
    model: HubModel,
    dim: int,
    example: Mapping[str, npt.NDArray[Any]],
    outputs: Callable[..., Any],
    *,
    dynamic_axes: dict[str, dict[int, str]] | None = None,
) -> dict[str, Any]:
    """Trace ``outputs(network, *example)`` to an ONNX file and return its manifest entry without the input.

    Parameters
    ----------
    folder : Path
        Folder of the pack.
    file : str
        Name of the ONNX file.
    model : HubModel
    dim : int
        D: the output ``emb`` has shape (N, D).
    example : Mapping of str to ndarray
        Inputs by name. Their shapes are fixed, except for `dynamic_axes`.
    outputs : callable
        Takes the network and the tensors of `example`.
    dynamic_axes : dict, optional
        Names of the axes that may have any length, by input and axis.

    Raises
    ------
    ConfigError
        If the weights are too large for one file.
    NotFoundError
        If the library onnx is not installed.
    ArtifactError
        If the network cannot be traced.
    """
    import torch

    network = model.network()
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.parameters())
    if size > _MAX_BYTES:
        raise ConfigError(
            f"{model.files.name} has {size / 1e9:.1f} GB of weights, and one ONNX file holds at most 2 GB; give "
            "a smaller model, or use this one without export: --encoder hub:VIDEO+MUSIC"
        )

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *tensors: Any) -> Any:
            return outputs(self.network, *tensors)

    traced = Traced().eval()
    tensors = tuple(torch.from_numpy(values) for values in example.values())
    try:
        with warnings.catch_warnings(), torch.inference_mode(), _cached_position_embeddings(network):
            warnings.simplefilter("ignore")  # the tracer warns about each constant shape
            traced(*tensors)
            torch.onnx.export(
                traced,
                tensors,
                str(folder / file),
                input_names=list(example),
                output_names=["emb"],
                dynamic_axes=dynamic_axes or {},
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's errors share no base class
        if is_disk_full(error):
            raise
        if isinstance(error, ImportError) or "not installed" in str(error):
            raise NotFoundError(
                f"export needs a library that is not installed ({error}); install it: python -m pip install onnx"
            ) from error
        raise ArtifactError(
            f"torch {torch.__version__} cannot write {model.files.name} as ONNX: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; use it without export: --encoder hub:VIDEO+MUSIC"
        ) from error
    content = (folder / file).read_bytes()
    write_bytes(folder / file, content)  # the exporter does not sync the file to disk
    return {
        "name": model.files.name.rstrip("/").split("/")[-1],
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": model.files.licence,
        "outputs": [{"name": "emb", "dim": dim}],
    }


@contextmanager
def _cached_position_embeddings(network: Any) -> Iterator[None]:
    """Cache the interpolated position embeddings of a vision transformer for a while.

    Some models resize them even to their own size, with a filter that ONNX does not support. The image size is fixed,
    so the traced network can use them as constants.
    """
    embeddings = getattr(network, "embeddings", None)
    interpolate = getattr(embeddings, "interpolate_pos_encoding", None)
    if embeddings is None or interpolate is None:
        yield
        return
    cache: list[Any] = []

    def interpolate_once(*args: Any) -> Any:
        if not cache:
            cache.append(interpolate(*args))
        return cache[0]

    embeddings.interpolate_pos_encoding = interpolate_once
    try:
        yield
    finally:
        del embeddings.interpolate_pos_encoding
