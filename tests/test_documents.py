"""What the documents promise exists: paths, modules, names, make targets, commands."""

import importlib
import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from harness.cli.composition import composed
from harness.commands import Command
from harness.version import VERSION

ROOT = Path(__file__).resolve().parents[1]


@cache
def tracked() -> frozenset[str]:
    """Files of the repository and the folders they lie in."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return frozenset(files) | {str(parent) for file in files for parent in Path(file).parents}


DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(
            path
            for folder in ("docs", "results")
            for path in (ROOT / folder).rglob("*.md")
            if "_build" not in path.parts
        ),
    ]
)
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
PLACE = re.compile(r"(?<![\w/.=-])((?:conf|harness|baselines|methods|tests|docs|results|\.ci)/[\w./*-]*\w/?)")
MADE = ("results/", "docs/_build", "docs/api")
"""Written by commands: only what is under version control can be asked for."""

KEPT = ("results/README.md", "results/reference", "results/benchmarks")
ADDED = ("baselines/shuffled.py", "conf/generator/shuffled.yaml", "conf/dataset/birds.yaml", "harness/metrics/size.py")
"""What CONTRIBUTING's recipes have one write."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_paths_exist(name):
    for place in PLACE.findall(text_of(name)):
        if place in ADDED or (place.startswith(MADE) and not place.startswith(KEPT)):
            continue
        if "gpu.json" in place and "was not kept" in text_of(name):
            continue
        found = list(ROOT.glob(place.rstrip("/"))) or [ROOT / place]
        assert any(path.exists() for path in found), place


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text_of(name)):
        assert ((ROOT / name).parent / target).resolve().exists(), target


def exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            fields = getattr(found, "__dataclass_fields__", {})
            if not hasattr(found, part) and part not in fields:
                return False
            found = getattr(found, part, None)
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_dotted_names_exist(name):
    text = text_of(name)
    named = set(re.findall(r"(?<![\w/.-])((?:harness|methods|baselines|tests)(?:\.\w+)+)", text))
    ours = {word for word in named if not word.endswith((".py", ".md"))} - {
        "baselines.shuffled.Shuffled",
        "harness.metrics.size.Size",
    }
    assert not [word for word in sorted(ours) if not exists(word)]


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_exist(name):
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.M))
    for words in re.findall(
        r"(?:`|^|\s)make ((?:[a-z][\w-]*)(?: [a-z][\w-]*)*)(?=[`\n]| #| PYTHON| {2})", text_of(name)
    ):
        assert set(words.split()) <= targets, words


def commands(name: str) -> list[str]:
    """The lines of shell blocks, continued ones joined, and commands in single backticks."""
    text = text_of(name)
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).replace("\\\n", " ")
    inline = re.findall(r"`((?:python -m harness|taborder)[^`\n]*)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [
        line for line in [*blocks.splitlines(), *inline] if re.match(r"(\.venvs/\w+/bin/)?python -m ", line.strip())
    ]


LINES = [(name, line.strip()) for name in NAMES for line in commands(name)]
OWN = {"harness.leaderboard", "harness.score", "harness.sync"}


@pytest.mark.parametrize(("name", "line"), LINES, ids=[f"{name}: {line[:60]}" for name, line in LINES])
def test_commands_are_understood(name, line, monkeypatch):
    monkeypatch.setenv("TABORDER_RUN_ID", "documents")
    words = shlex.split(line.split(" #")[0].replace("…", ""))[2:]
    module, words = words[0], words[1:]
    assert exists(module), module
    if module == "harness":
        if "--help" in words or any("shuffled" in word or word == "dataset=birds" for word in words):
            return
        single = [
            re.sub(r"=([^\[{'\"]*?),.*", r"=\1", word) for word in words if word != "-m"
        ]  # the first of each list
        with composed([word for word in single if "=" in word and not word.endswith("=")]) as config:
            assert config.seed is not None
    elif module in OWN:
        command = importlib.import_module(module).COMMAND
        assert isinstance(command, Command)
        legal = set(command.legal())
        assert {word.partition("=")[0] for word in words if "=" in word} <= legal


def test_the_version_is_one():
    assert tomllib.loads(text_of("pyproject.toml"))["project"]["version"] == VERSION
    assert f"## [{VERSION}]" in text_of("CHANGELOG.md")


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 90


def test_what_benchmarks_measured_is_not_ignored():
    done = subprocess.run(["git", "check-ignore", "-q", "results/benchmarks/gpu.json"], cwd=ROOT)
    assert done.returncode == 1
