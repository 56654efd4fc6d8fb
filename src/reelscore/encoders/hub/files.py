"""A model's name enters (an id of the Hugging Face hub or a local folder); its files, identity and licence leave.

Nothing here runs code that came with a model, and weights are read as safetensors only. A snapshot in the
local cache is used as it lies; offline nothing else is looked for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from reelscore.errors import ArtifactError, ConfigError, NotFoundError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_WANTED = (
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

INSTEAD = (
    "use a model that transformers itself brings (pictures: CLIP, SigLIP, DINOv2, DINOv3; music: CLAP, AST, "
    "wav2vec 2.0, HuBERT, WavLM), or an ONNX pack (docs/how-to/packs.md)"
)


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of one model.

    Attributes
    ----------
    name : str
        As the user named it, without a revision.
    folder : Path
        Where the files lie.
    identity : str
        The commit of a snapshot, or a hash of a local folder's configuration and weights.
    licence : str
        As the model card's front matter says it, or ``"unknown"``.
    config : Mapping
        The content of config.json.
    local : bool
        Whether the user named a folder.
    """

    name: str
    folder: Path
    identity: str
    licence: str
    config: Mapping[str, Any]
    local: bool

    @property
    def model_type(self) -> str:
        """The architecture's name in transformers, such as ``"clip"``."""
        return str(self.config["model_type"])

    @property
    def pinned(self) -> str:
        """A name that leads to these very files from anywhere: the whole folder, or id@commit."""
        return str(self.folder) if self.local else f"{self.name}@{self.identity}"

    def json(self, file: str) -> dict[str, Any] | None:
        """Return a JSON file of the model, or None where it has none."""
        path = self.folder / file
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ArtifactError(f"{path} is not valid JSON: {error}; fetch the model again") from error
        if not isinstance(content, dict):
            raise ArtifactError(f"{path} must hold a JSON object, got {type(content).__name__}")
        return content

    def preparation(self, part: str, what: str) -> Mapping[str, Any]:
        """Return how the model wants what it is fed.

        Parameters
        ----------
        part : str
            Its key in processor_config.json, where preprocessor_config.json is absent.
        what : str
            For the message, such as ``"sound is"``.

        Raises
        ------
        ArtifactError
            When neither file says it.
        """
        facts = self.json("preprocessor_config.json")
        if facts is None:
            facts = (self.json("processor_config.json") or {}).get(part)
        if not isinstance(facts, Mapping):
            raise ArtifactError(
                f"{self.folder} has no preprocessor_config.json, so nothing says how its {what} prepared; fetch the "
                f"model again, or save it together with its {part.replace('_', ' ')}"
            )
        return facts


def find_model(name: str) -> HubFiles:
    """Return the files of the model that `name` means: a folder, or ``id`` or ``id@revision`` of the hub.

    Raises
    ------
    NotFoundError
        When the folder is absent; when the id is neither in the local cache nor, unless offline, on the hub.
    ConfigError
        When the name has another form, or the model needs code of its own, which is never run.
    ArtifactError
        When the files are not whole, or the weights are no safetensors.
    """
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return _checked(name, folder.resolve(), identity=None)
    if not name or name[0] in "/.~":
        raise NotFoundError(
            f"there is no folder {name}; name a folder with a config.json, or an id of the hub"
        )
    repository, _, revision = name.partition("@")
    if not _ID.fullmatch(repository) or ("@" in name and not re.fullmatch(r"[\w./-]+", revision)):
        raise ConfigError(f"expected a folder, an id such as org/model or id@revision, got {name!r}")
    snapshot = _snapshot(repository, revision or None)
    return _checked(repository, snapshot, identity=snapshot.name)


def cached_models() -> list[HubFiles]:
    """Return the models of the local cache that can be read, by name; the newest revision of each."""
    hub = _hub()
    if not Path(hub.constants.HF_HUB_CACHE).is_dir():
        return []
    found = []
    for repository in sorted(hub.scan_cache_dir().repos, key=lambda r: str(r.repo_id)):
        if repository.repo_type != "model":
            continue
        newest = max(
            repository.revisions, key=lambda r: (float(r.last_modified), r.commit_hash), default=None
        )
        try:
            if newest is not None:
                folder = Path(newest.snapshot_path)
                found.append(_checked(repository.repo_id, folder, identity=newest.commit_hash))
        except (ArtifactError, ConfigError):
            continue  # the cache is shared with other programs: what is no encoder is none of our business
    return found


