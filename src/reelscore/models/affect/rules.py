"""Rules that estimate arousal, valence and pace from light features.

A rule maps one column linearly, so that its low reference value gives -1 and its high one 1. The directions and their
order of importance come from the works cited at each rule. The reference values fit several dozen real videos and
tracks. The low reference of the cut rate is negative: sparse sampling finds no cut in most short videos, and that alone
must not make them slow. For the same reason the lack of colour or light says little: most black-and-white films are not
sad, and most night scenes are not. Motion is that of the subject, without the camera's.

References
----------
Adams, Dorai and Venkatesh 2002, "Toward automatic extraction of expressive elements from motion pictures: tempo".
Cutting, DeLong and Nothelfer 2010, "Attention and the evolution of Hollywood film".
Detenber, Simons and Bennett 1998, "Roll 'em!: The effects of picture motion on emotional responses".
Eerola, Friberg and Bresin 2013, "Emotional expression in music: contribution, linearity, and additivity of primary
musical cues".
Eerola, Lartillot and Toiviainen 2009, "Prediction of multidimensional emotional ratings in music from audio using
multivariate regression models".
Gabrielsson and Lindstroem 2010, "The role of structure in the musical expression of emotions".
Hanjalic and Xu 2005, "Affective video content representation and modeling".
Juslin and Laukka 2003, "Communication of emotions in vocal expression and music performance".
Lang, Zhou, Schwartz, Bolls and Potter 2000, "The effects of edits on arousal, attention, and memory for television
messages".
Lartillot, Eerola, Toiviainen and Fornari 2008, "Multi-feature modeling of pulse clarity".
Palmer, Schloss, Xu and Prado-Leon 2013, "Music-color associations are mediated by emotion".
Schubert 2004, "Modeling perceived emotion with continuous musical features".
Valdez and Mehrabian 1994, "Effects of color on emotions".
Wang and Cheong 2006, "Affective understanding in film".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reelscore.types import FeatureSequence, FloatArray, Modality

Axis = Literal["arousal", "valence", "pace"]
AXES: tuple[Axis, ...] = ("arousal", "valence", "pace")


@dataclass(frozen=True, slots=True)
class Rule:
    """The contribution of one column to a quantity.

    Attributes
    ----------
    column : str
        A column of the light encoder.
    low, high : float
        Reference values, in the column's unit; `low` is above `high` if the quantity falls as the column grows.
    weight : float
        Relative weight among the rules of one quantity.
    source : str
        Source of the direction.
    logarithmic : bool
        Whether the map is linear in the column's logarithm.
    floor : float
        Lowest reading: how much a low value alone can say. 0 where it says nothing, as the lack of colour in a
        black-and-white film.
    """

    column: str
    low: float
    high: float
    weight: float
    source: str
    logarithmic: bool = False
    floor: float = -1.5

    def read(self, sequence: FeatureSequence) -> FloatArray:
        """Return the reading of each row, shape (T,): -1 at `low`, 1 at `high`, clipped to [`floor`, 1.5]."""
        values, low, high = sequence.column(self.column), self.low, self.high
        if self.logarithmic:
            values = np.log2(np.maximum(values, np.float32(1e-6)))
            low, high = math.log2(low), math.log2(high)
        reading: FloatArray = np.clip(2 * (values - low) / (high - low) - 1, self.floor, 1.5).astype(
            np.float32
        )
        return reading


VIDEO_RULES: dict[Axis, tuple[Rule, ...]] = {
    "arousal": (
        Rule("subject_flow", 0.012, 0.20, 3, "motion excites: Detenber et al. 1998", logarithmic=True),
        Rule("subject_energy", 0.03, 0.50, 2, "motion activity: Hanjalic and Xu 2005", logarithmic=True),
        Rule("cut_rate_hz", -0.20, 0.30, 2, "edits excite: Lang et al. 2000; Hanjalic and Xu 2005"),
        Rule("saturation", 0.05, 0.70, 1.5, "saturation excites: Valdez and Mehrabian 1994", floor=0),
        Rule("contrast", 0.08, 0.30, 1.5, "hard light excites: Wang and Cheong 2006, lighting key"),
    ),
    "valence": (
        Rule(
            "brightness",
            0.15,
            0.70,
            3,
            "pleasure = .69 brightness + ...: Valdez and Mehrabian 1994",
            floor=-0.3,
        ),
        Rule("saturation", 0.05, 0.70, 1, "... + .22 saturation: Valdez and Mehrabian 1994", floor=0),
        Rule("colourfulness", 5, 60, 1, "vivid colours go with happy music: Palmer et al. 2013", floor=0),
        Rule("warmth", -0.25, 0.25, 1, "yellow, not blue, goes with happy music: Palmer et al. 2013"),
        Rule("shadows", 0.0, 0.25, 1, "low-key light is sad or fearful: Wang and Cheong 2006", floor=-0.3),
    ),
    "pace": (
        Rule("subject_flow", 0.012, 0.20, 3, "pace is motion ...: Adams et al. 2002", logarithmic=True),
        Rule("subject_peak", 0.03, 0.40, 1.5, "... of the fastest part, too", logarithmic=True),
        Rule("cut_rate_hz", -0.20, 0.30, 3, "... and shot length: Adams et al. 2002; Cutting et al. 2010"),
    ),
}

MUSIC_RULES: dict[Axis, tuple[Rule, ...]] = {
    "arousal": (
        Rule("loudness_db", -34, -14, 3, "loudness before all: Schubert 2004; Eerola et al. 2013"),
        Rule("tempo_bpm", 70, 165, 1.5, "tempo: Schubert 2004; Eerola et al. 2013", logarithmic=True),
        Rule("onset_rate_hz", 0.5, 5.5, 2, "many notes: Gabrielsson and Lindstroem 2010"),
        Rule("centroid_hz", 800, 3600, 2, "bright timbre: Juslin and Laukka 2003", logarithmic=True),
        Rule("flatness_db", -52, -18, 1, "noisy, complex timbre: Gabrielsson and Lindstroem 2010"),
        Rule("dynamic_range_db", 30, 4, 0.5, "pauses and fading calm: Gabrielsson and Lindstroem 2010"),
    ),
    "valence": (
        Rule("mode", -0.20, 0.20, 3, "major is happy, minor sad: Eerola et al. 2013; Palmer et al. 2013"),
        Rule("tempo_bpm", 70, 165, 1, "fast is happy: Eerola et al. 2013", logarithmic=True),
        Rule("centroid_hz", 800, 3600, 1.5, "dull timbre is sad: Juslin and Laukka 2003", logarithmic=True),
        Rule("onset_rate_hz", 0.5, 5.5, 1, "staccato and many notes are happy: Juslin and Laukka 2003"),
        Rule("key_clarity", 0.40, 0.85, 1, "a clear key pleases: Eerola, Lartillot and Toiviainen 2009"),
    ),
    "pace": (
        Rule("tempo_bpm", 70, 165, 2.5, "tempo is pace", logarithmic=True),
        Rule("onset_rate_hz", 0.5, 5.5, 3, "notes a second: Gabrielsson and Lindstroem 2010"),
        Rule("beat_strength", 0.10, 0.80, 1.5, "a clear pulse drives: Lartillot et al. 2008"),
    ),
}

RULES: dict[Modality, dict[Axis, tuple[Rule, ...]]] = {"video": VIDEO_RULES, "music": MUSIC_RULES}

STEEPNESS = 2.6
"""Slope of the sigmoid: a mean reading of -1 gives a quantity of 0.07, one of 1 gives 0.93."""


def rule_readings(sequence: FeatureSequence, modality: Modality) -> FloatArray:
    """Return the weighted mean reading of the rules for each row.

    Parameters
    ----------
    sequence : FeatureSequence
        With the columns of the light encoder of this modality.
    modality : {"video", "music"}

    Returns
    -------
    ndarray of float32, shape (T, 3)
        Arousal, valence and pace, about -1 to 1. `squash` maps them to [0, 1].

    Raises
    ------
    InputError
        If a column is missing.
    """
    return np.stack([_mean_reading(RULES[modality][axis], sequence) for axis in AXES], axis=1)


def squash(reading: FloatArray) -> FloatArray:
    """Map readings to quantities between 0 and 1 by a sigmoid."""
    quantity: FloatArray = (1 / (1 + np.exp(-STEEPNESS * reading))).astype(np.float32)
    return quantity


def _mean_reading(rules: Sequence[Rule], sequence: FeatureSequence) -> FloatArray:
    weights = np.array([rule.weight for rule in rules], np.float32)
    readings = np.stack([rule.read(sequence) for rule in rules])
    mean: FloatArray = weights @ readings / weights.sum()
    return mean
