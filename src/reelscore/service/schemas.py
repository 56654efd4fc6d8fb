"""JSON of the HTTP API; the same shapes as ``--json`` on the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PathText = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
Id = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Key = Annotated[str, StringConstraints(pattern="^[0-9a-f]{1,64}$")]
Names = Annotated[list[Key], Field(max_length=20)]
Where = Annotated[list[Annotated[str, StringConstraints(max_length=2000)]], Field(max_length=20)]
Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600, allow_inf_nan=False)]
Format = Literal["mp4", "mov", "mkv", "otio", "fcpxml", "xml", "edl", "json"]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class NewVideo(_Input):
    """A video that is on the server."""

    path: PathText = Field(description="A file below an allowed folder.", examples=["/home/anna/holiday.mp4"])


class Video(BaseModel):
    """A video that was uploaded, or named by path."""

    id: str = Field(examples=["5f0c1e0fd2f84a3c9a4d1a3b8f7e6d5c"])
    name: str = Field(examples=["holiday.mp4"])
    state: Literal["uploading", "analysing", "ready", "failed", "deleted"]
    size_bytes: int = Field(examples=[18_400_220])
    received_bytes: int = Field(examples=[18_400_220])
    reason: str | None = Field(description="Why it cannot be used.")
    media: dict[str, Any] | None = Field(description="The fields of `reelscore probe --json`, once analysed.")
    created: str = Field(examples=["2026-11-30T08:00:00Z"])
    expires: str = Field(examples=["2026-12-01T08:00:00Z"])


class VideoList(BaseModel):
    """Videos, newest first."""

    videos: list[Video]


class Progress(BaseModel):
    """How much of a job is done; `total` is 0 where it is not known."""

    done: int
    total: int


class Job(BaseModel):
    """A job: the analysis of a video, the adding of music, a render or a timeline."""

    id: str
    kind: Literal["analyse", "add", "render"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    video: str | None
    arguments: dict[str, Any]
    progress: Progress
    result: dict[str, Any] | None = Field(
        description="The fields of `reelscore render --json` or `add --json`."
    )
    reason: str | None
    created: str
    ended: str | None


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[Job]


class Track(BaseModel):
    """A track, as in `reelscore list --json`."""

    model_config = ConfigDict(extra="allow")

    key: str = Field(description="Content hash of the file.")
    path: str
    title: str
    artist: str
    duration_s: float
    gone: bool = Field(description="Whether the file does not exist.")
    facts: dict[str, Any] = Field(description="What is known about it, such as `bpm`, by column.")


class TrackList(BaseModel):
    """Part of the tracks of the library, in order of path."""

    tracks: list[Track]
    total: int
    next_offset: int | None


class NewTracks(_Input):
    """Files and folders of music on the server."""

    paths: Annotated[list[PathText], Field(min_length=1, max_length=100)] = Field(
        examples=[["/home/anna/Music"]]
    )
    prune: bool = Field(False, description="Also remove the tracks below these paths whose files are gone.")


Column = Annotated[str, StringConstraints(pattern="^[a-z_][a-z0-9_]{0,59}$")]
TagText = Annotated[str, StringConstraints(max_length=1000)]


class NewTags(_Input):
    """Facts about a track, by column."""

    facts: Annotated[
        dict[Column, TagText | bool | float | list[TagText] | None], Field(min_length=1, max_length=50)
    ] = Field(examples=[{"licence": "CC BY", "mood": ["calm", "hopeful"], "price": 49}])


class NewMatches(_Input):
    """A query; the options of `reelscore match`."""

    video: Id | None = None
    text: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None, examples=["calm piano"]
    )
    like: Names = Field([], description="Keys of tracks that the results should be similar to.")
    unlike: Names = Field([], description="Keys of tracks that the results should be dissimilar to.")
    where: Where = Field(
        [], description="Filters that must all hold.", examples=[["bpm between 90 and 120", "vocals = 'no'"]]
    )
    top: int = Field(10, ge=1, le=200)
    offset: int = Field(0, ge=0, le=1000, description="Number of better matches to skip.")
    text_weight: float = Field(0.5, ge=0, le=1)
    hubness: float | None = Field(None, ge=0, le=1)
    diversity: float | None = Field(None, ge=0, le=1)
    all_recordings: bool = False


class MatchItem(BaseModel):
    """One match, as in `reelscore match --json`."""

    model_config = ConfigDict(extra="allow")

    rank: int
    key: str
    track: str
    title: str
    artist: str
    score: float
    start_s: float
    end_s: float
    duration_s: float
    reasons: list[str]
    fit: str | None
    violations: list[str]


class Matches(BaseModel):
    """The answer to a query, as in `reelscore match --json`."""

    model_config = ConfigDict(extra="allow")

    query: dict[str, Any]
    model: dict[str, Any]
    matches: list[MatchItem]
    notes: list[str]
    next_offset: int | None


class Peaks(BaseModel):
    """Peaks of a waveform, 255 for full scale."""

    duration_s: float
    peaks: list[int]


class FitPiece(BaseModel):
    """Part of a track, and the second of the video at which it starts."""

    at_s: float
    start_s: float
    end_s: float


class Fit(BaseModel):
    """A version of a track that ends with a video."""

    length_s: float
    pieces: list[FitPiece]


class NewRender(_Input):
    """A finished video, a timeline or a plan; the options of `reelscore render`."""

    video: Id
    track: Key
    start_s: Seconds = Field(0.0, description="Second of the track at the first picture.")
    fit: bool = Field(False, description="Fit the track to the length of the video.")
    sound: Literal["drop", "keep", "lower", "duck"] = "drop"
    format: Format = "mp4"


class Library(BaseModel):
    """The library that the service matches with."""

    model_config = ConfigDict(extra="allow")

    path: str
    num_tracks: int
    encoder: str
    model: dict[str, Any]
    reads_text: bool
    roots: list[str] = Field(description="Folders below which videos and music may be named by path.")
    indexing: Job | None = Field(description="The job that adds music at the moment.")


class Facets(BaseModel):
    """Columns that filters may use: their kind, the number of tracks with a value, and the values or the range."""

    columns: dict[str, dict[str, Any]]


class Encoder(BaseModel):
    """An encoder, as in `reelscore encoders list --json`."""

    kind: str
    name: str
    part: str
    dim: int
    licence: str


class Settings(BaseModel):
    """Version, encoders and limits of the service."""

    version: str
    encoders: list[Encoder]
    notes: list[str]
    limits: dict[str, float]


class Session(BaseModel):
    """Who the client is."""

    name: str
    role: Literal["reader", "editor", "admin"]
    keys: bool = Field(description="Whether the service asks for keys.")


class NewSession(_Input):
    """A key, for a browser that keeps it as a cookie."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]
