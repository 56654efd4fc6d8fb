"""Two-tower network for video and music."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from reelscore.models.config import ModelConfig

from .tower import Tower


class DualEncoder(nn.Module):
    """Two towers of the same architecture, for video and music. The temperature is part of the loss.

    Parameters
    ----------
    video_columns, music_columns : int
        Columns of the features of each modality.
    config : ModelConfig
    text_columns : int
        Columns of the encoded text; used if `config.takes_text`.
    """

    def __init__(
        self, video_columns: int, music_columns: int, *, config: ModelConfig, text_columns: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.video = Tower(
            video_columns, config=config, text_columns=text_columns if config.takes_text else 0
        )
        self.music = Tower(music_columns, config=config)

    def forward(
        self,
        video: Tensor,
        video_mask: Tensor,
        music: Tensor,
        music_mask: Tensor,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Embed pairs: sequences (B, T, D) and masks (B, T) of both modalities, text (B, W, D') and its mask."""
        return self.video(video, video_mask, text, text_mask), self.music(music, music_mask)

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return a copy of every parameter and buffer by name, as NumPy arrays."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}
