"""Read and write `library.json`, the metadata of a library."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.config import from_mapping, to_mapping
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.files import parse_json, read_file, write_bytes
from reelscore.objects import Folder

FORMAT = 3
"""Newest format that this version reads.

1: no tag scores. 2: the table has the column ``tag_scores``. 3: columns of facts and a table of details, and tag scores
where `LibraryMeta.has_tags`.
"""

FILE_NAME = "library.json"

RETIRED_KEYS = ("blend", "trained_fingerprint")
"""Keys of `LibraryMeta` that an older reelscore wrote; ignored."""


@dataclass(frozen=True, slots=True)
class LibraryMeta:
    """The model and encoders whose embeddings a library holds.

    Attributes
    ----------
    model : str
        Display name, such as ``"affect"``.
    model_fingerprint : str
        Identity of the embedding space.
    video_encoder, music_encoder : str
        Fingerprints of the model's encoders.
    encoder_kind : str
        ``"light"``, ``"pack"``, ``"hub:VIDEO+MUSIC"`` ...
    dim : int
        D, the length of an embedding.
    num_segments : int
        N, the number of segments of a track.
    model_path, encoder_folder : str, optional
        Where the model and the encoders were when the library was built.
    vocabulary : str, optional
        Vocabulary file of the zero-shot model; None for the built-in vocabulary.
    video_licence, music_licence : str, optional
        Licences of the encoders' weights.
    tags_fingerprint : str, optional
        Fingerprint of the zero-shot model that computed the tag scores; None where the library keeps none.
    tags_folder : str, optional
        Folder of its pack.
    created : str
        ISO 8601 time; set when the library is created.
    format : int
        Format of the library's folder.
    """

    model: str
    model_fingerprint: str
    video_encoder: str
    music_encoder: str
    encoder_kind: str
    dim: int
    num_segments: int
    model_path: str | None = None
    encoder_folder: str | None = None
    vocabulary: str | None = None
    video_licence: str | None = None
    music_licence: str | None = None
    tags_fingerprint: str | None = None
    tags_folder: str | None = None
    created: str = ""
    format: int = 1

    def __post_init__(self) -> None:
        if self.dim < 1 or self.num_segments < 1:
            raise InputError(
                f"dim and num_segments must be at least 1, got {self.dim} and {self.num_segments}"
            )

    @property
    def has_tags(self) -> bool:
        """Whether the library keeps the tag scores of its tracks."""
        return self.tags_fingerprint is not None

    @property
    def has_facts(self) -> bool:
        """Whether the library has columns for facts about its tracks; one of an older format has none."""
        return self.format >= 3

    def is_like(self, other: LibraryMeta) -> bool:
        """Return whether both describe the same embeddings and tag scores."""
        return (self.model_fingerprint, self.music_encoder, self.dim, self.tags_fingerprint) == (
            other.model_fingerprint,
            other.music_encoder,
            other.dim,
            other.tags_fingerprint,
        )

    @staticmethod
    def exists(library: Path | str) -> bool:
        """Return whether there is a library at `library`, intact or damaged."""
        return (Path(library) / FILE_NAME).is_file()

    @classmethod
    def read(cls, library: Path | str) -> LibraryMeta:
        """Return the meta of the library at `library`; raises as `read_pointer`."""
        return read_pointer(Path(library)).meta


@dataclass(frozen=True, slots=True)
class Pointer:
    """Content of `library.json`: the meta, and the generation of the live tables.

    Both are in one file, so that one atomic rename replaces both.
    """

    meta: LibraryMeta
    generation: int


def foreign_entries(folder: Path) -> list[str]:
    """Return the sorted names in a folder that no writer of a library creates, killed ones included."""
    names = {entry.name for entry in folder.iterdir()} - {
        "lock",
        "tables",
        "snapshot",
        "files.json",
        "failed.txt",
        FILE_NAME,
    }
    return sorted(name for name in names if not name.startswith((f".{FILE_NAME}.", ".files.json.")))


def write_pointer(library: Path, pointer: Pointer) -> None:
    """Replace `library.json` atomically, which makes the pointer's generation the live one.

    Raises
    ------
    ArtifactError
        When the folder cannot be written.
    """
    try:
        write_bytes(library / FILE_NAME, pointer_content(pointer))
    except OSError as error:
        raise ArtifactError(
            f"cannot write to {library}: {error.strerror}. Free some space or check its permissions, then run this "
            "again"
        ) from error


def pointer_content(pointer: Pointer) -> bytes:
    """Return the content of `library.json`."""
    document = {
        "format": pointer.meta.format,
        "generation": pointer.generation,
        "meta": to_mapping(pointer.meta),
    }
    document["checksum"] = _checksum(document)
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def read_pointer(library: Path) -> Pointer:
    """Read `library.json`.

    Raises
    ------
    NotFoundError
        When there is no library at `library`.
    ArtifactError
        When the file is damaged or of a newer format.
    """
    file = library / FILE_NAME
    try:
        content = read_file(file)
    except (FileNotFoundError, NotADirectoryError):
        what = "is not a library (no library.json inside)" if library.exists() else "does not exist"
        raise NotFoundError(f"{library} {what}. Create a library: {way_to_create(library)}") from None
    except OSError as error:
        raise ArtifactError(f"cannot read {file}: {error.strerror}. Check its permissions") from error
    return parse_pointer(content, library)


def parse_pointer(content: bytes, library: Folder) -> Pointer:
    """Return the pointer that `library.json` holds; raise `ArtifactError` if it is damaged or of a newer format."""
    try:
        document = parse_json(content)
        format_, generation, values = document["format"], document["generation"], document["meta"]
        if not isinstance(format_, int) or not isinstance(generation, int):
            raise TypeError("format and generation must be whole numbers")
        checksum = document.pop("checksum", None)
        if format_ > FORMAT:
            raise ArtifactError(
                f"{library} has library format {format_}, this reelscore reads up to {FORMAT}. Update reelscore"
            )
        if len(document) != 3 or checksum not in (None, _checksum(document)):  # older libraries have none
            raise ValueError("it differs from what was written")
        kept = {key: value for key, value in dict(values).items() if key not in RETIRED_KEYS}
        return Pointer(from_mapping(LibraryMeta, kept, where="meta"), generation)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(library, f"{FILE_NAME}: {error}") from error


def way_to_create(folder: Folder) -> str:
    """Return the command that creates a library at a folder, or elsewhere if the folder holds something else."""
    taken = isinstance(folder, Path) and folder.exists() and (not folder.is_dir() or foreign_entries(folder))
    return f"reelscore add MUSIC_FOLDER --library {'OTHER_FOLDER' if taken else folder}"


def check_absent(folder: Path, *, create: bool) -> None:
    """Raise unless a new library may be created at a folder where there is none.

    Raises
    ------
    NotFoundError
        If `create` is false.
    ArtifactError
        If the folder holds something else.
    """
    if not create:
        raise NotFoundError(f"there is no library at {folder}. Create one: {way_to_create(folder)}")
    if folder.exists() and (not folder.is_dir() or foreign_entries(folder)):
        raise ArtifactError(f"{folder} exists but is not a library. Choose another folder for it")


def facts_note(meta: LibraryMeta | None, library: Folder) -> str | None:
    """Return a message about a library without facts, which an older version created; None for any other."""
    if meta is None or meta.has_facts:
        return None
    return (
        f"the library {library} has no tempo, key, loudness and other facts about its tracks. Add them: "
        f"reelscore rebuild --library {library}"
    )


def check_kind(built: LibraryMeta, library: Folder) -> None:
    """Raise `ArtifactError` for a library of a retired kind."""
    if built.model_fingerprint.startswith("blend-"):
        raise ArtifactError(
            f"the library {library} was built with a blend of the model {built.model_path} and a pack, which reelscore "
            f"no longer supports. Embed it again with the model alone: reelscore rebuild --library {library} "
            f"--model {built.model_path}"
        )


def _checksum(document: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(document, sort_keys=True).encode())


def damaged(library: Folder, what: str) -> ArtifactError:
    """Return the error for a library whose files differ from what was written."""
    return ArtifactError(
        f"the library {library} is damaged ({what}). Restore it from a backup, or delete it and build it again: "
        f"reelscore add MUSIC_FOLDER --library {library} (cached features are not computed again)"
    )