def _snapshot(repository: str, revision: str | None) -> Path:
    hub = _hub()
    # A commit that is here already never changes: no need to ask, online or not.
    here_first = revision is not None and _COMMIT.fullmatch(revision) is not None
    attempts = (True, False) if here_first and not hub.constants.is_offline_mode() else (False,)
    for only_here in attempts:
        try:
            snapshot = Path(
                hub.snapshot_download(
                    repository,
                    revision=revision,
                    allow_patterns=list(_WANTED),
                    local_files_only=only_here or hub.constants.is_offline_mode(),
                )
            )
        except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
            if only_here:
                continue
            _absent(repository, revision, error, offline=hub.constants.is_offline_mode())
        if only_here and not _has_weights(snapshot):
            continue
        return snapshot
    raise AssertionError("the last attempt returns or raises")


def _absent(repository: str, revision: str | None, error: Exception, *, offline: bool) -> NoReturn:
    what = repository + (f" at revision {revision}" if revision else "")
    if offline:
        raise NotFoundError(
            f"the model {what} is not in the local cache, and offline mode is on (HF_HUB_OFFLINE or "
            f"TRANSFORMERS_OFFLINE); fetch it once while online (hf download {repository}), or name a local folder"
        ) from error
    raise NotFoundError(
        f"the model {what} could not be fetched ({type(error).__name__}: {str(error).splitlines()[0]}); check the "
        "name, the network and, for a gated model, that you are logged in (hf auth login), or name a local folder"
    ) from error


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise NotFoundError(
            "hub encoders need the libraries transformers and huggingface_hub, which are not installed; "
            "install them: python -m pip install 'reelscore[hub]'"
        ) from error
    return huggingface_hub


def _checked(name: str, folder: Path, *, identity: str | None) -> HubFiles:
    files = HubFiles(name, folder, identity or "", licence_of(folder), {}, identity is None)
    config = files.json("config.json")
    if config is None:
        raise ArtifactError(f"{folder} has no config.json; name a model saved by transformers")
    if config.get("auto_map"):
        raise ConfigError(
            f"the model {name} needs code of its own (auto_map in its config.json), which reelscore never runs; "
            f"{INSTEAD}"
        )
    if not isinstance(config.get("model_type"), str):
        raise ConfigError(f"the config.json of {name} names no model_type, so it is no model of transformers")
    if not _has_weights(folder):
        raise ArtifactError(
            f"{folder} has no whole {WEIGHTS}, the only form of weights that reelscore reads (pickled ones can "
            "run code); fetch the model again, convert it with transformers' save_pretrained, or name another"
        )
    return HubFiles(
        name, folder, identity or _content_identity(folder), files.licence, config, identity is None
    )


def _weights(folder: Path) -> list[Path]:
    """Return the weights files that the folder should hold, by name."""
    index = folder / INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [folder / WEIGHTS]
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [index, *(folder / shard for shard in sorted(shards))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{index} lists no weights: {error}; fetch the model again") from error


def _has_weights(folder: Path) -> bool:
    return all(path.is_file() for path in _weights(folder))


def _content_identity(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for path in (folder / "config.json", *_weights(folder)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, hashlib.sha256).digest())
    return digest.hexdigest()


def licence_of(folder: Path) -> str:
    """Return the ``license`` of the model card (README.md) in `folder`, or ``"unknown"``.

    A card that says ``other`` or nothing may give the licence's name under ``license_name``.
    """
    card = folder / "README.md"
    if not card.is_file():
        return "unknown"
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != "---":
        return "unknown"
    said: dict[str, str] = {}
    key = ""
    for line in lines[1:]:
        if line.strip() == "---":
            break
        item = re.fullmatch(r"\s*-\s*(.+)", line)
        if item and key:
            said[key] = ", ".join(filter(None, (said[key], _unquoted(item[1]))))
            continue
        pair = re.fullmatch(r"([\w-]+):\s*(.*)", line)
        key = pair[1] if pair and pair[1] in ("license", "license_name") else ""
        if pair and key:
            said[key] = _unquoted(pair[2])
    licence = said.get("license", "")
    return (said.get("license_name") if licence in ("", "other") else None) or licence or "unknown"


def _unquoted(value: str) -> str:
    return value.split(" #")[0].strip().strip("\"'")
