"""Shell completion as README says: one `eval` line, then bash asks for what may follow."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SESSION = """
eval "$(taborder -sc install=bash)"
complete -p taborder
for COMP_LINE in "taborder generator=perm" "taborder generator=ctgan generator.ep" "taborder tracker.fig"; do
  COMP_POINT=${#COMP_LINE}; COMP_WORDS=($COMP_LINE); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
  hydra_bash_completion
  echo "$COMP_LINE -> ${COMPREPLY[*]}"
done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_groups_options_and_keys(tmp_path):
    script = tmp_path / "taborder"  # as pip writes it for the entry point of pyproject.toml
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom harness.__main__ import main\nsys.exit(main())\n")
    script.chmod(0o755)
    settings = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "--norc", "-c", SESSION], env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    complete, *lines = done.stdout.splitlines()
    assert complete.endswith("-F hydra_bash_completion taborder"), done.stderr
    assert [line.rstrip() for line in lines] == [
        "taborder generator=perm -> generator=permutation_aware_llm",
        "taborder generator=ctgan generator.ep -> generator.epochs=",
        "taborder tracker.fig -> tracker.figures=",
    ]
    assert list(tmp_path.iterdir()) == [script]  # asking leaves nothing behind
