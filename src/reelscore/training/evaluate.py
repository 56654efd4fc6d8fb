"""Evaluate a trained model, with chance and a linear CCA as baselines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from reelscore.data.batching import inference_rows
from reelscore.data.clips import clip_queries
from reelscore.data.pairs import PairSet, Samples
from reelscore.errors import ArtifactError
from reelscore.evaluation.report import Baseline, Report, evaluate_embeddings
from reelscore.features.sampling import global_sparse
from reelscore.files import write_bytes
from reelscore.models.base import Embedder
from reelscore.models.linear.cca import LinearCCA, descriptions, pooled
from reelscore.models.trained.embedder import load_embedder
from reelscore.types import FeatureSequence, FloatArray, Modality

Sides: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

BASELINE_FILE = "cca.safetensors"
REPORTS = "reports"


def fit_baseline(pairs: PairSet, folder: Path | str) -> LinearCCA:
    """Fit the linear CCA on the train split, tune it on the val split, and save it in the model's folder."""
    # It is fitted here, not at evaluation, so that it can be scored on files that are new to both.
    train, val, options = baseline_data(pairs)
    cca = LinearCCA.fit_tuned(train, val, **options)
    arrays = {name: np.ascontiguousarray(value) for name, value in cca.to_arrays().items()}
    write_bytes(Path(folder) / BASELINE_FILE, save_tensors(arrays))
    return cca


def evaluate_model(folder: Path | str, pairs: PairSet, *, seed: int = 0, num_bootstrap: int = 1000) -> Report:
    """Evaluate a trained model, and the CCA in its folder, with all `pairs` as the gallery and their clips as queries.

    The model runs as in search: one item at a time, in NumPy, with the pairs' text if it takes text. The CCA uses
    the features alone.

    Parameters
    ----------
    folder : Path or str
        The model's folder.
    pairs : PairSet
    seed, num_bootstrap : int
        Seed and number of resamples of the 95% intervals.

    Returns
    -------
    Report

    Raises
    ------
    ArtifactError
        When the model was trained on other features, or a file is damaged.
    """
    embedder = load_embedder(folder)
    for side, expected, actual in (
        ("video", embedder.video_encoder, pairs.video_encoder),
        ("music", embedder.music_encoder, pairs.music_encoder),
    ):
        if expected != actual:
            raise ArtifactError(
                f"the model {folder} was trained on {side} features of {expected}, but these pairs have {actual}; "
                "evaluate it on pairs of the same encoder, or train a model on these"
            )
    if embedder.text_encoder is not None and pairs.text_encoder not in (None, embedder.text_encoder):
        raise ArtifactError(
            f"the model {folder} was trained with text of {embedder.text_encoder}, but these pairs have that of "
            f"{pairs.text_encoder}; encode their text with that encoder, or omit it"
        )
    video, music = embed_set(embedder, pairs)
    clips, clip_pair = clip_queries(pairs)
    clip = np.stack([_embed_video(embedder, (rows,)) for rows in clips]) if clips else None
    cca = _load_baseline(Path(folder))
    baseline = None
    if cca is not None:
        pooled_video, pooled_music = pooled_sides(pairs)
        pooled_clips = cca.transform_x(pooled(clips)) if clips else None
        baseline = Baseline(
            "linear CCA", cca.transform_x(pooled_video), cca.transform_y(pooled_music), pooled_clips
        )
    return evaluate_embeddings(
        video,
        music,
        pairs.group,
        clips=None if clip is None else (clip, clip_pair),
        baseline=baseline,
        cluster=pairs.source,
        seed=seed,
        num_bootstrap=num_bootstrap,
    )


def embed_set(embedder: Embedder, pairs: PairSet) -> tuple[FloatArray, FloatArray]:
    """Embed pairs as in search: one item at a time, with text if the model takes text.

    Parameters
    ----------
    embedder : Embedder
    pairs : PairSet
        Features of the embedder's encoders.

    Returns
    -------
    video, music : ndarray of float32, shape (N, D)
    """
    with_text = embedder.text_encoder is not None and pairs.text is not None
    texts = pairs.text if with_text and pairs.text is not None else (None,) * len(pairs)

    video = [_embed_video(embedder, samples, text) for samples, text in zip(pairs.video, texts, strict=True)]
    music = [embedder.embed_music(_sequence(embedder, samples, "music")) for samples in pairs.music]
    return np.stack(video), np.stack(music)


def _embed_video(embedder: Embedder, samples: Samples, text: FloatArray | None = None) -> FloatArray:
    return embedder.embed_video(_sequence(embedder, samples, "video"), text)


def _sequence(embedder: Embedder, samples: Samples, side: Modality) -> FeatureSequence:
    rows = inference_rows(samples, embedder.num_segments)
    encoder = embedder.video_encoder if side == "video" else embedder.music_encoder
    return FeatureSequence(rows, global_sparse(float(len(rows)), num_segments=len(rows)), encoder)


def save_report(folder: Path | str, name: str, report: Report) -> Path:
    """Save a report as ``reports/NAME.json`` in the model's folder and return its path."""
    file = Path(folder) / REPORTS / f"{name}.json"
    write_bytes(file, (json.dumps(report.to_json(), indent=2) + "\n").encode())
    return file


def baseline_data(pairs: PairSet) -> tuple[Sides, Sides, dict[str, Any]]:
    """Return train sides, val sides and keyword arguments for the `fit_tuned` of a linear baseline."""
    val = pairs.where("val")
    train_sides, val_sides = pooled_sides(pairs.where("train")), pooled_sides(val)
    columns = descriptions((train_sides[0].shape[1], train_sides[1].shape[1]), pairs.dims)
    return train_sides, val_sides, {"val_group": val.group, "columns": columns}


def pooled_sides(pairs: PairSet) -> Sides:
    """Pool the inference samples of both sides, (N, P) and (N, P')."""
    return pooled([samples[0] for samples in pairs.video]), pooled([samples[0] for samples in pairs.music])


def _load_baseline(folder: Path) -> LinearCCA | None:
    file = folder / BASELINE_FILE
    if not file.exists():
        return None
    try:
        return LinearCCA.from_arrays(load_tensors(file.read_bytes()))
    except Exception as error:
        raise ArtifactError(
            f"the CCA baseline {file} is damaged ({error}); delete it to evaluate without it, or train again"
        ) from error
