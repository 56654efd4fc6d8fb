"""Matching a video, a text, or both with a library."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reelscore import ArtifactError, ConfigError, InputError, Library, Matcher, MatchRequest, MediaError
from support.captioned import captioned
from support.films import film
from support.subtitled import subtitled
from support.tiny_pack import sha256, write_tiny_pack


@pytest.fixture
def library(light_library):
    return light_library


def test_matches_are_ranked_and_begin_inside_their_tracks(library, video_file):
    matches = Matcher(library).match(video_file, k=4)
    assert [m.rank for m in matches] == [1, 2, 3, 4]
    assert [m.score for m in matches] == sorted((m.score for m in matches), reverse=True)
    assert all(0 <= m.start_s < m.track.duration_s for m in matches)
    assert len(Matcher(library).match(video_file, k=99)) == 6


def test_the_json_shape_is_kept_and_byte_equal(library, video_file):
    reports = [json.dumps(Matcher(library).report(video_file, k=3).to_json()) for _ in range(2)]
    assert reports[0] == reports[1]
    found = json.loads(reports[0])
    assert set(found) == {"query", "model", "matches", "notes"}
    assert found["model"]["trained"] is False
    assert set(found["query"]) == {"video", "duration_s", "text", "understood", "like", "not", "where"}
    keys = {"rank", "track", "title", "artist", "score", "start_s", "duration_s", "reasons"}
    keys |= {"key", "end_s", "beat", "fit", "violations", "explanation"}
    assert set(found["matches"][0]) == keys


def test_a_path_is_as_good_as_a_library(library, video_file):
    assert Matcher(library.path).match(video_file) == Matcher(library).match(video_file)


def test_pages_join_to_the_whole_list(library, video_file):
    matcher = Matcher(library)
    whole = matcher.match(video_file, k=6)
    assert [m for i in range(0, 8, 2) for m in matcher.match(video_file, k=2, offset=i)] == whole
    assert matcher.report(MatchRequest(video=video_file, k=3, offset=3)).matches == tuple(whole[3:])


def test_other_settings_of_a_video_rank_as_without_the_kept_ranking(library, video_file):
    matcher = Matcher(library)
    matcher.match(video_file)
    for options in ({"diversity": 0.9}, {"diversity": 0.0}, {"hubness": 0.0}, {"where": "length_s > 1"}):
        assert matcher.match(video_file, **options) == Matcher(library).match(video_file, **options)
    matcher.forget()
    assert matcher.match(video_file) == Matcher(library).match(video_file)


def test_the_tempo_of_a_match_is_what_the_library_knows(library, video_file):
    matches = Matcher(library).match(video_file)
    facts = library.searcher().facts([match.track.key for match in matches])
    assert [match.bpm for match in matches] == [facts[match.track.key].values.get("bpm") for match in matches]


def test_music_is_matched_to_the_pictures_alone(library, tmp_path):
    path = film(tmp_path / "long-sound.mp4", num_frames=75, rate=25, sound_s=12.0)
    report = Matcher(library).report(path)
    assert report.to_json()["query"]["duration_s"] == pytest.approx(3.0, abs=0.05)


def test_a_video_whose_sound_cannot_be_decoded_is_matched_with_a_note(library, tmp_path):
    path = film(tmp_path / "film.mp4", num_frames=75, rate=25, sound_s=3.0)
    content = bytearray(path.read_bytes())
    sound = content.index(b"soun")  # the sizes of the sound's samples follow, after those of the pictures
    sizes = content.index(b"stsz", sound)
    content[sizes + 12 : sizes + 16] = bytes(4)
    path.write_bytes(content)
    report = Matcher(library).report(path)
    assert len(report.matches) == 6
    assert any("(audio): nothing can be decoded" in note for note in report.notes)


def test_matching_loads_neither_torch_nor_lancedb(library, video_file):
    code = (
        "import sys; from reelscore import Matcher\n"
        f"Matcher({str(library.path)!r}).match({str(video_file)!r})\n"
        "print([m for m in ('torch', 'lancedb', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bad_questions_are_answered_clearly(library, video_file, music_folder):
    with pytest.raises(InputError, match="at least 1"):
        Matcher(library).match(video_file, k=0)
    with pytest.raises(InputError, match="at least 0"):
        Matcher(library).match(video_file, offset=-1)
    with pytest.raises(MediaError, match="picture"):
        Matcher(library).match(music_folder / "song 0.wav")


def test_an_empty_library_says_how_to_fill_it(tmp_path, video_file, light_library):
    opened = Library.open(shutil.copytree(light_library.path, tmp_path / "lib"))
    opened.remove([f"song {i}" for i in range(6)])
    with pytest.raises(InputError, match="reelscore add"):
        Matcher(opened).match(video_file)


@pytest.fixture(scope="module")
def wordy(tmp_path_factory, music_folder):
    """A zero-shot library of a tiny pack with the labels sea and car, and a vocabulary of four terms."""
    folder = tmp_path_factory.mktemp("wordy")
    pack = write_tiny_pack(folder / "pack")
    (pack / "colours.csv").write_text("id,name\n0,sea\n1,car\n2,sea car\n", encoding="utf-8")
    manifest = json.loads((pack / "MANIFEST.json").read_text())
    manifest["encoders"]["video"]["outputs"][1]["labels"]["sha256"] = sha256(pack / "colours.csv")
    (pack / "MANIFEST.json").write_text(json.dumps(manifest))
    words = folder / "words.toml"
    words.write_text(
        "[[terms]]\nname = 'calm'\nkind = 'mood'\narousal = -1.0\npace = -1.0\n"
        "[[terms]]\nname = 'fast'\nkind = 'mood'\narousal = 1.0\npace = 1.0\n"
        "[[terms]]\nname = 'sea'\nkind = 'scene'\nsuggests = ['calm']\n"
        "[[terms]]\nname = 'car'\nkind = 'scene'\nsuggests = ['fast']\n"
    )
    opened = Library.open(folder / "lib", pack=pack, vocabulary=words, cache=folder / "cache")
    opened.add(music_folder, workers=1)
    return opened


def test_a_pack_that_names_things_matches_through_words_by_default(wordy, video_file):
    report = Matcher(wordy).report(video_file, k=3)
    assert report.model["name"] == "bridge"
    assert report.model["trained"] is False
    assert {reason for match in report.matches for reason in match.reasons} <= {"calm", "fast", "sea", "car"}
    again = Matcher(wordy.path).report(video_file, k=3)
    assert json.dumps(again.to_json()) == json.dumps(report.to_json())


def test_words_alone_find_music_and_opposite_words_turn_the_list(wordy):
    matcher = Matcher(wordy)
    calm, fast = (matcher.report(text=text, k=6, diversity=0) for text in ("calm", "fast"))
    assert calm.query is None
    assert calm.to_json()["query"] == {
        "video": None,
        "duration_s": None,
        "text": "calm",
        "understood": "calm",
        "like": [],
        "not": [],
        "where": [],
    }
    order = [match.track.key for match in calm.matches]
    turned = [match.track.key for match in fast.matches]
    assert (order[0], order[-1]) == (turned[-1], turned[0])
    assert [m.track.key for m in matcher.match(text="no\x00 calm", k=6, diversity=0)] == turned
    assert all(match.start_s + 30 <= match.track.duration_s or match.start_s == 0 for match in calm.matches)


def test_words_and_a_video_are_weighed(wordy, video_file):
    matcher = Matcher(wordy)
    by_score = {"k": 6, "diversity": 0}
    shown, asked = matcher.report(video_file, **by_score), matcher.report(text="fast", **by_score)
    for weight, alone in ((0.0, shown), (1.0, asked)):
        both = matcher.report(video_file, text="fast", text_weight=weight, **by_score)
        assert [m.track.key for m in both.matches] == [m.track.key for m in alone.matches]
    assert matcher.report(video_file, text="fast", k=6).matches[0].score > 0


def test_bad_queries_are_errors(wordy, library, video_file, tmp_path):
    with pytest.raises(InputError, match="nothing to match"):
        Matcher(wordy).report()
    with pytest.raises(InputError, match="such as calm"):
        Matcher(wordy).report(text="zzz")
    with pytest.raises(InputError, match="lie in"):
        Matcher(wordy).report(video_file, text="calm", text_weight=2)
    with pytest.raises(ConfigError, match="takes no text here"):
        Matcher(library).report(text="calm")
    with pytest.raises(ConfigError, match="needs a pack or two models of the hub"):
        Library.open(tmp_path / "new", vocabulary=tmp_path / "words.toml")


def test_another_vocabulary_is_another_space(wordy, video_file, tmp_path):
    meta = wordy.path / "library.json"
    kept = Path(json.loads(meta.read_text())["meta"]["vocabulary"])
    text = kept.read_text()
    try:
        kept.write_text(text.replace("arousal = 1.0", "arousal = 0.9"))
        with pytest.raises(ArtifactError, match="Embed it again: reelscore rebuild"):
            Matcher(wordy.path).match(video_file)
    finally:
        kept.write_text(text)
    assert Matcher(wordy.path).match(video_file)


def test_the_text_in_the_pictures_speaks_where_it_is_asked_for(wordy, library, tmp_path):
    pytest.importorskip("rapidocr")
    film = captioned(tmp_path / "film.mp4", [(0, 1, "calm calm")], seconds=1)
    reads = wordy.pipeline.with_text_from(on_screen=True)
    shown, silent = reads.video(film)[0], wordy.pipeline.video(film)[0]
    asked = reads.embedder.embed_text("calm")
    assert shown @ asked > silent @ asked
    film.with_suffix(".json").write_text(json.dumps({"on_screen": "calm calm"}))
    assert wordy.pipeline.video(film)[0].tobytes() == shown.tobytes()
    with pytest.raises(ConfigError, match="takes no text of a video"):
        library.pipeline.with_text_from(on_screen=True)


def test_the_title_of_a_film_moves_its_list_as_its_words_do(wordy, tmp_path):
    matcher, opened = Matcher(wordy), wordy.pipeline

    def film(name: str, **tags: str) -> Path:
        return subtitled(tmp_path / f"{name}.mkv", [], codec="srt", tags=tags, rgb=(0, 0, 255))

    bare, calm, fast = film("calm sea"), film("a", title="calm"), film("b", title="fast")
    silent = opened.video(bare)[0]  # the file's name is not part of the text
    for tags in ({"comment": "blorb"}, {"title": "Created with blorb 1.2"}, {"artist": "calm"}):
        assert opened.video(film("junk", **tags))[0].tobytes() == silent.tobytes()
    for path, word in ((calm, "calm"), (fast, "fast")):
        asked = opened.embedder.embed_text(word)
        assert opened.video(path)[0] @ asked > silent @ asked
    ends = [matcher.match(text=word, k=1)[0].track.key for word in ("calm", "fast")]
    assert ends[0] != ends[1]
    scores = [{m.track.key: m.score for m in matcher.match(path, k=6)} for path in (calm, bare, fast)]
    favours = [of[ends[0]] - of[ends[1]] for of in scores]
    assert favours[0] > favours[1] > favours[2]
    report = matcher.report(calm, k=6).to_json()
    assert report["model"]["reads_words"] is True
    assert report["model"]["text_encoder"] == opened.embedder.encoder.fingerprint
    assert report == matcher.report(calm, k=6).to_json()


def test_real_titles_find_what_a_person_expects(shared, tmp_path):
    opened = Library.open(tmp_path / "lib", pack=shared / "models", cache=tmp_path / "cache").pipeline
    words = opened.embedder
    bare, sea, battle = (
        subtitled(tmp_path / f"{i}.mkv", [], codec="srt", tags=tags)
        for i, tags in enumerate(
            ({}, {"title": "Calm morning at the sea"}, {"title": "Storm", "comment": "Scary and dark"})
        )
    )
    silent, quiet, loud = (opened.video(path)[0] for path in (bare, sea, battle))
    for titled, terms in ((quiet, ("calm", "sea")), (loud, ("storm", "scary", "dark"))):
        for term in terms:
            asked = words.embed_text(term)
            assert titled @ asked > silent @ asked + 0.1
    assert {"calm", "sea"} <= set(words.reasons(quiet, words.embed_text("calm sea"), most=10))


@pytest.mark.slow
def test_words_find_what_they_say_among_real_music(shared, tmp_path):
    opened = Library.open(tmp_path / "lib", pack=shared / "models", cache=tmp_path / "cache")
    names = (
        "music",
        "purgatorys-mansion",
        "jrpgcollection-ogg-jrpg-battle-loop",
        "introduction",
        "reign-of-anarchy",
    )
    opened.add(*(next((shared / "media" / "music").glob(f"{name}.*")) for name in names))
    matcher = Matcher(opened)

    def best(text: str) -> list[str]:
        return [Path(m.track.path).stem for m in matcher.match(text=text, k=2)]

    assert set(best("calm piano")) == {"music", "purgatorys-mansion"}
    assert set(best("fast electronic battle")) == {"jrpgcollection-ogg-jrpg-battle-loop", "introduction"}
    assert best("electric guitar")[0] == "reign-of-anarchy"
    assert "piano" in matcher.match(text="calm piano", k=1)[0].reasons


def test_a_pack_without_labels_is_not_used_and_says_so(tmp_path, music_folder, video_file):
    pack = write_tiny_pack(tmp_path / "pack")
    manifest = json.loads((pack / "MANIFEST.json").read_text())
    del manifest["encoders"]["video"]["outputs"][1]["labels"]
    (pack / "MANIFEST.json").write_text(json.dumps(manifest))
    opened = Library.open(tmp_path / "lib", pack=pack)
    opened.add(music_folder / "song 0.wav", workers=1)
    report = Matcher(opened).report(video_file)
    assert report.model["name"] == "affect"
    assert "is not used: zero-shot matching needs" in report.model["missing_words"][0]
    with pytest.raises(ConfigError, match="is not used: zero-shot matching"):
        Matcher(opened).match(text="calm")


def test_a_correction_for_hubs_takes_off_what_any_query_gives(library, wordy, video_file):
    for opened in (library, wordy):
        matcher = Matcher(opened)
        plain, corrected = (matcher.report(video_file, k=6, hubness=h).matches for h in (0.0, 1.0))
        bank = opened.pipeline.embedder.bank.astype(np.float64)
        np.testing.assert_allclose(np.linalg.norm(bank, axis=1), 1, atol=1e-5)
        found = opened.searcher().embeddings([m.track.key for m in plain])
        before, after = ({m.track.key: m.score for m in side} for side in (plain, corrected))
        for key, score in after.items():
            unmatched = bank @ found[key].astype(np.float64)
            assert score == pytest.approx((before[key] - unmatched.mean()) / unmatched.std(), abs=1e-4)
        assert [m.score for m in corrected] == sorted(after.values(), reverse=True)
        word = {True: "good", False: "poor"}
        for match in corrected:
            assert match.fit == word[match.score >= 1] or 0.25 <= match.score < 1
    for opened, usual in ((library, 0.0), (wordy, 0.9)):
        assert Matcher(opened).match(video_file) == Matcher(opened).match(video_file, hubness=usual)
    with pytest.raises(InputError, match="hubness must lie"):
        Matcher(library).match(video_file, hubness=2)


def test_a_trained_model_keeps_some_of_its_queries(tmp_path, light_model, music_folder, video_file):
    model = shutil.copytree(light_model, tmp_path / "m")
    opened = Library.open(tmp_path / "lib", model=model)
    opened.add(music_folder / "song 0.wav", workers=1)
    assert Matcher(opened).match(video_file, hubness=0.5)
    (bank,) = model.glob("bank-*.safetensors")
    bank.write_bytes(bank.read_bytes()[:-7])
    with pytest.raises(ArtifactError, match="damaged"):
        Matcher(tmp_path / "lib").match(video_file, hubness=0.5)
    bank.unlink()
    with pytest.raises(ConfigError, match=r"Train it again, or switch the correction off \(--hubness 0\)"):
        Matcher(tmp_path / "lib").match(video_file, hubness=0.5)
    assert Matcher(tmp_path / "lib").match(video_file)
