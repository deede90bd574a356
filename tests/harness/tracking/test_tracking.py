"""The W&B mirror: real offline runs read back from their files, and a real client against a server on the loopback."""

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.errors import TabOrderError
from harness.execution.messages import Event
from harness.tracking import NoTracker, WandbTracker
from harness.tracking.artifacts import artifact_name
from harness.tracking.live import Watch
from harness.tracking.run_description import cell_run_id, describe_cell
from harness.tracking.wandb_tracker import logged_in
from tests.factories import FD, make_dataset, make_full_store, make_record, make_store, make_table
from tests.harness.tracking.logged_images import CELL_FIGURES, KEY, images_of
from tests.wandb_reader import offline_runs
from tests.wandb_server import serve

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
    assert [(point["train/step"], point["train/epoch"], point["train/loss"]) for point in curve] == [
        (10, 1, 2.5),
        (20, 2, 1.5),
    ]
    assert run["axes"]["train/*"] == "train/step"

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
    assert {name: one["type"] for name, one in run["inputs"].items()} == {"dataset-toy": "dataset"}

    (report,) = store.root.glob("wandb/offline-run-*/files/media/html/report*.html")
    assert "toy · ctgan" in report.read_text() or "ctgan" in report.read_text()
    assert "<script src=" not in report.read_text()


@pytest.fixture
def full(tmp_path):
    store = make_full_store(tmp_path / "full", [make_dataset()], {"row_llm": 0.8}, seeds=1)
    return store, store.records()[0][0]


