"""A model's files enter, a network on the processor or the GPU that turns arrays into rows of features leaves.

torch and transformers are loaded here, when a model is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.types import FloatArray

from .files import HubFiles

Output = Callable[[Any, Mapping[str, Any]], Any]
"""Takes the network and its input tensors by name, returns features of shape (N, D)."""

GPU_BATCH = 32


class HubModel:
    """The network behind a hub encoder, opened at the first row; without its weights it can be pickled.

    Rows always run in batches of the same size, the last one filled up, because the bytes of a row must not
    depend on how many others there are. On the processor a batch is one row, so nothing stands beside it.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    output : callable
        What to take from the network; importable by name.
    unused : sequence of str
        Parts of the network that `output` never asks; they are dropped after loading.
    may_miss : sequence of str
        Beginnings of weights that may be absent from the files, because `output` does not ask them.
    attach : callable, optional
        Given the network once its weights are loaded, to add what `output` asks beyond it.
    auto : str
        The class of transformers that chooses the network's.
    batch_size : int, optional
        Rows at a time; by default 1 on the processor and `GPU_BATCH` on a GPU.

    Attributes
    ----------
    precise : bool
        Set before the first row to stay on the processor in float32 whatever there is.
    """

    def __init__(
        self,
        files: HubFiles,
        output: Output,
        *,
        unused: Sequence[str] = (),
        may_miss: Sequence[str] = (),
        attach: Callable[[Any], None] | None = None,
        auto: str = "AutoModel",
        batch_size: int | None = None,
    ) -> None:
        self.files = files
        self.output = output
        self._unused = tuple(unused)
        self._may_miss = tuple(may_miss)
        self._attach = attach
        self._auto = auto
        self._batch_size = batch_size
        self.precise = False
        self._network: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}

    @property
    def batch_size(self) -> int:
        """Rows that run together."""
        return self._batch_size or (GPU_BATCH if self._on_gpu() else 1)

    def _on_gpu(self) -> bool:
        return not self.precise and precision() == "bfloat16"

    def network(self) -> Any:
        """Return the torch module, loaded in float32, or in bfloat16 on a GPU."""
        if self._network is None:
            import torch

            network = _loaded(self.files, self._may_miss, self._auto)
            for part in self._unused:
                if hasattr(network, part):
                    setattr(network, part, None)
            if self._attach is not None:
                self._attach(network)
            if self._on_gpu():
                network = network.to("cuda", torch.bfloat16)
            else:
                # Weights are mapped from the file at any address; kernels sum in another order where
                # memory is not aligned, and the same weights must give the same bytes.
                for tensor in (*network.parameters(), *network.buffers()):
                    tensor.data = tensor.data.clone()
            self._network = network.eval()
        return self._network

    def rows(self, feeds: Sequence[Mapping[str, npt.NDArray[Any]]]) -> list[FloatArray]:
        """Return one row of features, shape (D,), for each item's inputs (arrays without their N axis)."""
        return [row for start in range(0, len(feeds), self.batch_size) for row in self._batch(feeds, start)]

    def _batch(self, feeds: Sequence[Mapping[str, npt.NDArray[Any]]], start: int) -> FloatArray:
        import torch

        some = feeds[start : start + self.batch_size]
        filled = [*some, *[some[-1]] * (self.batch_size - len(some))]
        network = self.network()
        parameter = next(network.parameters())
        tensors = {}
        for name in some[0]:
            tensor = torch.from_numpy(np.stack([feed[name] for feed in filled])).to(parameter.device)
            tensors[name] = tensor.to(parameter.dtype) if tensor.is_floating_point() else tensor
        with torch.inference_mode(), _quiet(transformers_library()):
            rows = self.output(network, tensors).float().cpu().numpy()
        return np.ascontiguousarray(rows[: len(some)], np.float32)


def precision() -> str:
    """Return ``"bfloat16"`` where a GPU can be used, else ``"float32"``."""
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


def configuration(files: HubFiles) -> Any:
    """Return the model's configuration as transformers reads it, with the defaults that config.json leaves out."""
    transformers = transformers_library()
    try:
        return transformers.AutoConfig.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"transformers {transformers.__version__} cannot read the configuration of {files.name}: "
            f"{str(error).splitlines()[0]}; fetch the model again, or update transformers"
        ) from error


def transformers_library() -> Any:
    """Return the module transformers, or raise `NotFoundError` with the command that installs it."""
    try:
        import transformers
    except ImportError as error:
        raise NotFoundError(
            "hub encoders need the library transformers, which is not installed; install it: "
            "python -m pip install 'reelscore[hub]'"
        ) from error
    return transformers


def sound_extractor(files: HubFiles, name: str, family: str) -> Any:
    """Return transformers' extractor class `name`, made by the model's preprocessor_config.json.

    Raises
    ------
    ArtifactError
        When that file is absent or none of the `family`.
    """
    facts = files.preparation("feature_extractor", "sound is")
    made = getattr(transformers_library(), name)
    try:
        return made(**{key: value for key, value in facts.items() if not key.endswith("_type")})
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"the preprocessor_config.json of {files.name} is none of {family}: {error}; fetch the model again"
        ) from error


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's bars and advice off the terminal, and leave its settings as they were."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _loaded(files: HubFiles, may_miss: Sequence[str], auto: str) -> Any:
    import torch

    transformers = transformers_library()
    config = configuration(files)
    try:
        with _quiet(transformers):
            network, told = getattr(transformers, auto).from_pretrained(
                files.folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:  # transformers, torch and safetensors share no base class
        raise ArtifactError(
            f"transformers cannot load the weights in {files.folder}: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; fetch the model again"
        ) from error
    # transformers fills an absent weight with random numbers: never a feature of ours.
    absent = sorted(
        name
        for name in (*told["missing_keys"], *(key[0] for key in told.get("mismatched_keys", ())))
        if not any(name.startswith(beginning) for beginning in may_miss)
    )
    if absent:
        raise ArtifactError(
            f"the weights in {files.folder} lack {len(absent)} of the network's tensors (first: {absent[0]}); "
            "fetch the model again, or name one that was saved whole"
        )
    return network
