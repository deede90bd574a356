import json
import os
import subprocess
import sys

import pytest

from harness import sync
from harness.records.store import ResultStore
from tests.factories import FD, grid, make_dataset, make_full_store, make_record, make_store
from tests.harness.tracking.logged_images import CELL_FIGURES, KEY, images_of
from tests.wandb_reader import offline_runs
from tests.wandb_server import serve


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def store(tmp_path):
    records = grid({"toy": {"ctgan": [0.2, 0.3], "tvae": [0.6, 0.7]}}, sweep="night")
    return make_store(tmp_path / "store", [*records, make_record(seed=9, status="crashed", sweep="night")])


def test_replay_offline_is_idempotent_and_includes_the_leaderboard(store, capsys):
    words = [f"store.root={store.root}", "tracker.mode=offline", "tracker.project=paper"]
    assert sync.main(words) == 0
    assert "6 pushed (6 offline), 0 skipped (already there), 0 failed" in capsys.readouterr().out
    runs = offline_runs(store.root)
    assert sorted(run["job_type"] for run in runs) == ["cell"] * 5 + ["leaderboard"]
    assert {run["project"] for run in runs} == {"paper"}
    assert {run["group"] for run in runs} == {"night"}
    (board,) = [run for run in runs if run["job_type"] == "leaderboard"]
    tables = [run["artifacts"] for run in runs if run["job_type"] == "cell"]
    synthetic = {name for artifacts in tables for name, one in artifacts.items() if one["type"] == "synthetic"}
    assert len(synthetic) == 4
    # Lineage: the leaderboard uses the very synthetic tables that the cells made, and each cell used its dataset.
    made = {
        name: one["digest"] for artifacts in tables for name, one in artifacts.items() if one["type"] == "synthetic"
    }
    assert {name: one["digest"] for name, one in board["inputs"].items()} == made
    assert all(list(run["inputs"]) == ["dataset-toy"] for run in runs if run["job_type"] == "cell")
    assert {name.rpartition(":")[0] for name in board["config"]["inputs"]} == synthetic
    tables_written = {f"leaderboard{part}.csv" for part in ("", "_by_dataset", "_pairs")}
    written = {*tables_written, "leaderboard.json", "index.html"}
    assert set(board["artifacts"]["leaderboard"]["files"]) == written
    assert board["summary"]["cells"] == 5
    assert board["summary"]["scored"] == 4
    assert board["summary"]["leaderboard/nrows"] > 0
    pictures = images_of(store.root)
    assert {name: len(paths) for name, paths in pictures.items()} == {
        "overall": 1,
        "families": 1,
        "quality_cost": 1,
    }
    for name in ("overall", "families", "quality_cost"):
        assert board["summary"][f"figures/{name}/_type"] == "image-file"

    assert sync.main(words) == 0
    assert "0 pushed, 6 skipped (already there), 0 failed" in capsys.readouterr().out
    assert len(offline_runs(store.root)) == 6


def test_figures_can_be_the_leaderboards_alone(tmp_path, capsys):
    store = make_full_store(tmp_path / "full", [make_dataset()], {"row_llm": 0.8}, seeds=1)
    words = [f"store.root={store.root}", "tracker.mode=offline"]
    assert sync.main([*words, "tracker.figures=leaderboard"]) == 0
    assert "overall" in images_of(store.root)
    assert not CELL_FIGURES & set(images_of(store.root))
    assert sync.main(words) == 0  # now with the cells' too
    assert set(images_of(store.root)) >= CELL_FIGURES


def test_a_new_record_is_all_that_is_pushed(store, capsys):
    words = [f"store.root={store.root}", "tracker.mode=offline"]
    sync.main(words)
    make_store(store.root, [make_record("toy", "copy", 0, level=0.9, sweep="night")])
    capsys.readouterr()
    assert sync.main(words) == 0
    assert "2 pushed (2 offline), 5 skipped" in capsys.readouterr().out  # the record, and the leaderboard it changes


def test_replay_online_links_dataset_synthetic_leaderboard(store, monkeypatch, capsys):
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        words = [f"store.root={store.root}", "tracker.mode=online"]
        assert sync.main(words) == 0
        assert "6 pushed (6 online), 0 skipped" in capsys.readouterr().out
        cells = {run for run, name in server.used if name == "dataset-toy"}
        board = {run for run, name in server.used if name.startswith("synthetic-toy-")}
        assert len(cells) == 5
        assert len(board) == 1
        made = {name for run, name in server.logged if run in cells and name.startswith("synthetic-")}
        assert {name for run, name in server.used if run in board} == made
        assert (*board, "leaderboard") in server.logged
        assert sync.main(words) == 0
        assert "0 pushed, 6 skipped" in capsys.readouterr().out


