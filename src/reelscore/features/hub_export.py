"""Hub models enter, a pack of ONNX files that gives the same features without torch leaves, verified.

A pack is written beside its place, compared with the originals through its own code, and only then moved there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import to_mapping
from ..domain import FloatArray
from ..errors import ArtifactError, ConfigError, NotFoundError
from ..files import sync_folder, write_bytes
from .hub_loading import HubFiles, find_model
from .hub_model import HubModel
from .hub_music import HubMusic
from .hub_sound import ClapSound
from .hub_text import HubText
from .hub_video import HubVideo
from .pack import Pack, load_pack
from .pack_manifest import MANIFEST_NAME, SCHEMA_VERSION
from .pack_spec import Role

MAX_COSINE_DISTANCE = 1e-3
_MAX_BYTES = 2_000_000_000  # an ONNX file is one protobuf message, which ends at 2 GiB
_OPSET = 18
_TEXTS = (
    "calm sea",
    "a fast car in the rain, and nobody at the wheel",
    "Sunday",
    "people dance at night while the city sleeps. " * 12,
)


@dataclass(frozen=True, slots=True)
class Exported:
    """One encoder of a new pack; `distance` is the largest cosine distance from the original that was seen."""

    role: Role
    name: str
    licence: str
    dim: int
    num_bytes: int
    distance: float


def export_pack(
    folder: Path | str, *, video: str | None = None, music: str | None = None, text: str | None = None
) -> list[Exported]:
    """Write a pack of the named models (see `hub_loading.find_model`) to `folder`, which must be new.

    Raises
    ------
    ConfigError
        When nothing is named, the place is taken, or a model cannot be said in a pack's manifest.
    NotFoundError
        When a model, or a library that export needs, is absent.
    ArtifactError
        When a model cannot be traced, or the pack's features differ from the original's.
    """
    target = Path(folder).expanduser()
    if not (video or music or text):
        raise ConfigError("nothing to export: name a model with --video, --music or --text")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is there already; name a new folder for the pack")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part"))
    try:
        parts = [
            make(beside, find_model(name))
            for make, name in ((_pictures, video), (_sound, music), (_words, text))
            if name
        ]
        manifest = {"reelscore_pack": SCHEMA_VERSION, "encoders": {part.role: part.entry for part in parts}}
        write_bytes(beside / MANIFEST_NAME, (json.dumps(manifest, indent=2) + "\n").encode())
        write_bytes(beside / "README.md", _readme(parts).encode())
        pack = load_pack(beside)
        exported = [_verified(beside, part, part.compare(pack)) for part in parts]
        beside.chmod(0o755)
        beside.replace(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(target.parent)
    return exported


@dataclass(frozen=True, slots=True)
class _Part:
    """A file that is written, and how to compare it: `compare` gives both sides' rows, shape (n, D) each."""

    role: Role
    files: HubFiles
    entry: dict[str, Any]
    compare: Callable[[Pack], tuple[FloatArray, FloatArray]]


def _pictures(folder: Path, files: HubFiles) -> _Part:
    import torch

    encoder = HubVideo(files)
    encoder.model.precise = True
    side = encoder.input.crop_px
    entry = _written(
        folder,
        "pictures.onnx",
        encoder.model,
        encoder.dim,
        {"pixel_values": torch.zeros(1, 3, side, side)},
        lambda network, pixel_values: encoder.model.output(network, {"pixel_values": pixel_values}),
    )
    rng = np.random.default_rng(0)
    pictures = [
        np.clip(
            rng.integers(0, 256, 3) + rng.normal(0, spread, (height, width, 3)).cumsum(axis=1), 0, 255
        ).astype(np.uint8)
        for height, width in ((side, side), (180, 320), (320, 180), (97, 131))
        for spread in (2.0, 40.0)
    ]

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        model = pack.video_encoder().model
        ours = [model.outputs(picture)["emb"] for picture in pictures]
        return np.stack(ours), np.stack(encoder.pictures(pictures))

    return _Part("video", files, entry | {"input": to_mapping(encoder.input)}, compare)


def _sound(folder: Path, files: HubFiles) -> _Part:
    import torch

    encoder = HubMusic(files)
    encoder.model.precise = True
    sound = encoder.sound
    if not isinstance(sound, ClapSound):
        raise ConfigError(
            f"{files.name} ({files.model_type}) cannot be a pack's music encoder: {sound.no_pack}; export a CLAP "
            "model, or use this one as it is with --encoder hub:VIDEO+MUSIC"
        )
    spec = sound.input
    frames = spec.num_frames(sound.num_samples)

    def heard(network: Any, mel: Any) -> Any:
        picture = mel.transpose(2, 3)
        feeds = {"input_features": picture}
        if sound.fused:
            feeds = {
                "input_features": picture.repeat(1, 4, 1, 1),
                "is_longer": torch.zeros(1, 1, dtype=torch.bool),
            }
        return encoder.model.output(network, feeds)

    entry = _written(
        folder,
        "sound.onnx",
        encoder.model,
        encoder.dim,
        {spec.tensor: torch.zeros(1, 1, spec.mel_bands, frames)},
        heard,
    )
    time_s = np.arange(sound.num_samples) / sound.rate_hz
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, sound.num_samples)) * np.array([[0.01], [0.3]])
    tunes = [
        0.3 * np.sin(2 * np.pi * hz * time_s) * (np.sin(2 * np.pi * 2 * time_s) > 0) for hz in (220, 1760)
    ]
    windows = [w.astype(np.float32) for w in (*noise, *tunes, tunes[0] + noise[0])]

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        model = pack.music_encoder().model
        ours = [model.patch_outputs(window)["emb"] for window in windows]
        return np.stack(ours), np.stack(encoder.windows(windows))

    return _Part("music", files, entry | {"input": to_mapping(spec)}, compare)


