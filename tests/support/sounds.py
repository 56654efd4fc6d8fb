"""Synthetic mono audio at 22,050 Hz with known features."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from reelscore.encoders.light.spectrum import FRAME, HOP, RATE_HZ, describe_frames


def tone(pitches_hz, seconds, level=0.2):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (level * sum(np.sin(2 * np.pi * f * time_s) for f in pitches_hz)).astype(np.float32)


def clicks(bpm, seconds, level=0.8):
    """Return a short decaying burst of noise on each beat."""
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    burst = np.random.default_rng(1).standard_normal(800) * np.exp(-np.arange(800) / 150) * level / 3
    for start in (np.arange(0, seconds, 60 / bpm) * RATE_HZ).astype(int):
        part = out[start : start + len(burst)]
        part += burst[: len(part)].astype(np.float32)
    return out


def noise(seconds, level=0.1, seed=0):
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)) * level
    return samples.astype(np.float32)


def tune(seconds, seed=0):
    """Return random notes of a scale over a beat and weak noise."""
    rng = np.random.default_rng(seed)
    out = clicks(rng.uniform(70, 160), seconds, 0.3) + noise(seconds, 0.003, seed)
    start = 0.0
    while start < seconds:
        length = rng.uniform(0.15, 0.8)
        note = tone(220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11], 2) / 12), length, rng.uniform(0.05, 0.2))
        at = round(start * RATE_HZ)
        part = out[at : at + len(note)]
        part += note[: len(part)] * np.linspace(1, 0, len(note), dtype=np.float32)[: len(part)]
        start += length
    return out


def frames_of(samples):
    """Return the features of all frames, with the padding of the encoder."""
    num_frames = 1 + len(samples) // HOP
    padded = np.pad(samples, (FRAME // 2, FRAME))
    return describe_frames(padded[: (num_frames - 1) * HOP + FRAME])


def write_tagged(path: Path, **tags: str) -> Path:
    """Write two seconds of a tone as FLAC, with tags of any content."""
    with av.open(str(path), "w") as out:
        out.metadata.update(tags)
        stream = out.add_stream("flac", rate=RATE_HZ, layout="mono")
        samples = (tone([220], 2.0) * 32767).astype(np.int16)[None]
        for start in range(0, samples.shape[1], 4096):
            part = np.ascontiguousarray(samples[:, start : start + 4096])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE_HZ, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
