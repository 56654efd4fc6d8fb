"""The processes of a distributed training run and what they exchange."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from reelscore.data.batching import Part, part_sizes
from reelscore.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the run; a single process exchanges nothing.

    Attributes
    ----------
    rank : int
        Number of this process. Process 0 writes files and takes decisions.
    size : int
        Number of processes, K.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Processes:
        """Return the processes of the default process group of torch, one without it."""
        dist = sys.modules.get("torch.distributed")  # without torch there is no group
        if dist is None or not dist.is_available() or not dist.is_initialized():
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def part(self) -> Part:
        """Part of each batch that this process encodes."""
        return self.rank, self.size

    def gather(self, values: Tensor, num_rows: int) -> Tensor:
        """Return the rows of the whole batch of `num_rows`, with gradient, from the parts of all processes."""
        if self.size == 1:
            return values
        from reelscore.losses.distributed import gather_rows

        return gather_rows(values, part_sizes(num_rows, self.size))

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """Return the largest of each number over all processes."""
        if self.size == 1:
            return list(numbers)
        import torch
        import torch.distributed as dist

        values = torch.tensor(numbers)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return [int(value) for value in values]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.largest([0])

    def average(self, gradients: Iterable[Tensor]) -> None:
        """Replace gradients by their means over all processes, in one exchange for each dtype."""
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist

        tensors = list(gradients)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            own = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in own])
            dist.all_reduce(flat)
            flat /= self.size
            for tensor, mean in zip(own, torch.split(flat, [tensor.numel() for tensor in own]), strict=True):
                tensor.copy_(mean.view_as(tensor))

    def share(self, values: Iterable[Tensor]) -> None:
        """Copy tensors of process 0 into those of all."""
        if self.size > 1:
            import torch.distributed as dist

            for value in values:
                dist.broadcast(value, 0)

    def from_first(self, compute: Callable[[], T]) -> T:
        """Compute a value in process 0 and return it in all; its error is raised in all."""
        if self.size == 1:
            return compute()
        import torch.distributed as dist

        shared: list[tuple[T | None, Exception | None] | None] = [None]
        if self.rank == 0:
            try:
                shared = [(compute(), None)]
            except Exception as failure:  # raised below, in every process
                shared = [(None, failure)]
        dist.broadcast_object_list(shared)
        assert shared[0] is not None
        value, error = shared[0]
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def collect(self, value: T) -> list[T]:
        """Return the values of all processes, in their order."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def check_alike(self, what: str, value: str) -> None:
        """Raise `ConfigError` in all processes unless all have the same value."""
        values = self.collect(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise ConfigError(
                    f"process {rank} of {self.size} has other {what} than process 0; start every process with the "
                    "same command, and give all of them the same files"
                )