def _words(folder: Path, files: HubFiles) -> _Part:
    import torch

    encoder = HubText(files)
    encoder.model.precise = True
    longest, pad_id, full = encoder.max_tokens, encoder.pad_id, encoder.kind.always_full

    def read(network: Any, ids: Any, mask: Any) -> Any:
        if full:
            filling = torch.full((1, longest), pad_id, dtype=torch.int64)
            # Without a mask of its own the graph would lose that input, which the manifest promises.
            filled = torch.cat((ids * mask + pad_id * (1 - mask), filling), dim=1)[:, :longest]
            return encoder.model.output(network, {"input_ids": filled})
        return encoder.model.output(network, {"input_ids": ids, "attention_mask": mask})

    example = torch.tensor([encoder.tokenizer.encode(_TEXTS[0]).ids or [pad_id]])
    entry = _written(
        folder,
        "words.onnx",
        encoder.model,
        encoder.dim,
        {"ids": example, "mask": torch.ones_like(example)},
        read,
        free_axes={"ids": {1: "S"}, "mask": {1: "S"}},
    )
    tokenizer = encoder.tokenizer.to_str().encode()
    write_bytes(folder / "tokenizer.json", tokenizer)
    told = {
        "ids_tensor": "ids",
        "mask_tensor": "mask",
        "tokenizer": "tokenizer.json",
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        "max_tokens": longest,
    }

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        return pack.text_encoder().encode(_TEXTS), encoder.encode(_TEXTS)

    return _Part("text", files, entry | {"input": told}, compare)


def _written(
    folder: Path,
    file: str,
    model: HubModel,
    dim: int,
    example: dict[str, Any],
    called: Callable[..., Any],
    *,
    free_axes: dict[str, dict[int, str]] | None = None,
) -> dict[str, Any]:
    """Trace ``called(network, *example)`` into an ONNX file and return its entry without the input."""
    import torch

    network = model.network()
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.parameters())
    if size > _MAX_BYTES:
        raise ConfigError(
            f"{model.files.name} has {size / 1e9:.1f} GB of weights, and one ONNX file holds at most 2 GB; name "
            "a smaller model, or use it as it is with --encoder hub:VIDEO+MUSIC"
        )

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *tensors: Any) -> Any:
            return called(self.network, *tensors)

    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # the tracer warns of each shape that it takes for constant
            torch.onnx.export(
                Traced().eval(),
                tuple(example.values()),
                str(folder / file),
                input_names=list(example),
                output_names=["emb"],
                dynamic_axes=free_axes or {},
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter's own errors share no base class
        if isinstance(error, ImportError) or "not installed" in str(error):
            raise NotFoundError(
                f"export needs a library that is not installed ({error}); install it: python -m pip install onnx"
            ) from error
        raise ArtifactError(
            f"torch {torch.__version__} cannot write {model.files.name} as ONNX: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; use it as it is with --encoder hub:VIDEO+MUSIC"
        ) from error
    content = (folder / file).read_bytes()
    write_bytes(folder / file, content)  # again, and synced
    return {
        "name": model.files.name.rstrip("/").split("/")[-1],
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": model.files.licence,
        "outputs": [{"name": "emb", "dim": dim}],
    }


def _verified(folder: Path, part: _Part, rows: tuple[FloatArray, FloatArray]) -> Exported:
    ours, theirs = (np.asarray(side, np.float64) for side in rows)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    distance = float(np.max(1.0 - np.sum(ours * theirs, axis=1) / norms))
    # Not a plain >: NaN must fail as well.
    if not distance <= MAX_COSINE_DISTANCE:
        raise ArtifactError(
            f"the ONNX file of {part.files.name} does not give the original's features: cosine distance "
            f"{distance:.2g}, at most {MAX_COSINE_DISTANCE:g} was expected, so nothing was written; use the model "
            "as it is with --encoder hub:VIDEO+MUSIC"
        )
    size = (folder / part.entry["file"]).stat().st_size
    return Exported(
        part.role, part.entry["name"], part.files.licence, ours.shape[1], size, max(0.0, distance)
    )


def _readme(parts: Sequence[_Part]) -> str:
    lines = [
        f"- {part.role}: {part.files.name}, {'content' if part.files.local else 'commit'} {part.files.identity}, "
        f"licence {part.files.licence}"
        for part in parts
    ]
    return "\n".join(["# A pack exported by `reelscore encoders export`", "", *lines, ""])
