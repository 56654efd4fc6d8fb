"""Locate the files of a transformers model: a local folder or a Hugging Face id."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.files import is_disk_full, open_file, parse_json, read_file

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

T = TypeVar("T")

_ALLOW_PATTERNS = (
    "README.md",
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "vocab.*",
    "merges.txt",
    "sentence_bert_config.json",
    "modules.json",
    "*_Pooling/config.json",
    "*_Dense/config.json",
    f"*_Dense/{WEIGHTS}",
    WEIGHTS,
    INDEX,
    "model-*.safetensors",
)
_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

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
    snapshot = _snapshot(repository, revision or None)
    return _validated_files(repository, snapshot, identity=snapshot.name)


def download_size(name: str) -> tuple[int, int]:
    """Return the bytes of a model's files, ``id@commit``, and how many of them are not yet in the hub's cache.

    Raises
    ------
    NotFoundError
        If the hub cannot be reached or does not have the model.
    """
    repository, _, revision = name.partition("@")
    hub = _hub()
    if (snapshot := _cached_snapshot(repository, revision)) is not None:
        return sum(path.stat().st_size for path in snapshot.rglob("*") if path.is_file()), 0
    hub.utils.disable_progress_bars()  # the dry run has one too
    try:
        files = _download(repository, revision, dry_run=True)
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        reason = error.__cause__ if isinstance(error.__cause__, Exception) else error
        _raise_not_found(repository, revision, reason, offline=hub.constants.is_offline_mode())
    finally:
        hub.utils.enable_progress_bars()
    return sum(file.file_size for file in files), sum(file.file_size for file in files if file.will_download)


def hub_cache() -> Path:
    """Return the folder of the hub's local cache."""
    return Path(_hub().constants.HF_HUB_CACHE)


def cached_models() -> list[HubFiles]:
    """Return the newest revision of each model in the local cache that can be read, sorted by name."""
    hub = _hub()
    if not Path(hub.constants.HF_HUB_CACHE).is_dir():
        return []
    models = []
    for repository in sorted(hub.scan_cache_dir().repos, key=lambda r: str(r.repo_id)):
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


def _snapshot(repository: str, revision: str | None) -> Path:
    hub = _hub()
    offline = hub.constants.is_offline_mode()
    # A cached commit never changes, so try the cache before the network.
    if revision is not None and _COMMIT.fullmatch(revision) and not offline:
        cached = _cached_snapshot(repository, revision)
        if cached is not None:
            return cached
    try:
        return Path(_download(repository, revision, local_files_only=offline))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        if is_disk_full(error):
            raise
        _raise_not_found(repository, revision, error, offline=offline)


def _cached_snapshot(repository: str, revision: str) -> Path | None:
    """Return the complete snapshot of a commit in the cache, or None."""
    hub = _hub()
    try:
        snapshot = Path(_download(repository, revision, local_files_only=True))
    except (OSError, ValueError, hub.errors.HfHubHTTPError):
        return None
    return snapshot if _has_weights(snapshot) else None


def _download(repository: str, revision: str | None, **options: Any) -> Any:
    return _hub().snapshot_download(
        repository, revision=revision, allow_patterns=list(_ALLOW_PATTERNS), **options
    )


def _raise_not_found(repository: str, revision: str | None, error: Exception, *, offline: bool) -> NoReturn:
    what = repository + (f" at revision {revision}" if revision else "")
    if offline:
        raise NotFoundError(
            f"the model {what} is not in the local cache, and offline mode is on (HF_HUB_OFFLINE or "
            f"TRANSFORMERS_OFFLINE); download it while online (hf download {repository}), or give a local folder"
        ) from error
    raise NotFoundError(
        f"the model {what} could not be fetched ({type(error).__name__}: {str(error).splitlines()[0]}); check the "
        "name, the network and, for a gated model, that you are logged in (hf auth login), or give a local folder"
    ) from error


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise NotFoundError(
            "hub encoders need transformers and huggingface_hub, which are not installed; "
            "install them: python -m pip install 'reelscore[hub]'"
        ) from error
    return huggingface_hub


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
    if not _has_weights(folder):
        raise ArtifactError(
            f"{folder} has no complete {WEIGHTS}, the only form of weights that reelscore reads (pickle files can "
            "run code); fetch the model again, convert it with transformers' save_pretrained, or give another"
        )
    return HubFiles(
        name, folder, identity or _content_identity(folder), files.licence, config, identity is None
    )


def _weights(folder: Path) -> list[Path]:
    """Return the weight files that the folder must hold, sorted by name."""
    index = folder / INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [folder / WEIGHTS]
    try:
        shards = set(parse_json(read_file(index))["weight_map"].values())
        return [index, *(folder / shard for shard in sorted(shards))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{index} lists no weights: {error}; fetch the model again") from error


def _has_weights(folder: Path) -> bool:
    return all(path.is_file() for path in _weights(folder))


def _content_identity(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for path in (folder / "config.json", *_weights(folder)):
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
