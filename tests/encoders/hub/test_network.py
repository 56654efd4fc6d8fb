"""Errors of the device that a hub model runs on."""

from __future__ import annotations

import dataclasses
from typing import Never

import numpy as np
import pytest

from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.video import HubVideo
from reelscore.errors import DeviceError
from support.tiny_hub import TinyModels

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (
            torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nSearch for"),
            DeviceError,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(`"), DeviceError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), DeviceError),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), torch.OutOfMemoryError),
        (RuntimeError("shape '[2, 3]' is invalid for input of size 5"), RuntimeError),
    ],
    ids=["device", "cublas", "cudnn", "memory", "shape"],
)
def test_only_an_error_of_the_device_makes_it_unusable(
    models: TinyModels, error: Exception, raised: type[Exception]
) -> None:
    def fail(network: object, tensors: object) -> Never:
        raise error

    model = HubVideo(find_model(str(models["clip"]))).model
    model.tower = dataclasses.replace(model.tower, output=fail)
    with pytest.raises(Exception, match=r".") as caught:
        list(model.run([{"pixel_values": np.zeros((3, 8, 8), np.float32)}]))
    assert caught.type is raised
    if raised is DeviceError:
        text = str(error).splitlines()[0]
        assert str(caught.value) == f"the GPU failed: {text}. Check it (nvidia-smi), and run again"
