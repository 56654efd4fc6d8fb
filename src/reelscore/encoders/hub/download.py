"""Download models to the local cache of the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.files import is_disk_full, parse_json, read_file

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

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
_COMMIT = re.compile(r"[0-9a-f]{40}")


def download(repository: str, revision: str | None) -> Path:
    """Return the folder of a model in the cache, downloading it if necessary and not offline.

    Raises
    ------
    NotFoundError
        If the model is neither cached nor on the hub.
    OSError
        If the disk is full.
    """
    hub = hub_library()
    offline = hub.constants.is_offline_mode()
    try:
        if revision is not None and _COMMIT.fullmatch(revision) and not offline:
            # A cached commit never changes, so try the cache before the network.
            if (cached := _cached(repository, revision)) is not None:
                return cached
            # Threads, as in `snapshot_download`, would finish their files before Ctrl-C has an effect.
            for file in _listing(repository, revision):
                if file.will_download:
                    hub.hf_hub_download(repository, file.filename, revision=revision)
        return Path(_snapshot(repository, revision, local_files_only=offline))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        if is_disk_full(error):
            raise
        _raise_not_found(repository, revision, error)


def download_size(repository: str, commit: str) -> tuple[int, int]:
    """Return the bytes of a model's files, and how many of them are not yet in the cache.

    Raises
    ------
    NotFoundError
        If the hub cannot be reached or does not have the model.
    """
    hub = hub_library()
    if (cached := _cached(repository, commit)) is not None:
        return sum(path.stat().st_size for path in cached.rglob("*") if path.is_file()), 0
    try:
        files = _listing(repository, commit)
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        _raise_not_found(repository, commit, error)
    return sum(file.file_size for file in files), sum(file.file_size for file in files if file.will_download)


def hub_cache() -> Path:
    """Return the folder of the cache."""
    return Path(hub_library().constants.HF_HUB_CACHE)


def hub_library() -> Any:
    """Return the module huggingface_hub, or raise `NotFoundError` with the command that installs it."""
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise NotFoundError(
            "hub encoders need transformers and huggingface_hub, which are not installed; "
            "install them: python -m pip install 'reelscore[hub]'"
        ) from error
    return huggingface_hub


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files that a model's folder must hold, sorted by name."""
    index = folder / INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [folder / WEIGHTS]
    try:
        shards = set(parse_json(read_file(index))["weight_map"].values())
        return [index, *(folder / shard for shard in sorted(shards))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{index} lists no weights: {error}; fetch the model again") from error


def has_weights(folder: Path) -> bool:
    """Return whether a model's folder holds all its weight files."""
    return all(path.is_file() for path in weight_files(folder))


def _cached(repository: str, commit: str) -> Path | None:
    """Return the complete snapshot of a commit in the cache, or None."""
    hub = hub_library()
    try:
        snapshot = Path(_snapshot(repository, commit, local_files_only=True))
    except (OSError, ValueError, hub.errors.HfHubHTTPError):
        return None
    return snapshot if has_weights(snapshot) else None


def _listing(repository: str, commit: str) -> list[Any]:
    """Return the client's `DryRunFileInfo` of each file, the smallest first."""
    utils = hub_library().utils
    utils.disable_progress_bars()
    try:
        files = _snapshot(repository, commit, dry_run=True)
    finally:
        utils.enable_progress_bars()
    return sorted(files, key=lambda file: (file.file_size, file.filename))


def _snapshot(repository: str, revision: str | None, **options: Any) -> Any:
    return hub_library().snapshot_download(
        repository, revision=revision, allow_patterns=list(_ALLOW_PATTERNS), **options
    )


def _raise_not_found(repository: str, revision: str | None, error: Exception) -> NoReturn:
    hub = hub_library()
    what = repository + (f" at revision {revision}" if revision else "")
    if hub.constants.is_offline_mode():
        raise NotFoundError(
            f"the model {what} is not in the local cache, and offline mode is on (HF_HUB_OFFLINE or "
            f"TRANSFORMERS_OFFLINE); download it while online (hf download {repository}), or give a local folder"
        ) from error
    reason = error.__cause__ if isinstance(error, hub.errors.DryRunError) and error.__cause__ else error
    raise NotFoundError(
        f"the model {what} could not be fetched ({type(reason).__name__}: {str(reason).splitlines()[0]}); check the "
        "name, the network and, for a gated model, that you are logged in (hf auth login), or give a local folder"
    ) from error