def test_figures_of_a_cell_are_images_of_its_run(full):
    store, record = full
    assert publish(WandbTracker(mode="offline"), record, store) is None
    (run,) = offline_runs(store.root)
    found = images_of(store.root)
    assert set(found) == CELL_FIGURES
    for name, (path,) in found.items():
        shown = f"figures/{name}"
        assert run["summary"][f"{shown}/_type"] == "image-file"
        assert run["summary"][f"{shown}/sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.as_posix().endswith(run["summary"][f"{shown}/path"])
    assert sum(path.stat().st_size for (path,) in found.values()) < 500_000
    assert set(run["summary"]["shown"]) == {f"figures/{name}" for name in CELL_FIGURES} | {"report", "sample_rows"}
    # The same record gives the same pictures.
    again = WandbTracker(mode="offline", dir=str(store.root / "again"))
    assert publish(again, record, store) is None
    assert {name: path.read_bytes() for name, (path,) in images_of(store.root / "again").items()} == {
        name: path.read_bytes() for name, (path,) in found.items()
    }


def test_figures_of_rows_stay_here_when_tables_are_off_and_all_when_figures_are(full):
    store, record = full
    publish(WandbTracker(mode="offline", tables=False), record, store)
    assert set(images_of(store.root)) == {"violations", "column_order"}
    publish(WandbTracker(mode="offline", figures=False, dir=str(store.root / "none")), record, store)
    (run,) = offline_runs(store.root / "none")
    assert images_of(store.root / "none") == {}
    assert run["summary"]["report/_type"] == "html-file"


def test_what_cannot_be_drawn_is_a_note_and_the_rest_is_published(full):
    store, record = full
    table = store.synthetic(record.cell)
    table["x"] = "text"
    table.to_parquet(store.cell_dir(record.cell) / "synthetic.parquet")
    note = publish(WandbTracker(mode="offline"), record, store)
    assert note.startswith("W&B: figure 'columns' is not drawn (")
    assert {"violations", "column_order"} <= set(images_of(store.root))


def test_a_sweep_need_not_wait_for_figures_and_hears_later_what_went_wrong(tmp_path):
    store = make_full_store(tmp_path / "full", [make_dataset()], {"row_llm": 0.8}, seeds=2)
    first, second = sorted(store.records()[0], key=lambda record: record.cell.seed)
    table = store.synthetic(first.cell).assign(x="text")
    table.to_parquet(store.cell_dir(first.cell) / "synthetic.parquet")
    tracker = WandbTracker(mode="offline")
    assert tracker.publish(first, store, wait=False) is None  # not known yet
    note = tracker.publish(second, store, wait=False)
    assert note.startswith("W&B: figure 'columns' is not drawn (")
    assert note.endswith("(toy · row_llm · seed 0)")
    client = tracker._client
    tracker.close()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(client.pid).wait(timeout=60)
    assert [run["exit_code"] for run in offline_runs(store.root)] == [0, 0]
    assert {name: len(paths) for name, paths in images_of(store.root).items()}["violations"] == 2
    assert set(images_of(store.root)) == CELL_FIGURES


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
    assert not list(store.root.glob("wandb/**/*.html"))  # the report shows rows, real ones too


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
        # What the run shows already is not sent again: the report has changed, the sample rows and figures have not.
        media = Counter(re.sub(r"_\d+_\w+", "", name) for name in server.uploads if name.startswith("media/"))
        assert media == {
            "media/html/report.html": 2,
            "media/images/figures/violations.png": 1,
            "media/images/figures/column_order.png": 1,
            "media/table/sample_rows.table.json": 1,
        }
    assert not [path for path in store.root.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_training_is_watched_live_and_finished_from_the_record_in_the_same_run(record, store, monkeypatch):
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setattr(Watch, "EVERY", 0.0)
        tracker = WandbTracker()
        tell = tracker.watch(record.cell, "night", store)
        tell(Event("fit"))
        assert tracker._client is None  # nothing has trained yet: a mistake would leave no run
        for done in (1, 2, 3):
            tell(Event("fit", done=done, total=3, numbers={"loss": 3.0 / done, "eta_seconds": float("nan")}))
        run = cell_run_id(record.cell)
        wait_for(lambda: "live/loss" in json.dumps(server.streams.get(run, {})))  # before there is any result
        assert tracker.publish_cell(record, store).how == "online"
        tracker.close()
        history = [json.loads(line) for line in server.streams[run]["wandb-history.jsonl"]]
    assert list(server.runs) == [run]
    assert [point["live/loss"] for point in history if "live/loss" in point] == [3.0, 1.5, 1.0]
    assert [(point["train/step"], point["train/loss"]) for point in history if "train/loss" in point] == [
        (10, 2.5),
        (20, 1.5),
    ]
    assert not any("NaN" in line for line in server.streams[run]["wandb-history.jsonl"])
    assert (run, "dataset-toy") in server.used


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_offline_the_client_starts_while_the_cell_trains_and_no_run_is_open(record, store):
    tracker = WandbTracker(mode="offline")
    tell = tracker.watch(record.cell, None, store)
    tell(Event("build"))
    assert tracker._client is None
    tell(Event("fit"))
    client = tracker._client
    tell(Event("fit", done=1, total=2, numbers={"loss": 1.0}))
    assert publish(tracker, record, store) is None
    (run,) = offline_runs(store.root)
    assert client is not None
    assert not any("live/loss" in point for point in run["history"])
    assert NoTracker().watch(record.cell, None, store) is None


def test_watching_without_a_server_does_not_wait_and_publishing_knows(tmp_path, record, store, monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setattr(Watch, "EVERY", 0.0)
        tracker = WandbTracker(timeout=10)
        tell = tracker.watch(record.cell, "night", store)
        started = time.monotonic()
        for done in range(5000):  # more than a pipe holds
            tell(Event("fit", done=done, total=5000, numbers={"loss": 1.0}))
        assert time.monotonic() - started < 5
        note = publish(tracker, record, store)
    assert "W&B did not take the run" in note
    assert [run["id"] for run in offline_runs(store.root)] == [cell_run_id(record.cell)]


def test_a_stopped_client_never_blocks_the_cell(record, store, monkeypatch):
    monkeypatch.setattr(Watch, "EVERY", 0.0)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracker = WandbTracker(timeout=2)
    tell = tracker.watch(record.cell, "night", store)
    tell(Event("fit", done=0, total=5000, numbers={"loss": 1.0}))
    os.kill(tracker._client.pid, signal.SIGSTOP)
    try:
        for done in range(5000):
            tell(Event("fit", done=done, total=5000, numbers={"loss": 1.0}))
    finally:
        tracker._client.kill()


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
    monkeypatch.setenv("WANDB_RUN_ID", "second")  # an equal record is not news for us, but the agent asked for a run
    publish(WandbTracker(mode="offline"), record, store)
    assert [run["id"] for run in offline_runs(store.root)] == ["agentrun", "second"]
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
        "import sys; from pathlib import Path; from harness.records.store import ResultStore; from harness.tracking import WandbTracker\n"
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


SENTINELS = {
    name: f"sentinel-{name.lower()}-5f2c" for name in ("WANDB_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "MY_PASSWORD")
}


def test_secrets_of_the_environment_reach_no_file(record, store, monkeypatch, tmp_path):
    for name, value in SENTINELS.items():
        monkeypatch.setenv(name, value)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.wandb.ai login user password sentinel-netrc-5f2c\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    told = replace(record, command=f"python -m harness +generator.key={SENTINELS['OPENAI_API_KEY']}")  # not on disk
    publish(WandbTracker(mode="offline"), told, store)
    (run,) = offline_runs(store.root)
    assert run["config"]["command"] == "python -m harness +generator.key=[redacted]"
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"sentinel-" in path.read_bytes()]


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
    one, two = (json.dumps(describe_cell(record, store, group=None, tables=True).to_json()) for _ in range(2))
    assert one == two
    assert describe_cell(record, store, group="mine", tables=True).group == "mine"
    long = make_record(dataset="d" * 100, generator="g" * 100)
    described = describe_cell(long, store, group=None, tables=False)
    assert all(len(artifact.name) <= 128 for artifact in [*described.outputs, *described.inputs])
    assert all(len(tag) <= 64 for tag in described.tags)


def test_illegal_options_are_named():
    with pytest.raises(TabOrderError, match="Did you mean 'offline'"):
        WandbTracker(mode="ofline")
    with pytest.raises(TabOrderError, match=r"tracker.figures 'yes': the choices are false, leaderboard, true"):
        WandbTracker(figures="yes")
    with pytest.raises(TabOrderError, match="timeout=0"):
        WandbTracker(timeout=0)


def test_no_tracker_does_nothing(record, store):
    before = sorted(store.root.rglob("*"))
    assert NoTracker().publish(record, store) is None
    assert sorted(store.root.rglob("*")) == before
