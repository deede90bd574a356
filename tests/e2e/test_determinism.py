"""Equal configuration, equal synthetic bytes and scores: across processes, hash seeds and launchers."""

import json
from pathlib import Path

import pytest

from tests.contract.config_names import GENERATORS
from tests.e2e.command_line import harness

BUDGET = {
    **dict.fromkeys(("ctgan", "tvae", "copula_gan", "tabddpm", "tabsyn", "tabdiff"), 1),
    "permutation_aware_llm": 30,
    "random_order_llm": 30,
}
PLAIN = [name for name in GENERATORS if name not in BUDGET]
LAUNCHERS = {"one": (), "two": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")}


def sweep(tmp_path: Path, root: str, hash_seed: str, *words: str) -> None:
    given = (
        "dataset=regions",
        "dataset.max_train_rows=120",
        "n_rows=40",
        "evaluation=quick",
        "tracker=none",
        "limits.threads=1",
    )
    done = harness("-m", *given, f"store.root={root}", *LAUNCHERS[root], *words, cwd=tmp_path, PYTHONHASHSEED=hash_seed)
    assert done.returncode == 0, done.stdout + done.stderr


def numbers(path: Path) -> list[tuple]:
    record = json.loads(path.read_text())
    assert record["status"] in ("ok", "short_yield")
    scores = [(s["metric"], s["value"], s["real"], s["floor"], s["error"]) for s in record["scores"]]
    return [*scores, record["yield"], record["generator_info"].get("column_order")]


@pytest.mark.slow
def test_processes_hash_seeds_and_launchers_change_neither_a_byte_nor_a_score(tmp_path):
    for root, hash_seed in (("one", "1"), ("two", "2")):
        sweep(tmp_path, root, hash_seed, f"generator={','.join(PLAIN)}")
        for epochs in sorted(set(BUDGET.values())):
            chosen = [name for name in GENERATORS if BUDGET.get(name) == epochs]
            sweep(tmp_path, root, hash_seed, f"generator={','.join(chosen)}", f"generator.epochs={epochs}")
    records = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").glob("runs/*/*/*/record.json"))
    assert len(records) == len(GENERATORS)
    for path in records:
        one, two = (tmp_path / root / path for root in LAUNCHERS)
        assert numbers(one) == numbers(two), path
        tables = [(place.parent / "synthetic.parquet").read_bytes() for place in (one, two)]
        assert tables[0] == tables[1], path
