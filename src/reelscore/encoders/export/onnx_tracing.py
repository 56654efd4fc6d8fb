"""A hub model's network enters, an ONNX file of it leaves."""

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
from reelscore.files import write_bytes

_MAX_BYTES = 2_000_000_000  # an ONNX file is one protobuf message, which ends at 2 GiB
_OPSET = 18


def written_network(
    folder: Path,
    file: str,
    model: HubModel,
    dim: int,
    example: Mapping[str, npt.NDArray[Any]],
    called: Callable[..., Any],
    *,
    free_axes: dict[str, dict[int, str]] | None = None,
) -> dict[str, Any]:
    """Trace ``called(network, *example)`` into an ONNX file and return its entry in a manifest, without the input.

    Parameters
    ----------
    folder : Path
        Of the pack.
    file : str
        Name of the new file.
    model : HubModel
        Whose network it is.
    dim : int
        D: the output ``emb`` has shape (N, D).
    example : Mapping of str to ndarray
        Inputs by name; their shapes stay fixed.
    called : callable
        Takes the network and the tensors of `example`.
    free_axes : dict, optional
        The axes of inputs that may have any length, with a name for each.

    Raises
    ------
    ConfigError
        When the weights are too large for one file.
    NotFoundError
        When a library that export needs is absent.
    ArtifactError
        When the network cannot be traced.
    """
    import torch

    network = model.network()
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.parameters())
    if size > _MAX_BYTES:
        raise ConfigError(
            f"{model.files.name} has {size / 1e9:.1f} GB of weights, and one ONNX file holds at most 2 GB; name "
            "a smaller model, or use it as it is with --encoder hub:VIDEO+MUSIC"
        )

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *tensors: Any) -> Any:
            return called(self.network, *tensors)

    traced = Traced().eval()
    tensors = tuple(torch.from_numpy(values) for values in example.values())
    try:
        with warnings.catch_warnings(), torch.inference_mode(), _settled_places(network):
            warnings.simplefilter("ignore")  # the tracer warns of each shape that it takes for constant
            traced(*tensors)
            torch.onnx.export(
                traced,
                tensors,
                str(folder / file),
                input_names=list(example),
                output_names=["emb"],
                dynamic_axes=free_axes or {},
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's own errors share no base class
        if isinstance(error, ImportError) or "not installed" in str(error):
            raise NotFoundError(
                f"export needs a library that is not installed ({error}); install it: python -m pip install onnx"
            ) from error
        raise ArtifactError(
            f"torch {torch.__version__} cannot write {model.files.name} as ONNX: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; use it as it is with --encoder hub:VIDEO+MUSIC"
        ) from error
    content = (folder / file).read_bytes()
    write_bytes(folder / file, content)  # again, and synced
    return {
        "name": model.files.name.rstrip("/").split("/")[-1],
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": model.files.licence,
        "outputs": [{"name": "emb", "dim": dim}],
    }


@contextmanager
def _settled_places(network: Any) -> Iterator[None]:
    """Keep what a vision transformer makes of its table of places for a size, for the calls that follow.

    Traced, some resize the table even to its own size, and by a filter that ONNX lacks; the size is fixed anyway.
    """
    embeddings = getattr(network, "embeddings", None)
    resized = getattr(embeddings, "interpolate_pos_encoding", None)
    if embeddings is None or resized is None:
        yield
        return
    kept: list[Any] = []

    def once(*args: Any) -> Any:
        if not kept:
            kept.append(resized(*args))
        return kept[0]

    embeddings.interpolate_pos_encoding = once
    try:
        yield
    finally:
        del embeddings.interpolate_pos_encoding