def test_wandb_sync_of_the_offline_runs_makes_the_same_runs_and_links(store, monkeypatch):
    assert sync.main([f"store.root={store.root}", "tracker.mode=offline"]) == 0
    folders = sorted(map(str, store.root.glob("wandb/offline-run-*")))
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        command = [sys.executable, "-m", "wandb", "sync", "--yes", *folders]
        subprocess.run(command, capture_output=True, check=True, cwd=store.root)
    assert set(server.runs) == {run["id"] for run in offline_runs(store.root)}
    board = {run for run, name in server.used if name.startswith("synthetic-toy-")}
    cells = set(server.runs) - board
    assert len(board) == 1
    assert {run for run, name in server.used if name == "dataset-toy"} == cells
    made = {name for run, name in server.logged if run in cells and name and name.startswith("synthetic-")}
    assert {name for run, name in server.used if run in board} == made


def test_online_without_account_pushes_offline_and_fails(store, capsys):
    assert sync.main([f"store.root={store.root}", "tracker.mode=online", "tracker.timeout=20"]) == 1
    captured = capsys.readouterr()
    assert "W&B did not take the run" in captured.err
    assert "6 pushed (6 offline)" in captured.out


def test_damaged_records_are_named_and_the_rest_is_pushed(store, capsys):
    path = next(store.runs.glob("*/*/*/record.json"))
    path.write_text("{")
    assert sync.main([f"store.root={store.root}", "tracker.mode=offline"]) == 0
    captured = capsys.readouterr()
    assert str(path) in captured.err
    assert "5 pushed" in captured.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give store.root=DIR: it is required"),
        (["store.rot=x"], "Did you mean 'store.root'"),
        (["store.root"], "'store.root' has no value: write store.root=DIR"),
        (["store.root=/nowhere/at/all"], "is not a folder"),
        (["store.root={}", "tracker.mode=offlin"], "Did you mean 'offline'"),
        (["store.root={}", "tracker.timeout=soon"], "not a number of seconds"),
        (["store.root={}", "tracker.tables=maybe"], "the choices are false, true"),
        (["store.root={}"], "there is no record under"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, tmp_path, capsys):
    assert sync.main([word.format(tmp_path) for word in words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1


def test_the_command_runs_as_a_module(store):
    command = [sys.executable, "-m", "harness.sync", f"store.root={store.root}", "tracker.mode=offline"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "6 pushed (6 offline), 0 skipped (already there), 0 failed"
    assert FD in offline_runs(store.root)[0]["summary"]


def test_the_documented_sweep_makes_command_lines_that_compose(monkeypatch):
    """As `wandb agent` builds them: one word a parameter, in place of ``${args_no_hyphens}``."""
    from itertools import product

    import yaml
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    from harness.cli.mistakes import CONF, checked

    sweep = yaml.safe_load((CONF.parent / "docs" / "wandb_sweep.yaml").read_text())
    assert create_sweep_command(sweep["command"])[-4:] == ["python", "-m", "harness", "${args_no_hyphens}"]
    values = {key: one.get("values", [one.get("value")]) for key, one in sweep["parameters"].items()}
    lines = []
    for chosen in product(*values.values()):
        arguments = {"args": {key: {"value": value} for key, value in zip(values, chosen, strict=True)}}
        lines.append(checked(create_sweep_command_args(arguments)["args_no_hyphens"]))
    assert len({tuple(line) for line in lines}) == 18
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        first, last = (compose("config", overrides=line) for line in (lines[0], lines[-1]))
    found = [(one.dataset.name, one.generator.order, one.generator.epochs, one.seed) for one in (first, last)]
    assert found == [("us_location", "random", 8, 0), ("us_location", "fd", 32, 2)]
    assert sweep["metric"]["name"] == FD.replace(".", "_")


def test_a_real_agent_runs_a_cell_of_the_documented_sweep(tmp_path, monkeypatch):
    """`wandb sweep FILE`, then `wandb agent ID`, as the file says, against a server on the loopback; only the table is a small one."""
    import yaml

    from harness.cli.mistakes import CONF

    sweep = yaml.safe_load((CONF.parent / "docs" / "wandb_sweep.yaml").read_text())
    small = {"dataset": "simulated_base1", "dataset.max_train_rows": 200, "generator.epochs": 1}
    sweep["parameters"] |= {key: {"value": value} for key, value in small.items()}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(CONF.parent))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        for words in (["sweep", "sweep.yaml"], ["agent", "me/taborder/sweep1"]):
            command = [sys.executable, "-m", "wandb", *words]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
    assert yaml.safe_load(server.sweep)["command"] == sweep["command"]
    assert [command["run_id"] for command in server.ordered] == ["agentrun"]
    (record,) = ResultStore(tmp_path / "results").records()[0]
    assert (record.status, record.cell.generator, record.cell.seed) == ("ok", "random_order_llm", 0)
    summary = json.loads(server.streams["agentrun"]["wandb-summary.json"][-1])
    assert summary["dependencies_fd_violation_rate"] == record.score(FD).value
    assert server.runs["agentrun"][0]["sweep"] == "sweep1"
    assert any(name.startswith("media/images/figures/column") for name in server.uploads)
