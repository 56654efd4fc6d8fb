"""Train a model by one of the three methods and save it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reelscore.config import to_mapping
from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError, InputError
from reelscore.files import write_bytes
from reelscore.models.trained.embedder import TrainedEmbedder
from reelscore.models.trained.folder import ModelCard, save_model
from reelscore.types import FloatArray

from .auto import choose_network
from .config import REFIT_STATE_FILE, STATE_FILE, TrainConfig
from .distributed import Processes
from .evaluate import embed_set
from .features import fit_kernel, training_pairs

if TYPE_CHECKING:
    from reelscore.data.streaming import StreamedPairs
    from reelscore.models.kernel.model import KernelModel

    from .loop import EpochReport
    from .network import Network

__all__ = ["TrainResult", "train"]

HISTORY_FILE = "history.json"
BANK_SIZE = 512
"""Maximum number of training videos whose embeddings are saved with a model."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Result of a finished run.

    Attributes
    ----------
    folder : Path
    card : ModelCard
        The saved metadata; `card.validation` is `best`.
    history : tuple of dict
        One line for each epoch of the network's search, if there is a network; line 0 is the model before the first
        step. ``epoch``, the means of ``loss`` and its parts, ``temperature``, and the validation metrics of the epochs
        that were validated.
    best_epoch : int
        The epoch of the network that was kept, from 1; 0 without a network, or if no epoch improved on the untrained
        one. The last one without validation.
    best : dict
        Validation metrics: of the kernel model by cross-validation (with ``gallery``, the number of candidates), of a
        network on the validation pairs. Empty without validation.
    choice : str
        Why the method ``auto`` chose what it chose; empty for the others.
    """

    folder: Path
    card: ModelCard
    history: tuple[dict[str, float], ...]
    best_epoch: int
    best: dict[str, float]
    choice: str = ""


def train(
    pairs: PairSet | StreamedPairs,
    *,
    config: TrainConfig,
    folder: Path | str,
    progress: Callable[[EpochReport], None] | None = None,
    folds_progress: Callable[[int, int], None] | None = None,
    resume: bool = False,
) -> TrainResult:
    """Train a model and save it.

    Parameters
    ----------
    pairs : PairSet or StreamedPairs
        With a train split; clips of its videos become further pairs. The val split is used for training and choices,
        the test split is not used. The method ``ii`` alone takes streamed pairs.
    config : TrainConfig
    folder : Path or str
        Folder for ``model.json`` and the weights, and with a network for ``history.json``. During the training of a
        network it also holds the training state.
    progress : callable, optional
        Called with an `EpochReport` after each epoch of the network.
    folds_progress : callable, optional
        Called with the number of finished folds and of all folds, where ``auto`` considers a network.
    resume : bool
        Continue from the training state in `folder`, if there is one. The result has the same bytes as that of an
        uninterrupted run.

    Returns
    -------
    TrainResult

    Notes
    -----
    In a process group of torch (`torch.distributed.init_process_group`), every process calls this function with the
    same arguments. Together they train one network: each encodes a part of every batch, and process 0 writes the files.

    Raises
    ------
    InputError
        When there are no training pairs, all are of one group, a modality does not vary, or the model takes text and
        they have none.
    NotFoundError
        When the method ``ii`` needs torch and it is not installed.
    ConfigError
        When there are several processes for the method ``kernel``, or their settings or pairs differ.
    ArtifactError
        When the training state in `folder` is damaged or belongs to another run.
    """
    target = Path(folder)
    processes = Processes.current()
    if processes.size > 1:
        from .resume import run_identity

        processes.check_alike("settings, pairs or features", run_identity(pairs, config))
    if processes.size > 1 and config.method == "kernel":
        raise ConfigError(
            f"the method kernel is computed in one process, got {processes.size}; omit --processes, or give "
            "--method ii or auto"
        )
    if not resume and processes.rank == 0:
        for name in (STATE_FILE, REFIT_STATE_FILE):
            (target / name).unlink(missing_ok=True)
    _check(pairs, config)
    used = training_pairs(pairs) if isinstance(pairs, PairSet) else pairs
    with_text = config.model.takes_text
    kernel = None
    if config.method != "ii" and isinstance(used, PairSet):
        kernel = processes.from_first(lambda: fit_kernel(used, with_text=with_text, seed=config.seed))
    share, choice = 0.0, ""
    if config.method == "auto" and kernel is not None and isinstance(used, PairSet):
        num_pairs = sum(part != "test" for part in pairs.split)
        share, choice = choose_network(used, kernel, config, num_pairs=num_pairs, progress=folds_progress)
    network: Network | None = None
    if config.method == "ii" or share:
        from .network import fit_network

        network = fit_network(used, config, target, progress=progress)
    card = processes.from_first(
        lambda: _save(target, pairs, config, kernel, network, share=share, choice=choice)
    )
    if network is None:
        return TrainResult(target, card, (), 0, dict(card.validation), choice)
    return TrainResult(target, card, network.search, network.best_epoch, dict(card.validation), choice)


def _save(
    target: Path,
    pairs: PairSet | StreamedPairs,
    config: TrainConfig,
    kernel: KernelModel | None,
    network: Network | None,
    *,
    share: float,
    choice: str,
) -> ModelCard:
    """Save a kernel model, a network with its history, or both with the network's share of the score."""
    weights: dict[str, FloatArray] = {}
    if kernel is not None:
        weights |= {f"kernel.{name}": values for name, values in kernel.to_arrays().items()}
    if network is not None:
        weights |= {f"network.{name}": values for name, values in network.weights.items()}
        weights["network_share"] = np.array(share or 1.0, np.float32)
    measured = kernel.validation if kernel is not None else network.best if network is not None else {}
    with_text = config.model.takes_text
    card = ModelCard(
        method="ii" if kernel is None else "kernel" if network is None else "auto",
        dim=(0 if kernel is None else kernel.dim) + (0 if network is None else config.model.dim),
        # A kernel model reads what search samples by default; a network samples further where it needs less.
        num_segments=(kernel is None and config.model.num_segments) or pairs.num_segments,
        config=None if network is None else network.config.model,
        encoder=pairs.encoder,
        video_encoder=pairs.video_encoder,
        music_encoder=pairs.music_encoder,
        video_columns=pairs.dims[0],
        music_columns=pairs.dims[1],
        text_encoder=pairs.text_encoder if with_text else None,
        text_columns=pairs.text_columns if with_text else 0,
        words=dict(pairs.words or {}) if with_text else {},
        training=to_mapping(config if network is None else network.config)
        | ({"choice": choice} if choice else {}),
        validation=dict(measured),
    )
    bank = _bank(TrainedEmbedder("new", card=card, weights=weights), pairs.where("train"))
    saved = save_model(target, weights=weights, card=card, bank=bank)
    history = target / HISTORY_FILE
    if network is None:
        history.unlink(missing_ok=True)
        return saved
    epochs = {"best_epoch": network.best_epoch, "epochs": network.search, "refit": network.refit}
    write_bytes(history, (json.dumps(epochs, indent=1) + "\n").encode())
    for name in (STATE_FILE, REFIT_STATE_FILE):
        (target / name).unlink(missing_ok=True)
    return saved


