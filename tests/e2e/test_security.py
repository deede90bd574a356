"""Secrets reach no file, hostile text stays text, and the command of a record means the same to a shell."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.records.redaction import MASK
from tests.e2e.command_line import harness

SECRETS = {
    "WANDB_API_KEY": "5entinel0wandb0key0000000000000000000000",
    "OPENAI_API_KEY": "sk-sentinel-openai",
    "HF_TOKEN": "hf_sentinel_token",
    "MY_ENDPOINT_AUTH": "sentinel-endpoint-auth",
    "DB_PASSWORD": "sentinel pass'word\"<&",
    "WHATEVER": "sentinel-pointed-to",
}
TYPED = "sentinel-typed-on-the-command-line"
IN_URL = "sentinel-in-an-address"

PLUGIN = """
import os, subprocess, sys
NAMES = {names!r}
class Leaky:
    def __init__(self, api_key=None, key_env=None, base_url=None, fail=False):
        self.api_key, self.base_url, self.fail = api_key, base_url, fail
    def fit(self, train, schema, *, seed):
        self.train = train
        said = " ".join([*(os.environ[name] for name in NAMES), self.api_key, self.base_url])
        for name in NAMES:
            print("printed", os.environ[name])
        sys.stdout.write("no line break " + said); sys.stdout.flush()
        subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"])
        if self.fail:
            raise ValueError("cannot reach " + said)
    def sample(self, n, *, seed):
        return self.train.head(n)
    def describe(self):
        return {{"notes": ["used " + os.environ[name] for name in NAMES], "api_key": self.api_key, "url": self.base_url}}
"""


def test_secrets_reach_no_file_of_a_sweep(tmp_path):
    (tmp_path / "my_leaky.py").write_text(PLUGIN.format(names=list(SECRETS)))
    words = (
        "-m", "dataset=simulated_base1", "dataset.max_train_rows=200", "evaluation=quick", "tracker=wandb", "tracker.mode=offline",
        "tracker.timeout=60", "generator=plugin", "generator._target_=my_leaky.Leaky", "+generator.fail=false,true",
        f"+generator.api_key={TYPED}", "+generator.key_env=WHATEVER", f"+generator.base_url=https://me:{IN_URL}@localhost/v1",
    )  # fmt: skip
    done = harness(*words, cwd=tmp_path, **SECRETS)
    assert "2 cells: 1 ok, 1 failed (2 computed)." in done.stdout, done.stderr
    secrets = [*SECRETS.values(), TYPED, IN_URL]
    written = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.name != "my_leaky.py" and path.suffix != ".pyc"
    ]
    kinds = {path.name for path in written}
    assert {"record.json", "log.txt", "index.html", "multirun.yaml", "leaderboard.json"} <= kinds
    assert any(path.suffix == ".wandb" for path in written)
    leaks = [(str(path.relative_to(tmp_path)), secret) for path in written for secret in secrets if found(path, secret)]
    assert leaks == []
    # What was typed on the command line the terminal shows anyway.
    assert not [secret for secret in SECRETS.values() if secret in done.stdout + done.stderr]
    records = [json.loads(path.read_text()) for path in written if path.name == "record.json"]
    failed = next(record for record in records if record["status"] == "failed")
    assert MASK in failed["error"]
    assert f"printed {MASK}" in failed["log_tail"]
    assert failed["cell"]["params"]["api_key"] == MASK
    assert f"+generator.api_key={MASK}" in failed["command"]


def forms(secret: str) -> set[bytes]:
    """The secret as it would stand in text, in JSON and in HTML."""
    import html

    return {secret.encode(), json.dumps(secret)[1:-1].encode(), html.escape(secret).encode()}


def found(path: Path, secret: str) -> set[bytes]:
    data = path.read_bytes()
    return {form for form in forms(secret) if form in data}


HOSTILE_FILE = "a b'; $(touch pwned) `touch pwned` \"&|<>.csv"


def test_the_command_of_a_record_means_the_same_to_a_shell(tmp_path):
    rows = "\n".join(f"{i},{'xy'[i % 2]}" for i in range(40))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / HOSTILE_FILE).write_text(f"a,b\n{rows}\n")
    quoted = HOSTILE_FILE.replace("\\", "\\\\").replace("'", "\\'")
    words = (
        "tracker=none",
        "evaluation=quick",
        "dataset=csv",
        f"dataset.train='t/{quoted}'",
        "dataset.name=hostile",
        "generator=copy",
    )
    first = harness(*words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (path,) = tmp_path.rglob("record.json")
    command = json.loads(path.read_text())["command"]
    shown = subprocess.run(
        ["sh", "-c", f"python() {{ {sys.executable} -c 'import json, sys; print(json.dumps(sys.argv[3:]))' x y \"$@\"; }}; {command}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout.splitlines()[-1])[-len(words) :] == list(words)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("text", ["=HYPERLINK(0)", "+1", "@SUM(A1)", "-2+3", "\tx", "\rx"])
def test_a_spreadsheet_takes_no_text_for_a_formula(text):
    from harness.report.tables import safe_cell

    (row,) = csv.reader([f'"{safe_cell(text)}"'])
    assert row[0].startswith("'")
    assert safe_cell(-2.5) == -2.5
