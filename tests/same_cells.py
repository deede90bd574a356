"""Cells, tables, records and pages before and after a change that must not change them.

``python tests/same_cells.py OUT`` runs a fixed set of cells with the code on ``PYTHONPATH`` and writes what must stay equal to
``OUT/facts.json``; ``python tests/same_cells.py OUT OTHER`` compares two such files. Kept while the house is rebuilt.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

PLAIN = "independent,copy,gaussian_copula"
BUDGETED = {
    "random_order_llm,permutation_aware_llm": ("generator.epochs=3",),
    "ctgan,tvae,copula_gan": ("generator.epochs=2",),
    "great": ("generator.epochs=2",),
    "realtabformer": ("generator.epochs=2",),
    "tabular_argn": ("generator.epochs=2",),
    "arf": (),
}
LAUNCHERS = {"basic": (), "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")}
VOLATILE = ("started", "environment", "cost", "log_tail", "command", "sweep")


def table(folder: Path) -> Path:
    lines = ["city,zip,kids,income"]
    for i in range(300):
        lines.append(f"{'ABCDE'[i % 5]},{100 + i % 5},{(i * 7) % 4},{20 + (i * 37) % 101}.{i % 10}")
    path = folder / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    own = table(out)
    for launcher, words in LAUNCHERS.items():
        for dataset in (
            ("dataset=regions,simulated_base5",),
            ("dataset=csv", f"dataset.train={own}", "dataset.target=kids"),
        ):
            for names, budget in {PLAIN: (), **BUDGETED}.items():
                command = [sys.executable, "-m", "harness", "-m", *dataset, "dataset.max_train_rows=200", "n_rows=60"]
                command += [
                    "evaluation=quick",
                    "tracker=none",
                    "limits.threads=1",
                    "seed=3",
                    f"store.root={out / launcher}",
                ]
                subprocess.run(
                    [*command, f"generator={names}", *budget, *words], cwd=out, capture_output=True, check=False
                )
    facts: dict[str, object] = {}
    for launcher in LAUNCHERS:
        root = out / launcher
        for path in sorted(root.glob("runs/*/*/*/record.json")):
            record = json.loads(path.read_text())
            for key in VOLATILE:
                record.pop(key, None)
            for score in record["scores"]:
                score.pop("seconds", None)
            record.get("generator_info", {}).pop("curve", None)
            text = re.sub(
                r"\"(seconds|rows_per_second|tokens_per_second|checksum_of_text|checksum)\": [^,}]+",
                "",
                json.dumps(record, sort_keys=True),
            )
            table_bytes = path.with_name("synthetic.parquet")
            digest = hashlib.sha256(table_bytes.read_bytes()).hexdigest() if table_bytes.exists() else None
            facts[f"{launcher}/{path.parent.relative_to(root)}"] = [record["status"], digest, text]
        subprocess.run(
            [sys.executable, "-m", "harness.leaderboard", f"store.root={root}", f"output={out / 'board'}"],
            cwd=out,
            capture_output=True,
            check=False,
        )
        page = (out / "board" / "index.html").read_text()
        facts[f"{launcher}/page headings"] = re.findall(r"<h[123][^>]*>(.*?)</h", page)
        board = json.loads((out / "board" / "leaderboard.json").read_text())
        for row in (*board["generators"], *board["by_dataset"]):
            row.pop("cost", None)
            row.pop("pareto", None)
        facts[f"{launcher}/board"] = {
            key: board[key] for key in ("generators", "by_dataset", "pairs", "families", "missing")
        }
    (out / "facts.json").write_text(json.dumps(facts, indent=1, sort_keys=True))


def compare(one: Path, other: Path) -> int:
    first, second = (json.loads((folder / "facts.json").read_text()) for folder in (one, other))
    different = [key for key in sorted(first.keys() | second.keys()) if first.get(key) != second.get(key)]
    print(f"{len(first)} facts before, {len(second)} after, {len(different)} differ")
    for key in different:
        print(f"  {key}")
    return bool(different)


if __name__ == "__main__":
    os.environ["PYTHONHASHSEED"] = "0"
    sys.exit(compare(*map(Path, sys.argv[1:])) if len(sys.argv) > 2 else run(Path(sys.argv[1])))
