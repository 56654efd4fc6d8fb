"""Frames of a synthetic video.

The hidden point sets, with some noise: valence the hue (blue for sad, orange for happy) and the brightness; arousal
the saturation and the number of shapes; pace their speed and the number of cuts. The seed alone sets the kind of
shape, the texture, directions, grain and drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

_MARGIN = 1.25
_SHAPES = ("disc", "square", "ring", "diamond", "bar")
_TEXTURES = ("plain", "stripes", "checker", "clouds")


@dataclass(frozen=True, slots=True)
class _Look:
    """Constants of one video; colours are HSV in [0, 1], speeds are in frame widths per second."""

    hue: float
    saturation: float
    value: float
    num_shapes: int
    speed: float
    shot_s: float
    shape: str
    texture: str
    grain: float


@dataclass(frozen=True, slots=True)
class _Sprite:
    """A soft-edged shape: mask (s, s, 1), colour, start position (px) and velocity (px/s)."""

    mask: Plane
    colour: Plane
    position: npt.NDArray[np.float64]
    velocity: npt.NDArray[np.float64]


def draw(
    point: tuple[float, float, float],
    *,
    seed: int,
    duration_s: float,
    width_px: int,
    height_px: int,
    frame_rate_hz: int,
) -> Iterator[Frame]:
    """Yield the frames of one video.

    Parameters
    ----------
    point : tuple of float
        Valence, arousal and pace in [-1, 1].
    seed : int
    duration_s : float
    width_px, height_px, frame_rate_hz : int

    Yields
    ------
    ndarray of uint8, shape (height_px, width_px, 3)
        RGB.
    """
    rng = np.random.default_rng([seed, 1])
    look = _look(point, rng)
    num_frames = max(1, round(duration_s * frame_rate_hz))
    cuts = _cuts(look.shot_s, duration_s, rng)
    grain = rng.normal(0, look.grain, (4, height_px, width_px, 1)).astype(np.float32)
    size = (height_px, width_px)
    shot, ground, drift, sprites = -1, np.zeros((1, 1, 3), np.float32), np.zeros(2), list[_Sprite]()
    for index in range(num_frames):
        time_s = index / frame_rate_hz
        current = int(np.searchsorted(cuts, time_s, side="right"))
        if current != shot:
            shot, started_s = current, time_s
            ground, drift, sprites = _scene(look, size, rng)
        since_s = time_s - started_s
        frame = _window(ground, size, drift * since_s)
        for sprite in sprites:
            _stamp(frame, sprite, since_s)
        frame += grain[index % len(grain)]
        yield (np.clip(frame, 0, 1) * 255).astype(np.uint8)


def _look(point: tuple[float, float, float], rng: np.random.Generator) -> _Look:
    valence, arousal, pace = ((x + 1) / 2 for x in point)
    return _Look(
        hue=0.64 - 0.56 * valence + rng.normal(0, 0.03),
        saturation=float(np.clip(0.2 + 0.7 * arousal + rng.normal(0, 0.06), 0.05, 1)),
        value=float(np.clip(0.25 + 0.5 * valence + rng.normal(0, 0.06), 0.12, 0.9)),
        num_shapes=round(3 + 11 * arousal + rng.uniform(-1.5, 1.5)),
        speed=0.03 * 2 ** (4.2 * pace + rng.normal(0, 0.25)),
        shot_s=4.5 * 2 ** (-3.0 * pace + rng.normal(0, 0.2)),
        shape=str(rng.choice(_SHAPES)),
        texture=str(rng.choice(_TEXTURES)),
        grain=float(rng.uniform(0, 0.03)),
    )


def _cuts(shot_s: float, duration_s: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the times of the cuts, ascending; shots last between 0.7 and 1.3 of their mean."""
    lengths = shot_s * rng.uniform(0.7, 1.3, int(duration_s / (0.7 * shot_s)) + 1)
    instants = np.cumsum(lengths)
    result: npt.NDArray[np.float64] = instants[instants < duration_s - 0.25]
    return result