def _check(pairs: PairSet | StreamedPairs, config: TrainConfig) -> None:
    """Raise an error if a model cannot be trained on the pairs."""
    if not isinstance(pairs, PairSet) and (config.method != "ii" or config.loss.structure != "features"):
        raise ConfigError(
            "pairs that are read batch by batch are for the method ii with loss.structure 'features', got "
            f"{config.method} with {config.loss.structure!r}; give --method ii and the default structure, or omit "
            "--stream"
        )
    train_pairs = pairs.where("train")
    if (train_pairs.group == train_pairs.group[0]).all():
        raise InputError(
            f"training needs pairs of at least two groups, but the {len(train_pairs)} training pairs of {pairs.name} "
            "are of one group; add pairs with other music"
        )
    for side in ("video", "music") if isinstance(train_pairs, PairSet) else ():
        first, *others = (samples[0] for samples in getattr(train_pairs, side))
        if (first == first[0]).all() and all((rows == first[0]).all() for rows in others):
            raise InputError(
                f"training needs features that differ, but the {len(train_pairs)} training pairs of {pairs.name} have "
                f"one and the same {side} features (such as rows of zeros); check its files and the encoder"
            )
    if config.model.takes_text and not train_pairs.text_columns:
        raise InputError(
            f"model.takes_text needs training pairs with text, got none among {len(train_pairs)} of {pairs.name}; "
            "add text to the pairs, or set model.takes_text = false"
        )


def _bank(embedder: TrainedEmbedder, train_pairs: PairSet | StreamedPairs) -> FloatArray:
    """Embed a sample of the training videos, evenly spaced over the set, as queries for the hubness correction."""
    size = len(train_pairs)
    index = np.unique(np.linspace(0, size - 1, min(BANK_SIZE, size)).round().astype(int))
    sample = train_pairs.take(index)
    return embed_set(embedder, sample if isinstance(sample, PairSet) else sample.load())[0]
