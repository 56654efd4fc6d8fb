"""Locate the files of a transformers model: a local folder or a Hugging Face id."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.files import open_file, parse_json, read_file

from .download import WEIGHTS, download, has_weights, hub_library, weight_files

T = TypeVar("T")

_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?")

ALTERNATIVES = (
    "use a model that is part of transformers (pictures: CLIP, SigLIP, DINOv2, DINOv3; music: CLAP, AST, "
    "wav2vec 2.0, HuBERT, WavLM), or an ONNX pack (docs/how-to/packs.md)"
)
"""What to do about an unsupported model, for error messages."""


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of one model.

    Attributes
    ----------
    name : str
        The name that the user gave, without a revision.
    folder : Path
    identity : str
        The commit of a snapshot, or a hash of a local folder's configuration and weights.
    licence : str
        From the model card, or ``"unknown"``.
    config : Mapping
        The content of config.json.
    local : bool
        Whether the name is a folder.
    """

    name: str
    folder: Path
    identity: str
    licence: str
    config: Mapping[str, Any]
    local: bool

    @property
    def model_type(self) -> str:
        """The architecture in transformers, such as ``"clip"``."""
        return str(self.config["model_type"])

    @property
    def pinned(self) -> str:
        """The absolute folder, or the id with its commit: ``id@commit``."""
        return str(self.folder) if self.local else f"{self.name}@{self.identity}"

    def json(self, file: str) -> dict[str, Any] | None:
        """Return the object in a JSON file of the model, or None if the file does not exist."""
        path = self.folder / file
        if not path.is_file():
            return None
        try:
            content = parse_json(read_file(path))
        except ValueError as error:
            raise ArtifactError(f"{path} is not valid JSON: {error}; fetch the model again") from error
        if not isinstance(content, dict):
            raise ArtifactError(f"{path} must hold a JSON object, got {type(content).__name__}")
        return content

    def processor_config(self, part: str) -> Mapping[str, Any]:
        """Return the processor's configuration: preprocessor_config.json, or a part of processor_config.json.

        Parameters
        ----------
        part : {"image_processor", "feature_extractor"}
            Key in processor_config.json.

        Raises
        ------
        ArtifactError
            If neither file has it.
        """
        config = self.json("preprocessor_config.json")
        if config is None:
            config = (self.json("processor_config.json") or {}).get(part)
        if not isinstance(config, Mapping):
            raise ArtifactError(
                f"{self.folder} has no preprocessor_config.json, which describes the model's input; fetch the model "
                f"again, or save it together with its {part.replace('_', ' ')}"
            )
        return config

    def tower(self, towers: Mapping[str, T], features: str) -> T:
        """Return the entry of the model's architecture in a table; `features` is for the message.

        Raises
        ------
        ConfigError
            If the table lacks the architecture.
        """
        if self.model_type not in towers:
            raise ConfigError(
                f"{self.name} is a {self.model_type} model, which gives no features of {features} here (supported: "
                f"{', '.join(towers)}); {ALTERNATIVES}"
            )
        return towers[self.model_type]


def find_model(name: str) -> HubFiles:
    """Return the files of a model, downloading them from the hub if necessary and not offline.

    Parameters
    ----------
    name : str
        A folder, or ``id`` or ``id@revision`` on the hub.

    Raises
    ------
    NotFoundError
        If the folder does not exist, or the id is neither cached nor on the hub.
    ConfigError
        If the name is malformed, or the model needs its own code, which is never run.
    ArtifactError
        If files are missing, or the weights are not safetensors.
    """
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return _validated_files(name, folder.resolve(), identity=None)
    if not name or name[0] in "/.~":
        raise NotFoundError(
            f"there is no folder {name}; give a folder with a config.json, or an id on the Hugging Face hub"
        )
    repository, _, revision = name.partition("@")
    if not _ID.fullmatch(repository) or ("@" in name and not re.fullmatch(r"[\w./-]+", revision)):
        raise ConfigError(f"expected a folder, an id such as org/model, or id@revision, got {name!r}")
    snapshot = download(repository, revision or None)
    return _validated_files(repository, snapshot, identity=snapshot.name)


def cached_models() -> list[HubFiles]:
    """Return the newest revision of each model in the local cache that can be read, sorted by name."""
    hub = hub_library()
    if not Path(hub.constants.HF_HUB_CACHE).is_dir():
        return []
    models = []
    for repository in sorted(
        hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).repos, key=lambda r: str(r.repo_id)
    ):
        if repository.repo_type != "model":
            continue
        newest = max(
            repository.revisions, key=lambda r: (float(r.last_modified), r.commit_hash), default=None
        )
        try:
            if newest is not None:
                folder = Path(newest.snapshot_path)
                models.append(_validated_files(repository.repo_id, folder, identity=newest.commit_hash))
        except (ArtifactError, ConfigError):
            continue  # other programs share the cache: skip what is not a readable model
    return models


def _validated_files(name: str, folder: Path, *, identity: str | None) -> HubFiles:
    files = HubFiles(name, folder, identity or "", model_licence(folder), {}, identity is None)
    config = files.json("config.json")
    if config is None:
        raise ArtifactError(f"{folder} has no config.json; give a model saved by transformers")
    if config.get("auto_map"):
        raise ConfigError(
            f"the model {name} needs code of its own (auto_map in its config.json), which reelscore never runs; "
            f"{ALTERNATIVES}"
        )
    if not isinstance(config.get("model_type"), str):
        raise ConfigError(f"the config.json of {name} has no model_type; give a model saved by transformers")
    if not has_weights(folder):
        raise ArtifactError(
            f"{folder} has no complete {WEIGHTS}, the only form of weights that reelscore reads (pickle files can "
            "run code); fetch the model again, convert it with transformers' save_pretrained, or give another"
        )
    return HubFiles(
        name, folder, identity or _content_identity(folder), files.licence, config, identity is None
    )


def _content_identity(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for path in (folder / "config.json", *weight_files(folder)):
        with open_file(path) as file:
            digest.update(hashlib.file_digest(file, hashlib.sha256).digest())
    return digest.hexdigest()


def model_licence(folder: Path) -> str:
    """Return the licence in the front matter of the model card, README.md in `folder`, or ``"unknown"``.

    ``license_name`` is used where ``license`` is ``other`` or absent.
    """
    card = folder / "README.md"
    if not card.is_file():
        return "unknown"
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != "---":
        return "unknown"
    values: dict[str, str] = {}
    key = ""
    for line in lines[1:]:
        if line.strip() == "---":
            break
        item = re.fullmatch(r"\s*-\s*(.+)", line)
        if item and key:
            values[key] = ", ".join(filter(None, (values[key], _unquote(item[1]))))
            continue
        pair = re.fullmatch(r"([\w-]+):\s*(.*)", line)
        key = pair[1] if pair and pair[1] in ("license", "license_name") else ""
        if pair and key:
            values[key] = _unquote(pair[2])
    licence = values.get("license", "")
    return (values.get("license_name") if licence in ("", "other") else None) or licence or "unknown"


def _unquote(value: str) -> str:
    return value.split(" #")[0].strip().strip("\"'")
