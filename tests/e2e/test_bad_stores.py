"""Damaged, linked, full and read-only stores: nothing outside is touched, the culprit is named, the rest still counts."""

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.datasets import stored
from harness.errors import TabOrderError
from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.records.record import Record
from harness.records.store import ResultStore
from harness.report.leaderboard_files import write
from tests.contract.tiny_cell import MODULE, SHAPES, dataset
from tests.e2e.command_line import QUICK, harness


def job(root: Path, seed: int = 0, name: str = "good", **changes) -> Job:
    given = {"evaluation": Evaluation((SHAPES,)), "n_rows": 20, **changes}
    return Job(dataset(), name, {"_target_": f"{MODULE}.Good"}, seed, store=ResultStore(root), **given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A store of two finished cells."""
    root = tmp_path_factory.mktemp("finished")
    for seed in (0, 1):
        assert run_cell(job(root, seed)).record.status == "ok"
    return root


@pytest.fixture
def store(finished, tmp_path) -> ResultStore:
    shutil.copytree(finished, tmp_path / "store")
    return ResultStore(tmp_path / "store")


def first(store: ResultStore) -> Path:
    return sorted(store.runs.glob("*/*/*"))[0]


def aggregated(store: ResultStore) -> tuple[list[str], str]:
    """The cells that count and all that is said, of the public command in this process."""
    output = store.root.parent / "out"
    said = write(store, output)
    data = json.loads((output / "leaderboard.json").read_text())
    assert "index.html" in {path.name for path in output.iterdir()}
    return [f"{row['label']}:{row['n_seeds']}" for row in data["generators"]], " ".join(said.split()) + str(
        data["problems"]
    )


def edit(change):
    def damage(folder: Path, _: Path) -> None:
        data = json.loads((folder / "record.json").read_text())
        data.pop("checksum")
        change(data)
        (folder / "record.json").write_text(json.dumps(data))

    return damage


def one_digit(folder: Path, _: Path) -> None:
    path = folder / "record.json"
    text = path.read_text()
    value = json.loads(text)["scores"][0]["value"]
    path.write_text(text.replace(str(value), str(round(1 - value, 3)), 1))


def linked_record(folder: Path, outside: Path) -> None:
    (folder / "record.json").rename(outside / "record.json")
    (folder / "record.json").symlink_to(outside / "record.json")


def linked_cell(folder: Path, outside: Path) -> None:
    folder.rename(outside / "cell")
    folder.symlink_to(outside / "cell")


def circle(folder: Path, _: Path) -> None:
    (folder / "record.json").unlink()
    (folder / "record.json").symlink_to(folder / "record.json")
    (folder.parent / "9-circle").symlink_to(folder.parent / "9-circle")


DAMAGES = {
    "truncated": (lambda f, _: (f / "record.json").write_bytes((f / "record.json").read_bytes()[:300]), "is not valid JSON"),
    "empty": (lambda f, _: (f / "record.json").write_bytes(b""), "is not valid JSON"),
    "zeros": (lambda f, _: (f / "record.json").write_bytes(bytes(4096)), "is not valid JSON"),
    "binary": (lambda f, _: (f / "record.json").write_bytes(b"\x89PNG\xff\xfe"), "is not valid JSON"),
    "nested": (lambda f, _: (f / "record.json").write_text("[" * 100_000), "is not valid JSON"),
    "surrogate": (lambda f, _: (f / "record.json").write_text('{"schema_version": 1, "error": "\\ud800"}'), "is not valid JSON"),
    "one_digit": (one_digit, "was changed after it was written"),
    "version": (edit(lambda d: d.update(schema_version=99)), "schema version 99"),
    "no_scores": (edit(lambda d: d.pop("scores")), "is not a complete record"),
    "text_for_number": (edit(lambda d: d["scores"][0].update(value="good")), "value is 'good'"),
    "endless_number": (edit(lambda d: d["scores"][0].update(value=1e308 * 10)), "Infinity"),
    "wrong_status": (edit(lambda d: d.update(status="great")), "unknown status 'great'"),
    "escaping_name": (edit(lambda d: d["cell"].update(dataset="../../x")), "tells of another cell"),
    "absolute_name": (edit(lambda d: d["cell"].update(generator="/etc")), "tells of another cell"),
    "other_cell": (edit(lambda d: d["cell"].update(seed=7)), "tells of another cell"),
    "linked_record": (linked_record, "leads out of the store"),
    "linked_cell": (linked_cell, "leads out of the store"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_named_the_rest_counts_and_its_cell_is_made_again(store, tmp_path, damage):
    harm, words = DAMAGES[damage]
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = first(store)
    harm(folder, outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    cells, said = aggregated(store)
    assert cells == ["good:1"]
    assert words in said
    assert f"{folder.name}/record.json" in said
    if damage.startswith("linked"):
        with pytest.raises(TabOrderError, match="leads out of the store: remove the symbolic link"):
            run_cell(job(store.root))
    else:
        result = run_cell(job(store.root))
        assert (result.how, result.record.status) == ("computed", "ok")
        assert aggregated(store)[0] == ["good:2"]
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def test_links_in_a_circle_harm_nobody(store):
    circle(first(store), store.root)
    cells, said = aggregated(store)
    assert cells == ["good:1"]
    assert "is a symbolic link that leads to no file" in said
    assert "9-circle" in said


def test_a_missing_table_is_named_its_scores_are_kept_and_the_next_run_makes_it(store):
    (first(store) / "synthetic.parquet").unlink()
    cells, said = aggregated(store)
    assert cells == ["good:2"]
    assert "synthetic.parquet" in said
    assert "is missing" in said
    assert run_cell(job(store.root)).how == "computed"
    assert (first(store) / "synthetic.parquet").exists()


LINKS = [
    "runs",
    "datasets",
    "anchors",
    "wandb",
    "sweeps",
    "log.txt",
    "work",
    "synthetic.parquet",
    "generation.json",
    ".lock",
]


@pytest.mark.parametrize("name", LINKS)
def test_a_link_out_of_the_store_is_never_written_through(store, tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    folder = store.root if name in ("runs", "datasets", "anchors", "wandb", "sweeps") else first(store)
    place, is_folder = folder / name, folder == store.root or name == "work"
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(outside if is_folder else outside / "file")
    with pytest.raises(TabOrderError, match="leads out of the store: remove the symbolic link"):
        run_cell(job(store.root, cache="overwrite"))
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "untouched"
    with contextlib.suppress(TabOrderError):  # with runs/ linked away there is nothing to count
        aggregated(store)
    assert [path.name for path in outside.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["train.parquet", "test.parquet", "dataset.json"])
@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "linked"])
def test_a_damaged_dataset_is_written_again(store, tmp_path, name, how):
    (folder,) = (store.root / "datasets").iterdir()
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if how == "linked":
        (tmp_path / "elsewhere").write_bytes(b"outside")
        (folder / name).symlink_to(tmp_path / "elsewhere")
    elif how != "missing":
        (folder / name).write_bytes(whole[: len(whole) // 2 if how == "truncated" else 0])
    cells, _ = aggregated(store)  # the report says what is lacking
    assert cells == ["good:2"]
    made = dataset()
    assert stored.save(made, store.dataset_dir(made.name, made.checksum)) == folder
    assert (folder / name).read_bytes() == whole
    assert not (folder / name).is_symlink()
    assert how != "linked" or (tmp_path / "elsewhere").read_bytes() == b"outside"
    assert len(stored.load(folder).train) == 40


@pytest.mark.parametrize("name", ["generation.json", "synthetic.parquet", "record.json"])
@pytest.mark.parametrize("left", [0, 0.5])
def test_what_a_power_cut_leaves_is_made_good(store, name, left):
    folder = first(store)
    before = Record.from_json((folder / "record.json").read_text())
    path = folder / name
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    (folder / ".record.json.abc.tmp").write_bytes(b"half of it")
    result = run_cell(job(store.root))
    assert result.how == "computed"
    assert [(s.metric, s.value) for s in result.record.scores] == [(s.metric, s.value) for s in before.scores]
    assert not list(folder.glob("*.tmp"))


def test_files_are_on_disk_before_they_are_renamed_and_folders_after(tmp_path, monkeypatch):
    from harness.records.files import write_atomic

    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append((name, _kind(a[0]))), real(*a))[1])
    write_atomic(tmp_path / "new" / "file", b"data")
    assert calls == [("fsync", "folder"), ("fsync", "file"), ("replace", None), ("fsync", "folder")]


def _kind(given) -> str | None:
    return None if not isinstance(given, int) else "folder" if os.path.isdir(f"/proc/self/fd/{given}") else "file"


@contextlib.contextmanager
def mounted(place: Path, *options: str):
    """A tmpfs; skipped where this process may not mount."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


needs_mount = pytest.mark.skipif(shutil.which("mount") is None or os.name != "posix", reason="no mount command")


@needs_mount
def test_a_full_disk_is_named_and_loses_nothing(tmp_path):
    root = tmp_path / "small"
    with mounted(root, "-o", "size=1m"):
        assert run_cell(job(root)).record.status == "ok"
        before = (first(ResultStore(root)) / "record.json").read_bytes()
        with (root / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        with pytest.raises(TabOrderError, match=r"cannot use the store .*No space left"):
            run_cell(job(root, seed=1))
        assert (first(ResultStore(root)) / "record.json").read_bytes() == before
        (root / "ballast").unlink()
        assert run_cell(job(root, seed=1)).record.status == "ok"
        assert run_cell(job(root)).how == "reused"
        assert not list(root.rglob("*.tmp"))


@needs_mount
def test_a_sweep_on_a_full_disk_says_so_without_a_traceback(tmp_path):
    root = tmp_path / "small"
    with mounted(root, "-o", "size=64k"):
        with (root / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        done = harness("-m", *QUICK, "generator=copy", "seed=0,1", f"store.root={root}/results", cwd=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr


@needs_mount
def test_a_read_only_store_is_reused_and_aggregated_and_refuses_new_cells(finished, tmp_path):
    root = tmp_path / "readonly"
    with mounted(root):
        shutil.copytree(finished, root, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        assert run_cell(job(root)).how == "reused"
        assert aggregated(ResultStore(root))[0] == ["good:2"]
        with pytest.raises(TabOrderError, match=r"cannot use the store .*Read-only file system"):
            run_cell(job(root, seed=5))
        done = harness(f"store.root={root}", cwd=tmp_path, module="harness.leaderboard")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "cannot write the leaderboard" in done.stderr


NAMES = ["../../x", "/etc/x", "", ".", "..", "a/b", "a" * 300, "käfer", "a\0b", "a b", "-rf", "a\nb", "~root"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_anywhere(tmp_path, name):
    for changed in (job(tmp_path / "store", name=name), job(tmp_path / "store")):
        if changed.generator == "good":
            changed = replace(changed, dataset=replace(dataset(), name=name))
        with pytest.raises(TabOrderError, match="cannot be a folder name"):
            run_cell(changed)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_such_names_too(tmp_path):
    for word in ("generator_name=../../x", "generator_name=/tmp/x", "generator_name=a\\ b"):
        done = harness(*QUICK, "generator=copy", word, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "cannot be a folder name" in done.stderr
    assert not (tmp_path / "results").exists()
