"""An archive gives back what was put in, byte for byte, and says when it is not what was written."""

import json

import pytest

from harness import archive as door
from harness.errors import TabOrderError
from harness.records import archive
from harness.records.store import ResultStore
from tests.factories import make_dataset, make_full_store

BOARD = ("leaderboard.csv", "leaderboard_by_dataset.csv", "leaderboard_pairs.csv", "scores.csv")


@pytest.fixture
def store(tmp_path):
    return make_full_store(tmp_path / "store", [make_dataset("one"), make_dataset("two")], {"a_llm": 0.9, "b": 0.4})


def export(store, file, *words):
    assert door.main(["export", f"store.root={store.root}", f"file={file}", *words]) == 0
    return file


def texts(store):
    return {
        path.parent.relative_to(store.runs).as_posix(): path.read_text()
        for path in store.runs.glob("*/*/*/record.json")
    }


def test_every_record_comes_back_byte_for_byte_and_equal_stores_give_equal_files(store, tmp_path):
    file = export(store, tmp_path / "a.archive")
    assert {one.path: one.text for one in archive.read(file)} == texts(store)
    assert export(store, tmp_path / "b.archive").read_bytes() == file.read_bytes()


def test_a_record_written_otherwise_is_kept_as_it_is(store, tmp_path):
    path = next(store.runs.glob("*/*/*/record.json"))
    data = json.loads(path.read_text())
    del data["checksum"]
    path.write_text(json.dumps(data))  # on one line: another text of the same record
    assert {one.path: one.text for one in archive.read(export(store, tmp_path / "a.archive"))} == texts(store)


def test_an_imported_store_has_the_same_leaderboard(store, tmp_path):
    from harness.report.leaderboard_files import write

    file = export(store, tmp_path / "a.archive")
    assert door.main(["import", f"file={file}", f"store.root={tmp_path / 'other'}"]) == 0
    other = ResultStore(tmp_path / "other")
    assert texts(other) == texts(store)
    for one, output in ((store, tmp_path / "one"), (other, tmp_path / "two")):
        write(one, output)
    for name in BOARD:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    data = json.loads((tmp_path / "two" / "leaderboard.json").read_text())
    assert not [problem for problem in data["problems"] if "is missing" in problem["reason"]]


def test_importing_twice_changes_nothing(store, tmp_path):
    cells = archive.read(export(store, tmp_path / "a.archive"))
    other = ResultStore(tmp_path / "other")
    assert archive.unpack(cells, other) == (len(cells), 0)
    assert archive.unpack(cells, other) == (0, len(cells))


def test_a_changed_or_foreign_file_is_refused_in_a_sentence(store, tmp_path, capsys):
    file = export(store, tmp_path / "a.archive")
    whole, cells = file.read_bytes(), archive.read(file)
    said = []
    for position in range(4, len(whole), max(1, len(whole) // 60)):
        data = bytearray(whole)
        data[position] ^= 1
        file.write_bytes(bytes(data))
        try:
            assert archive.read(file) == cells, position  # a byte that says nothing
        except TabOrderError as error:
            said.append(str(error))
    legal = ("changed after it was written", "cannot be read", "is no archive")
    assert len(said) > 30
    assert all(any(part in sentence for part in legal) for sentence in said)
    (tmp_path / "no.archive").write_text("no archive")
    assert door.main(["import", f"file={tmp_path / 'no.archive'}"]) == 2
    assert door.main(["exprt"]) == 2
    assert "Did you mean 'export'" in capsys.readouterr().err


def test_two_places_are_compared(store, tmp_path, capsys):
    file = export(store, tmp_path / "a.archive")
    assert door.main(["diff", f"one={file}", f"other={store.root}"]) == 0
    path = sorted(store.runs.glob("*/*/*/record.json"))[0]
    path.unlink()
    assert door.main(["diff", f"one={file}", f"other={store.root}"]) == 1
    assert f"only in {file}: {path.parent.relative_to(store.runs)}" in capsys.readouterr().out


def test_filters_choose_cells(store, tmp_path):
    names = {one.record.cell.generator for one in archive.collect(store)}
    first = sorted(names)[0]
    file = export(store, tmp_path / "a.archive", f"without={first}")
    assert {one.record.cell.generator for one in archive.read(file)} == names - {first}
