"""A trained model, the rows of its pairs and a pack enter; what the bridge shall count beside the model leaves.

The weight is chosen on the validation pairs of the training, by what the model of the search made of them
(`models.held_out`) and what the bridge makes of them now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .bridging import load_bridge
from .choosing import choose_pipeline
from .data.manifest import ManifestRow
from .data.pairs import PairSet
from .errors import ArtifactError, InputError
from .evaluation.report import Report, evaluate_embeddings
from .extraction.pairs import PairFailure, extract_pairs
from .features.cache import FeatureCache
from .features.joined_spec import JoinedPair, JoinedSpec
from .features.spec import EncoderSpec
from .features.words_spec import WordsSpec
from .models.blend import Blend, joined
from .models.blend_card import BlendCard, save_blend
from .models.checkpoint import TrainedEmbedder, load_embedder
from .models.embedder import Embedder
from .models.held_out import HeldOut, read_held_out
from .pipeline import Pipeline
from .training.assess import Columns, embed_set, evaluate_model
from .training.weighing import after_refit, choose_weight, same_pairs

BANK_SIZE = 512
"""Validation videos, at most, that are kept as queries."""


@dataclass(frozen=True, slots=True)
class BlendResult:
    """What came of weighing.

    Attributes
    ----------
    card : BlendCard
        As stored.
    failures : tuple of PairFailure
        Validation pairs that could not be read.
    num_changed : int
        Validation pairs of the training that are not among the rows any more, or not the same.
    """

    card: BlendCard
    failures: tuple[PairFailure, ...]
    num_changed: int


def blend_model(
    model: Path | str,
    rows: Sequence[ManifestRow],
    *,
    pack: Path | str,
    cache_folder: Path,
    encoder: str | None = None,
    vocabulary: Path | str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BlendResult:
    """Choose what the bridge counts beside a trained model, and store it in the model's folder.

    Parameters
    ----------
    model : path
        Folder of a finished training; its weights stay as they are.
    rows : sequence of ManifestRow
        The pairs that it was trained on; only those of validation are read.
    pack : path
        That names what it sees and hears.
    cache_folder : Path
        Of the features.
    encoder : str, optional
        The model's own, where it is not `light` and not the pack's, see `choose_pipeline`.
    vocabulary : path, optional
        Of the bridge, in place of reelscore's own; a copy goes into the model's folder.
    workers, progress
        See `extract_pairs`.

    Returns
    -------
    BlendResult

    Raises
    ------
    ArtifactError
        When the model was trained without validation, or the rows are not those of its training.
    InputError
        When the pairs that are left are of one group.
    NotFoundError
        When the pack does not name what it sees and hears.
    """
    folder = str(Path(model).resolve())
    embedder = load_embedder(folder)
    held = _held(folder, embedder)
    wanted = set(held.keys)
    kept = [row for row in rows if row.key in wanted]
    if not kept:
        raise _others(folder, held)
    own = choose_pipeline(model=folder, encoder=encoder, pack=pack)
    cache = FeatureCache(cache_folder)
    words = EncoderSpec("words", str(Path(pack).resolve()))
    bridge = load_bridge(words, vocabulary, cache=cache)
    spec = JoinedSpec(own.encoder, words)
    encoders = spec.load()
    try:
        pairs, failures = extract_pairs(
            kept,
            spec,
            name=Path(folder).name,
            cache_folder=cache_folder,
            num_segments=embedder.num_segments,
            num_draws=0,
            words=WordsSpec(encoder=words.folder),
            workers=workers,
            progress=progress,
        )
    except InputError as error:
        raise InputError(f"the blend of {folder} cannot be weighed: {error}") from error
    known, found = same_pairs(held, pairs, num_columns=encoders.num_columns)
    if not known:
        raise _others(folder, held)
    pairs = pairs.take(found)
    ours, named = part(pairs, embedder, bridge, encoders)
    sides = embed_set(bridge, named, columns=columns_of(encoders))
    weighed = choose_weight((held.video[known], held.music[known]), sides, held.group[known])
    some = np.unique(np.linspace(0, len(found) - 1, min(BANK_SIZE, len(found))).round().astype(int))
    card = save_blend(
        folder,
        BlendCard(
            weight=_finished(weighed.weight, held, embedder),
            best=weighed.weight,
            model=embedder.fingerprint,
            bridge=bridge.fingerprint,
            video_encoder=bridge.video_encoder,
            music_encoder=bridge.music_encoder,
            vocabulary=bridge.vocabulary.fingerprint,
            num_pairs=len(found),
            curve=list(weighed.curve),
        ),
        queries=(embed_set(embedder, ours.take(some))[0], sides[0][some]),
        vocabulary=None if vocabulary is None else Path(vocabulary).read_bytes(),
    )
    return BlendResult(card, failures, len(held.keys) - len(found) - len(failures))


def evaluate_blend(
    pipeline: Pipeline, pairs: PairSet, *, cache_folder: Path, seed: int = 0
) -> dict[str, Report]:
    """Score a blend and its halves on pairs; all of them are the gallery.

    Parameters
    ----------
    pipeline : Pipeline
        With a blend.
    pairs : PairSet
        Extracted with `pipeline.encoders`.
    cache_folder : Path
    seed : int
        Of the intervals.

    Returns
    -------
    dict
        Reports by ``model`` (with the linear CCA), ``bridge`` and ``blend``, all as in search.
    """
    opened = pipeline.open(cache=FeatureCache(cache_folder))
    blend, encoders = opened.embedder, opened.encoders
    assert isinstance(blend, Blend)
    assert isinstance(encoders, JoinedPair)
    ours, named = part(pairs, blend.model, blend.bridge, encoders)
    reports = {"model": evaluate_model(str(pipeline.model), ours, seed=seed)}
    by_model = embed_set(blend.model, ours)
    by_bridge = embed_set(blend.bridge, named, columns=columns_of(encoders))
    both = [joined(m, b, blend.weight) for m, b in zip(by_model, by_bridge, strict=True)]
    for name, (video, music) in {"bridge": by_bridge, "blend": both}.items():
        reports[name] = evaluate_embeddings(video, music, pairs.group, cluster=pairs.source, seed=seed)
    return reports


def _held(folder: str, embedder: TrainedEmbedder) -> HeldOut:
    held = read_held_out(folder, embedder.card)
    if held is None:
        raise ArtifactError(
            f"the model {folder} was stored without what it made of its validation pairs before it learned from them, "
            "by which a blend is weighed; train it again, with validation: reelscore train FOLDER --model "
            f"{folder} --pack PACK --blend --overwrite"
        )
    return held


def _finished(weight: float, held: HeldOut, embedder: TrainedEmbedder) -> float:
    """Return what the bridge counts beside the finished model, which may have learned from the validation pairs too."""
    if not embedder.card.training.get("refit", True):
        return weight
    return after_refit(weight, num_learned=held.num_learned, num_more=held.num_more)


def _others(folder: str, held: HeldOut) -> ArtifactError:
    return ArtifactError(
        f"none of the {len(held.keys)} validation pairs that {folder} was trained with is among these, or none is the "
        f"same as then (the first was {held.keys[0]!r}); name the folder or manifest that it was trained on, with the "
        "same --encoder, or train it again: --overwrite"
    )


def columns_of(encoders: JoinedPair) -> tuple[Columns, Columns]:
    """Return the names of the second encoders' columns, of video and of music."""
    n = encoders.num_columns
    video, music = encoders.video.columns, encoders.music.columns
    return None if video is None else video[n[0] :], None if music is None else music[n[1] :]


def part(pairs: PairSet, model: Embedder, bridge: Embedder, encoders: JoinedPair) -> tuple[PairSet, PairSet]:
    """Part pairs whose features stand side by side into the model's and the bridge's."""
    n = encoders.num_columns

    def half(columns: tuple[slice, slice], one: Embedder) -> PairSet:
        reads = one.text_encoder == pairs.text_encoder
        return replace(
            pairs,
            video=tuple((draws[0][:, columns[0]],) for draws in pairs.video),
            music=tuple((draws[0][:, columns[1]],) for draws in pairs.music),
            video_encoder=one.video_encoder,
            music_encoder=one.music_encoder,
            text=pairs.text if reads else None,
            text_encoder=pairs.text_encoder if reads else None,
        )

    return half((slice(n[0]), slice(n[1])), model), half((slice(n[0], None), slice(n[1], None)), bridge)
