"""Changed bytes in LanceDB's data files are noticed before their rows are copied."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore.errors import ArtifactError
from reelscore.library.storage import integrity
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.store import Store


def data_files(library: Path) -> list[Path]:
    return sorted(library.glob("tables/*/*.lance/data/*.lance"))


def test_every_changed_byte_is_noticed(library: Path) -> None:
    chosen = random.Random(0)
    files = data_files(library)
    assert files
    for _ in range(25):
        file = chosen.choice(files)
        content = bytearray(file.read_bytes())
        content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
        original = file.read_bytes()
        file.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"{file.name} differs from what was written"):
            Store.open(library).check_files()
        file.write_bytes(original)
    Store.open(library).check_files()


def test_damage_is_not_copied_to_the_snapshot(library: Path, entry) -> None:
    snapshot = (library / "snapshot/current.json").read_bytes()
    file = data_files(library)[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError), Store.open(library) as store:
        store.upsert([entry(99)])
    assert (library / "snapshot/current.json").read_bytes() == snapshot
    shutil.rmtree(library / "snapshot")
    with pytest.raises(ArtifactError, match="differs from what was written"):
        open_for_search(library)


def test_a_write_reads_no_old_data_file_again(library: Path, entry, monkeypatch) -> None:
    before, read = set(data_files(library)), []
    original = integrity._crc
    monkeypatch.setattr(integrity, "_crc", lambda file: (read.append(file), original(file))[1])
    with Store.open(library) as store:
        store.upsert([entry(50)])
    assert before & set(read) == set()
    for file in before:
        os.utime(file)
    with Store.open(library) as store:
        store.upsert([entry(51)])
    assert before <= set(read)
    Store.open(library).check_files()
    assert set(data_files(library)) <= set(read)


def test_damage_that_changes_no_time_is_not_copied_but_noticed_by_a_full_check(library: Path, entry) -> None:
    before = {e.track.key: e for e in Store.open(library).entries()}
    vector = entry(3).embedding.tobytes()
    (file,) = (file for file in data_files(library) if vector in file.read_bytes())
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[content.find(vector)] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with Store.open(library) as store:
        store.upsert([entry(99)])
    key = entry(3).track.key
    assert np.array_equal(open_for_search(library).embeddings([key])[key], before[key].embedding)
    assert not np.array_equal(Store.open(library).embeddings([key])[key], before[key].embedding)
    with pytest.raises(ArtifactError, match="differs from what was written"):
        Store.open(library).check_files()


def test_checksums_follow_commits_compaction_and_rebuilds(library: Path, entry, meta) -> None:
    with Store.open(library) as store:
        store.upsert([entry(50)])
        store.optimize()
    assert set(integrity.read_checksums(library, 1)) == set(data_files(library))
    Store.open(library).replace(meta(1), [entry(1, model=1)])
    assert set(integrity.read_checksums(library, 2)) == set(data_files(library))


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"a": "b"}', b'{"../x": 1}'])
def test_a_library_without_usable_checksums_gets_new_ones(
    library: Path, entry, content: bytes | None
) -> None:
    file = library / "tables/000001/checksums.json"
    file.unlink() if content is None else file.write_bytes(content)
    with Store.open(library) as store:
        store.upsert([entry(60)])
    assert set(integrity.read_checksums(library, 1)) == set(data_files(library))


def test_a_copy_of_a_library_has_its_checksums(library: Path, tmp_path: Path) -> None:
    shutil.copytree(library, tmp_path / "copy")
    assert len(integrity.read_checksums(tmp_path / "copy", 1)) == len(data_files(library))
    Store.open(tmp_path / "copy").check_files()
