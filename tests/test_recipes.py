"""The recipes of CONTRIBUTING.md, executed word by word in a copy of the packages."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

PACKAGES = ("harness", "baselines", "methods", "conf")
STEP = re.compile(
    r"`(?P<file>[\w/]+\.(?:py|yaml|csv))`[^`]*:\n\n(?P<indent> *)```(?:python|yaml|text)\n(?P<text>.*?)\n *```", re.S
)


@pytest.fixture
def clone(tmp_path):
    """The packages as a contributor has them."""
    folder = tmp_path / "clone"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def recipe(title: str) -> str:
    whole = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", whole, re.S | re.M)[1]


def follow(title: str, clone: Path) -> str:
    """Write the files that a recipe names (a line to add goes to the end of the file) and run its commands; what they print."""
    text = recipe(title)
    for step in STEP.finditer(text):
        path = clone / step["file"]
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [line.removeprefix(step["indent"]) for line in step["text"].splitlines()]
        path.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    said = ""
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for line in block.splitlines():
            words = shlex.split(line)
            if words:
                assert words[:3] == ["python", "-m", "harness"], line
                done = subprocess.run(
                    [sys.executable, *words[1:]],
                    cwd=clone,
                    env={**os.environ, "PYTHONPATH": str(clone), "TABORDER_CACHE": str(clone / "cache")},
                    capture_output=True,
                    text=True,
                    timeout=300,
                )
                assert done.returncode == 0, done.stdout + done.stderr
                said += done.stdout + done.stderr
    return said


def record(clone: Path, dataset: str, generator: str) -> dict:
    (path,) = (clone / "results" / "runs" / dataset / generator).glob("*/record.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_generator(clone):
    follow("Add a generator", clone)
    made = record(clone, "simulated_base1", "shuffled")
    assert (made["status"], made["cell"]["target"]) == ("ok", "baselines.shuffled.Shuffled")


def test_a_dataset_and_then_a_metric(clone):
    follow("Add a dataset", clone)
    made = record(clone, "birds", "copy")
    scores = {score["metric"]: score["value"] for score in made["scores"]}
    assert made["status"] == "ok"
    assert scores["dependencies.fd_violation_rate"] == scores["rules.violation_rate"] == 0.0
    assert "coverage.size" not in scores
    assert "scored" in follow("Add a metric", clone)  # and not computed: the table is the stored one
    scores = {score["metric"]: score for score in record(clone, "birds", "copy")["scores"]}
    assert (scores["coverage.size"]["value"], scores["coverage.size"]["goal"]) == (1.0, "max")
