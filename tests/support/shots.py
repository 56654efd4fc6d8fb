"""Synthetic shots of varied content for tests of cut detection."""

from __future__ import annotations

import numpy as np

SIZE = (128, 72)


def shot(seed: int, num_frames: int) -> list[np.ndarray]:
    """Return one shot: a pan over a textured scene, or objects that cross it; the seed sets colours and speed."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    scene = np.kron(rng.normal(0, 1, (24, 36, 3)), np.ones((8, 8, 1)))
    scene = (
        rng.uniform(40, 210, 3)
        + rng.uniform(15, 45) * (scene + np.roll(scene, 4, 0) + np.roll(scene, 4, 1)) / 2
    )
    scene = np.clip(scene, 0, 255)
    velocity = rng.uniform(-1.5, 1.5, 2)
    ball, ball_velocity, colour = rng.uniform(20, 60, 2), rng.uniform(-3, 3, 2), rng.uniform(0, 255, 3)
    yy, xx = np.mgrid[:height, :width]
    frames = []
    for number in range(num_frames):
        x, y = np.clip(
            np.round([70 + velocity[0] * number, 50 + velocity[1] * number]), 0, [160, 120]
        ).astype(int)
        picture = scene[y : y + height, x : x + width].copy()
        cx, cy = (ball + ball_velocity * number) % [width, height]
        picture[(xx - cx) ** 2 + (yy - cy) ** 2 < 100] = colour
        frames.append(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    return frames