def _scene(
    look: _Look, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Plane, npt.NDArray[np.float64], list[_Sprite]]:
    """Draw one shot: a background larger than the frame, its drift in pixels per second, and the shapes."""
    height, width = size
    hue, value = look.hue + rng.normal(0, 0.02), look.value + rng.normal(0, 0.05)
    rows, cols = np.mgrid[0 : round(height * _MARGIN), 0 : round(width * _MARGIN)].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (cols * np.cos(angle) + rows * np.sin(angle)) / width
    light = value + 0.12 * (ramp - ramp.mean()) + 0.07 * _texture(look.texture, rows, cols, width, rng)
    ground = rgb(np.full_like(light, hue), np.full_like(light, look.saturation), np.clip(light, 0.03, 1))
    drift = rng.normal(0, 0.25 * look.speed * width, 2)
    sprites = []
    for _ in range(look.num_shapes):
        extent = round(width * rng.uniform(0.06, 0.2))
        heading = rng.uniform(0, 2 * np.pi)
        shade = value + rng.choice([-1, 1]) * rng.uniform(0.12, 0.35)
        colour = rgb(
            np.float32(hue + rng.normal(0, 0.05)),
            np.float32(look.saturation),
            np.float32(np.clip(shade, 0.05, 1)),
        )
        speed = look.speed * width * rng.uniform(0.6, 1.4)
        sprites.append(
            _Sprite(
                mask=_mask(look.shape, extent),
                colour=colour,
                position=rng.uniform(0, 1, 2) * (height, width),
                velocity=speed * np.array([np.sin(heading), np.cos(heading)]),
            )
        )
    return ground, drift, sprites


def _texture(kind: str, rows: Plane, cols: Plane, width: int, rng: np.random.Generator) -> Plane:
    period = width * rng.uniform(0.08, 0.25)
    if kind == "stripes":
        angle = rng.uniform(0, np.pi)
        return _plane(np.sin((cols * np.cos(angle) + rows * np.sin(angle)) * (2 * np.pi / period)))
    if kind == "checker":
        return _plane(np.where((rows // period + cols // period) % 2 == 0, 1, -1))
    if kind == "clouds":
        waves = [(rng.normal(0, 1, 2) / period * 1.5, rng.uniform(0, 2 * np.pi)) for _ in range(5)]
        total = sum(np.sin(rows * k[0] + cols * k[1] + phase) for k, phase in waves)
        return _plane(total / 2)
    return np.zeros_like(rows)


def _plane(values: npt.ArrayLike) -> Plane:
    return np.asarray(values, dtype=np.float32)


def _mask(kind: str, extent: int) -> Plane:
    y, x = np.mgrid[-1 : 1 : extent * 1j, -1 : 1 : extent * 1j]
    distance = {
        "disc": np.hypot(x, y) - 0.9,
        "square": np.maximum(abs(x), abs(y)) - 0.8,
        "ring": abs(np.hypot(x, y) - 0.65) - 0.22,
        "diamond": abs(x) + abs(y) - 0.9,
        "bar": np.maximum(abs(x) - 0.9, abs(y) - 0.3),
    }[kind]
    return _plane(np.clip(0.5 - distance * extent / 3, 0, 1))[..., None]


def _window(ground: Plane, size: tuple[int, int], offset: npt.NDArray[np.float64]) -> Plane:
    """Crop the frame from the background; the crop turns back at the margins."""
    spare = np.array(ground.shape[:2]) - size
    phase = (offset + spare / 2) % (2 * np.maximum(spare, 1))
    top, left = np.minimum(phase, 2 * spare - phase).astype(int).clip(0, spare)
    return ground[top : top + size[0], left : left + size[1]].copy()


def _stamp(frame: Plane, sprite: _Sprite, since_s: float) -> None:
    height, width, _ = frame.shape
    extent = len(sprite.mask)
    top, left = (
        (sprite.position + sprite.velocity * since_s + extent) % (height + extent, width + extent) - extent
    ).astype(int)
    y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + extent, height), min(left + extent, width)
    if y0 < y1 and x0 < x1:
        mask = sprite.mask[y0 - top : y1 - top, x0 - left : x1 - left]
        patch = frame[y0:y1, x0:x1]
        patch += mask * (sprite.colour - patch)


def rgb(hue: npt.ArrayLike, saturation: npt.ArrayLike, value: npt.ArrayLike) -> Plane:
    """Convert hue (in turns), saturation and value to RGB in [0, 1] along a new last axis (Smith 1978)."""
    h, s, v = (np.asarray(a, dtype=np.float32)[..., None] for a in (hue, saturation, value))
    k = (np.array([5, 3, 1], dtype=np.float32) + h * 6) % 6
    result: Plane = v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1)
    return result
