"""Libraries after kills, and with damaged files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.library.storage.meta import LibraryMeta
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.library_entries import make_entry, make_meta
from reelscore.library.storage.meta import LibraryMeta
from reelscore.library.storage.store import Store

def work(path):
    store = Store.open(path) if LibraryMeta.exists(path) else Store.create(path, make_meta())
    with store:
        for start in range(0, 40, 4):
            store.upsert(make_entry(i) for i in range(start, start + 4))
        store.remove([make_entry(i).track.key for i in range(3)])
        store.relocate(make_entry(9).track.key, "/moved", 1, 2)
        store.optimize()
    store.replace(make_meta(1), (make_entry(i, model=1) for i in range(40)))
    store.replace(make_meta(0), (make_entry(i) for i in range(38)))

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        work(Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_library_is_whole_after_a_kill_at_any_instant(tmp_path, entry, everything):
    """Kill writers at seeded instants; then read each library, and continue writing to it."""
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    tests_folder = str(Path(__file__).resolve().parents[2])
    waits_s = np.random.default_rng(2024).uniform(0.0, 1.0, size=3)
    writers = [
        subprocess.Popen(
            [sys.executable, script, tests_folder, tmp_path / f"library-{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(len(waits_s))
    ]
    try:
        for writer, wait_s in zip(writers, waits_s, strict=True):
            assert writer.stdout.readline() == "ready\n"
            writer.stdin.write("\n")
            writer.stdin.flush()
            time.sleep(wait_s)
            os.kill(writer.pid, signal.SIGKILL)
            assert writer.wait() == -signal.SIGKILL
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()

    namespace: dict[str, object] = {"__name__": "writer"}
    sys.argv, argv = ["writer", tests_folder], sys.argv
    try:
        exec(script.read_text(), namespace)
    finally:
        sys.argv = argv
        sys.path.remove(tests_folder)
    work = namespace["work"]
    work(tmp_path / "undisturbed")
    final = everything(Store.open(tmp_path / "undisturbed"))
    entries = {model: {entry(i).track.key: entry(i, model=model) for i in range(40)} for model in (0, 1)}
    for n in range(len(waits_s)):
        path = tmp_path / f"library-{n}"
        if LibraryMeta.exists(path):
            store = Store.open(path)
            model = int(store.meta.model_fingerprint.removeprefix("model-"))
            for found in store.entries():
                expected = entries[model][found.track.key]
                assert np.array_equal(found.embedding, expected.embedding)
                assert np.abs(found.moments - expected.moments).max() < 5e-4
            assert len(store.keys()) == len(set(store.keys())) == len(store)
            snapshot = Snapshot.open(path)
            if snapshot is not None:
                assert snapshot.rows.text("key") == store.keys()
        work(path)
        assert everything(Store.open(path)) == final
        assert {f.name for f in path.iterdir() if not f.name.endswith(".part")} == {
            "library.json", "lock", "snapshot", "tables",
        }  # fmt: skip
        assert len(list((path / "tables").iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_damaged_tables_are_errors_that_say_what_to_do(library, entry, unit, damage):
    """Damage each file of the table in turn; files that Lance does not need may go unnoticed."""
    before = [track.key for track, _ in Store.open(library).search(unit(0, 16), 40)]
    refused = set()
    for file in sorted(f for f in (library / "tables").rglob("*") if f.is_file()):
        whole = file.read_bytes()
        if damage == "remove":
            file.unlink()
        else:
            broken = bytearray(whole)
            broken[-5] ^= 0xFF
            file.write_bytes({"cut": whole[: len(whole) // 2], "flip": bytes(broken), "empty": b""}[damage])
        try:
            store = Store.open(library)
            came = [track.key for track, _ in store.search(unit(0, 16), 40)]
            store.moments(before)
            list(store.entries())
            assert set(came) <= set(before)
        except ArtifactError as error:
            assert "is damaged" in str(error)  # noqa: PT017
            assert "reelscore add" in str(error)  # noqa: PT017
            refused.add(file.suffix)
        file.write_bytes(whole)
    assert ".lance" in refused
    assert [track.key for track, _ in Store.open(library).search(unit(0, 16), 40)] == before


def test_a_flipped_embedding_is_noticed(library, entry, unit):
    needle = entry(4).embedding.tobytes()[:8]
    [file] = [f for f in (library / "tables").rglob("*.lance") if f.is_file() and needle in f.read_bytes()]
    content = bytearray(file.read_bytes())
    content[content.index(needle) + 3] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged"):
        Store.open(library).search(entry(4).embedding, 40)


def test_missing_tables_are_damage(library):
    (library / "tables" / "000001").rename(library / "elsewhere")
    with pytest.raises(ArtifactError, match=r"tracks.lance is missing"):
        Store.open(library)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": "1"}', "\0\0", '{"format": 1, "generation": 1, "meta": {"model": 3}}'],
)
def test_a_damaged_library_json_is_an_error_for_every_reader(library, text):
    (library / "library.json").write_text(text)
    for read in (Store.open, Snapshot.open, LibraryMeta.read, open_for_search):
        with pytest.raises(ArtifactError, match=r"is damaged \(library.json"):
            read(library)


def test_a_newer_format_asks_for_an_update(library):
    file = library / "library.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 4}))
    for read in (Store.open, Snapshot.open, LibraryMeta.read):
        with pytest.raises(ArtifactError, match=r"format 4, this reelscore reads up to 3\. Update reelscore"):
            read(library)


def test_meta_comes_back_and_exists_tells(library, tmp_path, meta):
    found = LibraryMeta.read(library)
    assert found.created
    assert found == LibraryMeta(
        **{f: getattr(meta(), f) for f in LibraryMeta.__slots__} | {"created": found.created}
    )
    assert LibraryMeta.exists(library)
    assert not LibraryMeta.exists(tmp_path)
    with pytest.raises(NotFoundError):
        LibraryMeta.read(tmp_path)
