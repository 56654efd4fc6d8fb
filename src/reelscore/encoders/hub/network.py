"""Run a transformers network in batches, in this process or another."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from reelscore.errors import DeviceError
from reelscore.types import FloatArray

from .files import HubFiles
from .loading import import_transformers, load_network, silenced

T = TypeVar("T")
Inputs = Mapping[str, npt.NDArray[Any]]
"""The network's inputs for one item, by name, without their N axis."""
Output = Callable[[Any, Mapping[str, Any]], Any]
"""Takes the network and its input tensors by name; returns features of shape (N, D)."""
Remote = Callable[[Sequence[Any]], Callable[[], Sequence[FloatArray]]]
"""Sends inputs to another process; returns the function that waits for a row of each."""

GPU_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """The part of a transformers model that computes features.

    Attributes
    ----------
    output : callable
        Runs the network. It must be importable by name, so that it can be pickled.
    unused : tuple of str
        Modules that `output` does not need; removed after loading.
    ignore_missing : tuple of str
        Prefixes of weights that the files may lack because `output` does not need them.
    auto_class : str
        The auto class in transformers.
    attach : callable or None
        Adds modules to the loaded network.
    """

    output: Output
    unused: tuple[str, ...] = ()
    ignore_missing: tuple[str, ...] = ()
    auto_class: str = "AutoModel"
    attach: Callable[[Any], None] | None = None


class HubModel:
    """A transformers network, loaded at first use and pickled without its weights.

    All batches have the same size and the last one is padded, because the bytes of a row must not depend on the number
    of rows. On the CPU a batch is one row.

    Parameters
    ----------
    files : HubFiles
    tower : Tower
    batch_size : int, optional
        Default: 1 on the CPU, `GPU_BATCH` on a GPU.

    Attributes
    ----------
    cpu_only : bool
        Set to True before the first use to run on the CPU in float32 even if there is a GPU.
    remote : callable or None
        Runs the network in another process, with the batch size and the precision there; see `text.stage`.
    """

    def __init__(self, files: HubFiles, tower: Tower, *, batch_size: int | None = None) -> None:
        self.files = files
        self.tower = tower
        self._batch_size = batch_size
        self.cpu_only = False
        self.remote: Remote | None = None
        self._network: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}

    @property
    def batch_size(self) -> int:
        """Rows in a batch."""
        return self._batch_size or (GPU_BATCH if self._on_gpu() else 1)

    def _on_gpu(self) -> bool:
        return not self.cpu_only and precision() == "bfloat16"

    def network(self) -> Any:
        """Return the torch module, in bfloat16 on a GPU and in float32 on the CPU."""
        if self._network is None:
            import torch

            network = load_network(
                self.files, auto_class=self.tower.auto_class, ignore_missing=self.tower.ignore_missing
            )
            for module in self.tower.unused:
                if hasattr(network, module):
                    setattr(network, module, None)
            if self.tower.attach is not None:
                self.tower.attach(network)
            if self._on_gpu():
                network = network.to("cuda", torch.bfloat16)
            else:
                # Weights are memory-mapped at any address. Kernels sum unaligned memory in another order, and the
                # same weights must give the same bytes.
                for tensor in (*network.parameters(), *network.buffers()):
                    tensor.data = tensor.data.clone()
            self._network = network.eval()
        return self._network

    def run(self, items: Iterable[Inputs]) -> Iterator[FloatArray]:
        """Yield one row, shape (D,), for each item; reads at most one batch ahead."""
        iterator = iter(items)
        if self.remote is not None:
            yield from _run_remotely(iterator, self.remote)
            return
        while batch := list(islice(iterator, self.batch_size)):
            yield from self._run_batch(batch)

    def run_distinct(self, items: Iterable[tuple[Hashable, T]], prepare: Callable[[T], Inputs]) -> FloatArray:
        """Return one row for each item, shape (T, D); computes a run of items with equal keys once.

        Parameters
        ----------
        items : iterable of (key, value)
        prepare : callable
            Makes the network's inputs from a value.
        """
        run_lengths: list[int] = []

        def distinct() -> Iterator[Inputs]:
            previous: Hashable = None
            for key, value in items:
                if run_lengths and key == previous:
                    run_lengths[-1] += 1
                    continue
                run_lengths.append(1)
                previous = key
                yield prepare(value)

        rows = list(self.run(distinct()))
        return np.repeat(np.stack(rows), run_lengths, axis=0) if rows else np.zeros((0, 0), np.float32)

    def _run_batch(self, batch: Sequence[Inputs]) -> FloatArray:
        padded = [*batch, *[batch[-1]] * (self.batch_size - len(batch))]
        with _device_errors():
            rows = self._rows(padded)
        return np.ascontiguousarray(rows[: len(batch)], np.float32)

    def _rows(self, batch: Sequence[Inputs]) -> FloatArray:
        import torch

        network = self.network()
        parameter = next(network.parameters())
        tensors = {}
        for name in batch[0]:
            tensor = torch.from_numpy(np.stack([inputs[name] for inputs in batch])).to(parameter.device)
            tensors[name] = tensor.to(parameter.dtype) if tensor.is_floating_point() else tensor
        with torch.inference_mode(), silenced(import_transformers()):
            rows: FloatArray = self.tower.output(network, tensors).float().cpu().numpy()
        return rows


def _run_remotely(items: Iterator[Inputs], remote: Remote) -> Iterator[FloatArray]:
    """Yield the rows of another process, which computes a batch while the next one is read from `items`."""
    rows: Callable[[], Sequence[FloatArray]] | None = None
    while batch := list(islice(items, GPU_BATCH)):
        if rows is not None:
            yield from rows()
        rows = remote(batch)
    if rows is not None:
        yield from rows()


def precision() -> str:
    """Return the dtype that networks run in: ``"bfloat16"`` with a GPU, else ``"float32"``."""
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


@contextmanager
def _device_errors() -> Iterator[None]:
    """Raise `DeviceError` for an error of torch after which this process can no longer use its GPU."""
    import torch

    try:
        yield
    except RuntimeError as error:
        # Errors of the CUDA libraries are bare ones that only their text tells from others. A lack of memory, which
        # leaves the device usable, begins with "CUDA out of memory".
        if isinstance(error, torch.AcceleratorError) or str(error).startswith(("CUDA error", "cuDNN error")):
            raise DeviceError(
                f"the GPU failed: {str(error).splitlines()[0]}. Check it (nvidia-smi), and run again"
            ) from error
        raise
