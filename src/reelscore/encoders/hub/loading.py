"""Load configurations, networks and feature extractors with transformers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reelscore.errors import ArtifactError, NotFoundError

from .files import HubFiles


def load_config(files: HubFiles) -> Any:
    """Return the model's configuration with the defaults of transformers."""
    transformers = import_transformers()
    try:
        return transformers.AutoConfig.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"transformers {transformers.__version__} cannot read the configuration of {files.name}: "
            f"{str(error).splitlines()[0]}; fetch the model again, or update transformers"
        ) from error


def config_value(config: Any, path: tuple[str, ...]) -> int:
    """Return the integer at a path of attributes of a configuration."""
    for name in path:
        config = getattr(config, name)
    return int(config)


def import_transformers() -> Any:
    """Return the module transformers, or raise `NotFoundError` with the command that installs it."""
    try:
        import transformers
    except ImportError as error:
        raise NotFoundError(
            "hub encoders need the library transformers, which is not installed; install it: "
            "python -m pip install 'reelscore[hub]'"
        ) from error
    return transformers


def load_feature_extractor(files: HubFiles, name: str, family: str) -> Any:
    """Return the feature extractor class `name` of transformers with the model's configuration.

    Raises
    ------
    ArtifactError
        If preprocessor_config.json does not exist or is not that of a model of the `family`.
    """
    config = files.processor_config("feature_extractor")
    extractor = getattr(import_transformers(), name)
    try:
        return extractor(**{key: value for key, value in config.items() if not key.endswith("_type")})
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"the preprocessor_config.json of {files.name} is not one of {family}: {error}; fetch the model again"
        ) from error


@contextmanager
def silenced(transformers: Any) -> Iterator[None]:
    """Hide progress bars and warnings of transformers for a while."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_network(files: HubFiles, *, auto_class: str, ignore_missing: tuple[str, ...] = ()) -> Any:
    """Return a network with the weights of the files, on the CPU in float32.

    Parameters
    ----------
    files : HubFiles
    auto_class : str
        The auto class in transformers.
    ignore_missing : tuple of str
        Prefixes of weights that the files may lack.

    Raises
    ------
    ArtifactError
        If the weights cannot be read or are incomplete.
    """
    import torch

    transformers = import_transformers()
    config = load_config(files)
    try:
        with silenced(transformers):
            network, report = getattr(transformers, auto_class).from_pretrained(
                files.folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:  # transformers, torch and safetensors share no base class
        raise ArtifactError(
            f"transformers cannot load the weights in {files.folder}: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; fetch the model again"
        ) from error
    # transformers fills missing weights with random numbers, which must never become features.
    missing = sorted(
        name
        for name in (*report["missing_keys"], *(key[0] for key in report.get("mismatched_keys", ())))
        if not name.startswith(ignore_missing)
    )
    if missing:
        raise ArtifactError(
            f"the weights in {files.folder} lack {len(missing)} of the network's tensors (first: {missing[0]}); "
            "fetch the model again, or give one with all its weights"
        )
    return network
