"""What a library was built with: a `LibraryMeta` enters, `library.json` leaves, and back.

The file is also the pointer to the live tables (`generation`), so that one atomic rename swaps both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reelscore.config import from_mapping, to_mapping
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.files import write_bytes

FORMAT = 1
"""Raised whenever an older reelscore could not read the folder any more."""

FILE_NAME = "library.json"

RETIRED_KEYS = ("blend", "trained_fingerprint")
"""Keys of `LibraryMeta` that an older reelscore wrote; ignored."""


@dataclass(frozen=True, slots=True)
class LibraryMeta:
    """The model and encoders whose embeddings a library holds.

    Attributes
    ----------
    model : str
        Name for people, such as ``"affect"``.
    model_fingerprint : str
        Identity of the embedding space.
    video_encoder, music_encoder : str
        Fingerprints of the encoders in front of the model.
    encoder_kind : str
        ``"light"``, ``"pack"``, ``"hub:VIDEO+MUSIC"`` ...
    dim : int
        D, the length of an embedding.
    num_segments : int
        N, how many segments a track is cut into.
    model_path, encoder_folder : str, optional
        Where the model and the encoders lay on disk when the library was built.
    vocabulary : str, optional
        File of the bridge's words, where it is not reelscore's own.
    video_licence, music_licence : str, optional
        Of the encoders' weights, where they have any.
    created : str
        ISO 8601 time; filled in when the library is made.
    format : int
        Of the folder.
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
    created: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.dim < 1 or self.num_segments < 1:
            raise InputError(
                f"dim and num_segments must be at least 1, got {self.dim} and {self.num_segments}"
            )

    @staticmethod
    def exists(library: Path | str) -> bool:
        """Return whether there is a library at `library`, whole or damaged."""
        return (Path(library) / FILE_NAME).is_file()

    @classmethod
    def read(cls, library: Path | str) -> LibraryMeta:
        """Return the meta of the library at `library`; raises as `read_pointer` does."""
        return read_pointer(Path(library)).meta

    def check(
        self,
        model_fingerprint: str | None,
        library: Path | str,
        *,
        options: str = "",
        video_encoder: str | None = None,
        music_encoder: str | None = None,
    ) -> None:
        """Raise `ArtifactError` naming the command that mends it unless the library was built with these.

        Parameters
        ----------
        model_fingerprint, video_encoder, music_encoder : str or None
            What is in use; None is not compared.
        library : path
            Where this meta was read from.
        options : str
            What the user would give to `rebuild` for it, such as ``" --model my.model"``.
        """
        for what, held, came in (
            ("model", self.model_fingerprint, model_fingerprint),
            ("video encoder", self.video_encoder, video_encoder),
            ("music encoder", self.music_encoder, music_encoder),
        ):
            if came is not None and came != held:
                raise ArtifactError(
                    f"the library {library} was built with {what} {held} (model {self.model!r}), but {came} is in "
                    f"use; embed it again: reelscore rebuild --library {library}{options}"
                )


@dataclass(frozen=True, slots=True)
class Pointer:
    """What `library.json` says: the meta, and the number of the tables that are live."""

    meta: LibraryMeta
    generation: int


def foreign_entries(folder: Path) -> list[str]:
    """Return the names in a folder that no library has made, sorted; a kill may have left the others."""
    names = {entry.name for entry in folder.iterdir()} - {"lock", "tables", "snapshot", FILE_NAME}
    return sorted(name for name in names if not name.startswith(f".{FILE_NAME}."))


def write_pointer(library: Path, pointer: Pointer) -> None:
    """Replace `library.json`: from this instant the pointer's generation is the live one."""
    document = {
        "format": pointer.meta.format,
        "generation": pointer.generation,
        "meta": to_mapping(pointer.meta),
    }
    write_bytes(library / FILE_NAME, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())


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
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        what = "is not a library (no library.json inside)" if library.exists() else "does not exist"
        raise NotFoundError(
            f"{library} {what}; make a library: reelscore add MUSIC_FOLDER --library {library}"
        ) from None
    except OSError as error:
        raise ArtifactError(f"cannot read {file}: {error.strerror}; check its permissions") from error
    try:
        document = json.loads(content)
        format_, generation, values = document["format"], document["generation"], document["meta"]
        if not isinstance(format_, int) or not isinstance(generation, int):
            raise TypeError("format and generation must be whole numbers")
        if format_ > FORMAT:
            raise ArtifactError(
                f"{library} has library format {format_}, this reelscore reads up to {FORMAT}; update reelscore"
            )
        kept = {key: value for key, value in dict(values).items() if key not in RETIRED_KEYS}
        return Pointer(from_mapping(LibraryMeta, kept, where="meta"), generation)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(library, f"{FILE_NAME}: {error}") from error


def damaged(library: Path | str, what: str) -> ArtifactError:
    """Return the error for a library whose files cannot be what was written."""
    return ArtifactError(
        f"the library {library} is damaged ({what}); restore it from a backup, or delete it and build it "
        f"again: reelscore add MUSIC_FOLDER --library {library} (features that are cached are not computed again)"
    )
