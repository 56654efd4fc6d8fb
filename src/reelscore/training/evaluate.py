"""A model's folder and pairs enter, a report of retrieval both ways beside chance and a linear CCA leaves.

The CCA is fitted where the model is trained, on the same pairs, and stored beside it: so the rival
too can be scored on files that neither has seen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from reelscore.data.pairs import PairSet, Samples
from reelscore.errors import ArtifactError
from reelscore.evaluation.report import Report, evaluate_embeddings
from reelscore.features.sampling import global_sparse
from reelscore.files import write_bytes
from reelscore.models.base import Embedder
from reelscore.models.linear.cca import LinearCCA, descriptions, pooled
from reelscore.models.trained.embedder import load_embedder
from reelscore.types import FeatureSequence, FloatArray

from .encode import seen_rows

Sides: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

BASELINE = "cca.safetensors"
REPORTS = "reports"


def fit_baseline(pairs: PairSet, folder: Path | str) -> LinearCCA:
    """Fit the linear CCA on the train split, tuned on the val split, and store it beside the model."""
    known, held_out, options = baseline_data(pairs)
    cca = LinearCCA.fit_tuned(known, held_out, **options)
    arrays = {name: np.ascontiguousarray(value) for name, value in cca.to_arrays().items()}
    write_bytes(Path(folder) / BASELINE, save_tensors(arrays))
    return cca


def evaluate_model(folder: Path | str, pairs: PairSet, *, seed: int = 0, num_bootstrap: int = 1000) -> Report:
    """Score a trained model, and the CCA stored beside it, on pairs; all of them are the gallery.

    The model runs as it does in search: one item at a time, without torch, and with the pairs' text if it takes
    text. The CCA reads the videos alone.

    Parameters
    ----------
    folder : path
        Of the model.
    pairs : PairSet
    seed, num_bootstrap : int
        Of the 95% intervals.

    Returns
    -------
    Report

    Raises
    ------
    ArtifactError
        When the model was trained on other features, or a file is damaged.
    """
    embedder = load_embedder(folder)
    for side, theirs, ours in (
        ("video", embedder.video_encoder, pairs.video_encoder),
        ("music", embedder.music_encoder, pairs.music_encoder),
    ):
        if theirs != ours:
            raise ArtifactError(
                f"the model {folder} was trained on {side} features of {theirs}, but these pairs have {ours}; "
                "evaluate it on pairs of its own kind, or train a model on these"
            )
    if embedder.text_encoder is not None and pairs.text_encoder not in (None, embedder.text_encoder):
        raise ArtifactError(
            f"the model {folder} was trained with text of {embedder.text_encoder}, but these pairs have that of "
            f"{pairs.text_encoder}; encode their text with that encoder, or leave it out"
        )
    video, music = embed_set(embedder, pairs)
    cca = _load_baseline(Path(folder))
    placed = None
    if cca is not None:
        pooled_video, pooled_music = pooled_sides(pairs)
        placed = (cca.transform_x(pooled_video), cca.transform_y(pooled_music))
    return evaluate_embeddings(
        video,
        music,
        pairs.group,
        cca=placed,
        cluster=pairs.source,
        seed=seed,
        num_bootstrap=num_bootstrap,
    )


def embed_set(embedder: Embedder, pairs: PairSet) -> tuple[FloatArray, FloatArray]:
    """Embed pairs as search does, one item at a time and with their text where the model takes text.

    Parameters
    ----------
    embedder : Embedder
    pairs : PairSet
        Of its encoders.

    Returns
    -------
    video, music : ndarray of float32, shape (N, D)
    """
    known = embedder.text_encoder is not None and pairs.text is not None
    said = pairs.text if known and pairs.text is not None else (None,) * len(pairs)

    def sequence(draws: Samples, encoder: str) -> FeatureSequence:
        rows = seen_rows(draws, embedder.num_segments)
        return FeatureSequence(rows, global_sparse(float(len(rows)), num_segments=len(rows)), encoder)

    video = [
        embedder.embed_video(sequence(draws, embedder.video_encoder), text)
        for draws, text in zip(pairs.video, said, strict=True)
    ]
    music = [embedder.embed_music(sequence(draws, embedder.music_encoder)) for draws in pairs.music]
    return np.stack(video), np.stack(music)


def save_report(folder: Path | str, name: str, report: Report) -> Path:
    """Store a report beside the model as ``reports/NAME.json`` and return its path."""
    file = Path(folder) / REPORTS / f"{name}.json"
    write_bytes(file, (json.dumps(report.to_json(), indent=2) + "\n").encode())
    return file


def baseline_data(pairs: PairSet) -> tuple[Sides, Sides, dict[str, Any]]:
    """Return what a linear rival is fitted on, what it is tuned on, and the other arguments of its `fit_tuned`."""
    val = pairs.where("val")
    known, held_out = pooled_sides(pairs.where("train")), pooled_sides(val)
    columns = descriptions((known[0].shape[1], known[1].shape[1]), pairs.dims)
    return known, held_out, {"val_group": val.group, "columns": columns}


def pooled_sides(pairs: PairSet) -> Sides:
    """Pool the inference draws of both sides, (N, P) and (N, P')."""
    return pooled([draws[0] for draws in pairs.video]), pooled([draws[0] for draws in pairs.music])


def _load_baseline(folder: Path) -> LinearCCA | None:
    file = folder / BASELINE
    if not file.exists():
        return None
    try:
        return LinearCCA.from_arrays(load_tensors(file.read_bytes()))
    except Exception as error:
        raise ArtifactError(
            f"the baseline {file} is damaged ({error}); delete it to go without, or train the model again"
        ) from error
