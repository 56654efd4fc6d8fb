"""Evaluate a trained model, with chance and a linear CCA as baselines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reelscore.data.batching import inference_rows
from reelscore.data.clips import CLIP_S, clip_queries
from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError
from reelscore.evaluation.report import Baseline, Report, evaluate_embeddings
from reelscore.features.sampling import global_sparse
from reelscore.files import read_file, write_bytes
from reelscore.models.base import Embedder
from reelscore.models.kernel.model import KernelModel
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import dump_checked, load_checked
from reelscore.types import FeatureSequence, FloatArray, Modality

from .features import fit_kernel, has_time, pooled_clips, pooled_features, training_pairs

BASELINE_FILE = "cca.safetensors"
REPORTS = "reports"


def fit_baseline(pairs: PairSet, folder: Path | str) -> None:
    """Fit a linear CCA on the train and val splits, without text, and save it in the model's folder.

    A kernel model without text contains this CCA, so nothing is saved next to it.
    """
    file = Path(folder) / BASELINE_FILE
    if load_embedder(folder).linear_cca is not None:
        file.unlink(missing_ok=True)
        return
    # It is fitted here, not at evaluation, so that it can be scored on files that are new to both.
    cca = fit_kernel(training_pairs(pairs), kernels=("linear",))
    write_bytes(file, dump_checked(cca.to_arrays()))


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
    clip = None
    if clips:
        clip = np.stack(
            [embedder.embed_video(_sequence(embedder, c, "video", CLIP_S / len(c))) for c in clips]
        )
    cca = embedder.linear_cca or _load_baseline(Path(folder))
    baseline = None
    if cca is not None:
        pooled_video, pooled_music = pooled_features(pairs)
        clip_rows = pooled_clips(clips, deviation=has_time(pairs)) if clips else None
        baseline = Baseline(
            "linear CCA",
            cca.embed("video", pooled_video),
            cca.embed("music", pooled_music),
            None if clip_rows is None else cca.embed("video", clip_rows),
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
    row_s = np.ones((len(pairs), 2)) if pairs.row_s is None else pairs.row_s
    video = [
        embedder.embed_video(_sequence(embedder, samples[0], "video", seconds), text)
        for samples, text, seconds in zip(pairs.video, texts, row_s[:, 0].tolist(), strict=True)
    ]
    music = [
        embedder.embed_music(_sequence(embedder, samples[0], "music", seconds))
        for samples, seconds in zip(pairs.music, row_s[:, 1].tolist(), strict=True)
    ]
    return np.stack(video), np.stack(music)


def _sequence(embedder: Embedder, rows: FloatArray, side: Modality, row_s: float) -> FeatureSequence:
    sampled = inference_rows((rows,), embedder.num_segments)
    encoder = embedder.video_encoder if side == "video" else embedder.music_encoder
    segments = global_sparse(row_s * len(rows), num_segments=len(sampled))
    return FeatureSequence(sampled, segments, encoder)


def save_report(folder: Path | str, name: str, report: Report) -> Path:
    """Save a report as ``reports/NAME.json`` in the model's folder and return its path."""
    file = Path(folder) / REPORTS / f"{name}.json"
    write_bytes(file, (json.dumps(report.to_json(), indent=2) + "\n").encode())
    return file


def _load_baseline(folder: Path) -> KernelModel | None:
    file = folder / BASELINE_FILE
    if not file.exists():
        return None
    try:
        return KernelModel.from_arrays(load_checked(read_file(file)))
    except Exception as error:
        raise ArtifactError(
            f"the CCA baseline {file} is damaged ({error}); delete it to evaluate without it, or train again"
        ) from error
