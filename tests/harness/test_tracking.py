"""The W&B mirror: real offline runs read back from their files, and a real client against a server on the loopback."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.errors import TabOrderError
from harness.tracking import NoTracker, WandbTracker
from harness.tracking.describe import artifact_name, cell_run_id, describe_cell
from harness.tracking.tracker import logged_in
from tests.factories import FD, make_record, make_store, make_table
from tests.wandb_reader import offline_runs
from tests.wandb_server import serve

KEY = "0123456789abcdef" * 2 + "01234567"
CURVE = [{"step": 10, "epoch": 1, "loss": 2.5, "seconds": 0.5}, {"step": 20, "epoch": 2, "loss": 1.5, "seconds": 1.0}]


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def record():
    info = {"curve": CURVE, "column_order": ["state", "bird", "n", "x"]}
    return make_record(scores={FD: 0.25, f"{FD}.state→bird": 0.25}, sweep="night", generator_info=info)


@pytest.fixture
def store(tmp_path, record):
    return make_store(tmp_path / "store", [record])


def publish(tracker, *args):
    try:
        return tracker.publish(*args)
    finally:
        tracker.close()


def test_offline_run_holds_config_scores_cost_curve_table_and_artifacts(record, store):
    note = publish(WandbTracker(mode="offline"), record, store)
    assert note is None  # offline was asked for: nothing to say
    (run,) = offline_runs(store.root)
    cell = record.cell
    assert (run["id"], run["group"], run["job_type"], run["project"]) == (
        cell_run_id(cell),
        "night",
        "cell",
        "taborder",
    )
    assert set(run["tags"]) == {"toy", "ctgan", "ok"}
    assert run["exit_code"] == 0

    assert run["config"]["dataset"] == "toy"
    assert run["config"]["params"] == {"epochs": 10}
    assert run["config"]["column_order"] == ["state", "bird", "n", "x"]
    assert run["config"]["inputs"] == [f"dataset-toy:{cell.dataset_checksum}"]

    for score in record.scores:
        assert run["summary"][score.metric] == score.value
        assert run["summary"][f"real/{score.metric}"] == score.real
        assert run["summary"][f"floor/{score.metric}"] == score.floor
    assert run["summary"][f"{FD}.state→bird"] == 0.25
    assert run["summary"][f"normalised/{FD}"] == pytest.approx((0.25 - 0.9) / (0 - 0.9))
    assert run["summary"]["cost/fit_seconds"] == 10.0
    assert run["summary"]["cost/peak_memory_bytes"] == 2**30
    assert run["summary"]["yield/accepted"] == 100
    assert run["summary"]["yield/rejected/unparsable"] == 10

    curve = [point for point in run["history"] if "train/loss" in point]
    assert [(point["_step"], point["train/epoch"], point["train/loss"]) for point in curve] == [
        (10, 1, 2.5),
        (20, 2, 1.5),
    ]

    (media,) = store.root.glob("wandb/offline-run-*/files/media/table/sample_rows*.json")
    table = json.loads(media.read_text())
    expected = make_table(cell.seed)
    assert table["columns"] == list(expected.columns)
    assert table["data"] == [[str(value) for value in row] for row in expected.itertuples(index=False)]

    artifacts = {artifact["type"]: artifact for artifact in run["artifacts"].values()}
    staged = artifacts["record"]["files"]["record.json"]
    assert (store.root / "wandb") in Path(staged).parents  # not in anyone's home folder
    assert Path(staged).read_text(encoding="utf-8") == record.to_json()
    assert artifacts["synthetic"]["files"]["synthetic.parquet"] == str(
        (store.cell_dir(cell) / "synthetic.parquet").resolve()
    )
    assert artifacts["synthetic"]["metadata"]["inputs"] == [f"dataset-toy:{cell.dataset_checksum}"]


def test_failed_cell_is_a_failed_run_without_table(tmp_path):
    record = make_record(status="timeout")
    store = make_store(tmp_path / "store", [record])
    publish(WandbTracker(mode="offline"), record, store)
    (run,) = offline_runs(store.root)
    assert run["exit_code"] == 1
    assert run["summary"]["status"] == "timeout"
    assert run["summary"]["error"] == "timeout: it went wrong."
    assert [artifact["type"] for artifact in run["artifacts"].values()] == ["record"]


def test_equal_records_are_published_once_and_changed_ones_again_under_the_same_id(record, store):
    tracker = WandbTracker(mode="offline")
    assert tracker.publish_cell(record, store).how == "offline"
    assert tracker.publish_cell(record, store).how == "skipped"
    assert publish(WandbTracker(mode="offline"), record, store) is None  # another process of ours knows, too
    assert len(offline_runs(store.root)) == 1
    changed = replace(record, notes=("rescored",))
    store.write(changed)
    assert tracker.publish_cell(changed, store).how == "offline"
    tracker.close()
    runs = offline_runs(store.root)
    assert [run["id"] for run in runs] == [cell_run_id(record.cell)] * 2
    assert [run["summary"].get("notes") for run in runs] == [None, "rescored"]


def test_rows_stay_here_when_tables_are_off(record, store):
    publish(WandbTracker(mode="offline", tables=False), record, store)
    (run,) = offline_runs(store.root)
    assert [artifact["type"] for artifact in run["artifacts"].values()] == ["record"]
    assert not list(store.root.glob("wandb/**/*.table.json"))


def test_auto_is_offline_without_account_and_says_so_once(tmp_path):
    first, second = make_record(seed=0), make_record(seed=1)
    store = make_store(tmp_path / "store", [first, second])
    tracker = WandbTracker()
    note = tracker.publish(first, store)
    assert note == (
        f"W&B: not logged in, writing offline runs; python -m harness.sync store.root={store.root} tracker.mode=online publishes them"
    )
    assert publish(tracker, second, store) is None
    assert len(offline_runs(store.root)) == 2


def test_disabled_by_environment(record, store, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert publish(WandbTracker(), record, store) is None
    assert not (store.root / "wandb").exists()


@pytest.mark.parametrize("server", ["silent", "absent"])
def test_unreachable_server_costs_a_bounded_time_and_the_run_is_offline(server, tmp_path, monkeypatch):
    first, second = make_record(seed=0), make_record(seed=1)
    store = make_store(tmp_path / "store", [first, second])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if server == "silent":
            listener.listen(64)  # accepts connections and never answers
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        tracker = WandbTracker(timeout=10)
        started = time.monotonic()
        note = tracker.publish(first, store)
        assert time.monotonic() - started < 12  # the promise itself, with room for a busy machine
        assert "W&B did not take the run" in note
        assert f"python -m harness.sync store.root={store.root}" in note
        assert publish(tracker, second, store) is None  # not asked again
    assert [run["id"] for run in offline_runs(store.root)] == [cell_run_id(first.cell), cell_run_id(second.cell)]
    assert not [path for path in store.root.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_online_run_with_lineage(record, store, monkeypatch):
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        tracker = WandbTracker()
        published = tracker.publish_cell(record, store)
        assert (published.how, published.note) == ("online", None)
        run = cell_run_id(record.cell)
        assert published.where == f"{server.url}/me/taborder/runs/{run}"
        (summary,) = server.streams[run]["wandb-summary.json"][-1:]
        assert json.loads(summary)[FD] == 0.25
        assert (run, "dataset-toy") in server.used
        cell = record.cell
        for kind in ("record", "synthetic"):
            assert (run, artifact_name(kind, "toy", "ctgan", cell.seed, cell.key)) in server.logged
        assert {"record.json", "synthetic.parquet", "dataset.json"} <= set(server.uploads)
        # An equal record is known; a changed one goes into the same run.
        assert tracker.publish_cell(record, store).how == "skipped"
        changed = replace(record, notes=("rescored",))
        store.write(changed)
        assert tracker.publish_cell(changed, store).how == "online"
        tracker.close()
        assert list(server.runs) == [run]
    assert not [path for path in store.root.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_an_offline_run_does_not_count_as_published_online(record, store, monkeypatch):
    publish(WandbTracker(mode="offline"), record, store)
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        tracker = WandbTracker()
        assert tracker.publish_cell(record, store).how == "online"
        tracker.close()
    assert publish(WandbTracker(mode="offline"), record, store) is None
    assert len(offline_runs(store.root)) == 1  # and what is online need not be offline as well


def test_under_a_sweep_agent_the_agent_names_the_run_and_scores_have_plain_names(record, store, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "agentrun")
    publish(WandbTracker(mode="offline"), record, store)
    (run,) = offline_runs(store.root)
    assert run["id"] == "agentrun"
    assert run["summary"]["dependencies_fd_violation_rate"] == 0.25


def test_a_missing_table_is_a_note_not_an_error(record, store):
    (store.cell_dir(record.cell) / "synthetic.parquet").unlink()
    note = publish(WandbTracker(mode="offline"), record, store)
    assert "synthetic.parquet cannot be read" in note
    assert not list(store.root.glob("wandb/offline-run-*"))


def test_a_folder_that_cannot_be_written_is_a_note(record, store, tmp_path):
    (tmp_path / "file").write_text("")
    note = publish(WandbTracker(mode="offline", dir=str(tmp_path / "file")), record, store)
    assert note.startswith("W&B: ")


def test_nothing_is_left_running_when_the_program_ends(record, store, tmp_path):
    script = (
        "import sys; from pathlib import Path; from harness.store import ResultStore; from harness.tracking import WandbTracker\n"
        "store = ResultStore(sys.argv[1]); tracker = WandbTracker(mode='offline')\n"
        "print(tracker.publish(store.records()[0][0], store), tracker._client.pid)\n"
        "print('wandb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.root)], capture_output=True, text=True, check=True)
    said, imported = done.stdout.splitlines()
    assert said.startswith("None ")
    assert imported == "False"  # wandb lives in the other process only
    assert len(offline_runs(store.root)) == 1
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(said.split()[1])).wait(timeout=20)


def test_logged_in_looks_at_environment_and_netrc(monkeypatch, tmp_path):
    assert not logged_in()
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "http://elsewhere.example")
    assert not logged_in()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert logged_in()


def test_description_is_a_pure_function_of_the_record(record, store):
    one, two = (json.dumps(describe_cell(record, store, group=None, tables=True)) for _ in range(2))
    assert one == two
    assert describe_cell(record, store, group="mine", tables=True)["group"] == "mine"
    long = make_record(dataset="d" * 100, generator="g" * 100)
    described = describe_cell(long, store, group=None, tables=False)
    assert all(len(artifact["name"]) <= 128 for artifact in described["outputs"] + described["inputs"])
    assert all(len(tag) <= 64 for tag in described["tags"])


def test_illegal_options_are_named():
    with pytest.raises(TabOrderError, match="Did you mean 'offline'"):
        WandbTracker(mode="ofline")
    with pytest.raises(TabOrderError, match="timeout=0"):
        WandbTracker(timeout=0)


def test_no_tracker_does_nothing(record, store):
    before = sorted(store.root.rglob("*"))
    assert NoTracker().publish(record, store) is None
    assert sorted(store.root.rglob("*")) == before
