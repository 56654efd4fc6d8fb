"""Untrained matching by arousal, valence and pace, estimated from light features.

Music fits a picture of similar affect (Cohen 2013, "Congruence-association model of music and multimedia"; Wang, Yang
et al. 2012, "The acousticvisual emotion Gaussians model", match by valence and arousal). `rules` estimate three
quantities d in [0, 1] from both modalities. Each becomes an angle:

    e(d) = (sqrt(w_k) cos(pi d_k), sqrt(w_k) sin(pi d_k))  for k = arousal, valence, pace,  sum_k w_k = 1
    e(v) . e(m) = sum_k w_k cos(pi (d_k(v) - d_k(m)))

Every embedding has norm 1. The score is 1 for equal affect and -1 for opposite affect on all three axes. It is a rough
guess: the rules know light, motion and loudness, not what is seen or played.
"""

from __future__ import annotations

import numpy as np

from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.models.base import EncodeQuery, check_encoder, neighbour_means, reject_text
from reelscore.types import FeatureSequence, FloatArray, Modality

from .rules import AXES, rule_readings, squash

WEIGHTS = np.array([0.4, 0.3, 0.3], np.float32)
"""w for arousal, valence and pace. Arousal weighs most: pictures and sound both show it most clearly."""


class AffectModel:
    """Match videos and music by rules, without training. Implements `Embedder`.

    Parameters
    ----------
    video_encoder, music_encoder : str
        Fingerprints of the light encoders.
    """

    name = "affect"
    dim = 2 * len(AXES)
    trained = False
    text_encoder: str | None = None
    default_hubness = 0.0

    def __init__(self, *, video_encoder: str, music_encoder: str) -> None:
        self.video_encoder = video_encoder
        self.music_encoder = music_encoder
        self.num_segments = DEFAULT_NUM_SEGMENTS
        self.fingerprint = f"affect-2-{video_encoder}-{music_encoder}"

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        """Return the embedding of a video, shape (6,), from the mean of its rows; raise if there is text."""
        reject_text(self, text)
        return _angles(squash(self._readings(sequence, "video").mean(axis=0)))

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        """Return the embedding of a track, shape (6,), from the mean of its rows."""
        return _angles(squash(self._readings(sequence, "music").mean(axis=0)))

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        """Return one embedding for each row of a track, shape (T, 6), from that row and its two neighbours."""
        return _angles(squash(neighbour_means(self._readings(sequence, "music"))))

    def embed_text(self, text: str, _encode: EncodeQuery | None = None, /) -> None:
        """Return None: the rules read no text."""

    def reasons(self, _query: FloatArray, _embedding: FloatArray, /) -> tuple[str, ...]:
        """Return nothing: the axes of this space are not terms."""
        return ()

    @property
    def bank(self) -> FloatArray:
        """Queries that cover the space: low, medium and high on each axis, shape (27, 6)."""
        levels = np.array([0.1, 0.5, 0.9], dtype=np.float32)
        return _angles(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, len(AXES)))

    @property
    def text_bank(self) -> FloatArray:
        """The same; the rules read no text."""
        return self.bank

    def describe(self, sequence: FeatureSequence) -> dict[str, float]:
        """Return arousal, valence and pace of a video or a track, each in [0, 1]."""
        modality: Modality = "video" if sequence.encoder == self.video_encoder else "music"
        quantities = squash(self._readings(sequence, modality).mean(axis=0))
        return {axis: float(quantity) for axis, quantity in zip(AXES, quantities, strict=True)}

    def _readings(self, sequence: FeatureSequence, modality: Modality) -> FloatArray:
        check_encoder(self, sequence, modality=modality)
        return rule_readings(sequence, modality)


def _angles(quantities: FloatArray) -> FloatArray:
    """Return points of norm 1, shape (..., 6), for quantities in [0, 1] of shape (..., 3)."""
    angles = np.float32(np.pi) * quantities
    sides = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * np.sqrt(WEIGHTS)[:, None]
    points = sides.reshape(*quantities.shape[:-1], 2 * len(AXES))
    unit: FloatArray = (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)
    return unit
