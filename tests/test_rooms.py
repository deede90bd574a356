"""The house's plan: which room may import which, read from the syntax trees alone."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("harness", "baselines", "methods")

# Each row may import its own row's rooms only from itself, and everything above it.
ORDER = (
    {"errors", "forms", "seeding", "table", "generator", "targets", "commands", "version"},
    {"dependencies", "records"},
    {"processes", "datasets"},
    {"metrics", "ranking"},
    {"execution", "report"},
    {"experiments"},
    {"tracking"},
    {"cli"},
    {"__main__", "archive", "environments", "inspect", "leaderboard", "score", "sync"},
    {"api"},
)
LEVEL = {room: number for number, row in enumerate(ORDER) for room in row}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """The project's modules that a module names in an import, wherever in the file it stands."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            whole = {f"{node.module}.{one.name}" for one in node.names}
            found |= {name if name in modules() else node.module for name in whole}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
    return frozenset(found & set(modules()) - {module})


def room_of(module: str) -> str | None:
    """The room of a module of harness; ``None`` for the package itself, a light door that imports what it is asked for."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] or None if package == "harness" else None


def test_every_room_has_a_place_in_the_order():
    rooms = {room_of(module) for module in modules()} - {None}
    assert rooms == set(LEVEL)


@pytest.mark.parametrize("module", [name for name in modules() if room_of(name)])
def test_rooms_are_one_way(module):
    room = room_of(module)
    for other in map(room_of, imports(module)):
        assert other is None or other == room or LEVEL[other] < LEVEL[room] or LEVEL[room] == 0, f"{module} → {other}"


def test_harness_never_imports_what_it_judges():
    judged = {(one, other) for one in modules() if one.startswith("harness") for other in imports(one)}
    assert not {pair for pair in judged if pair[1].startswith(("baselines", "methods"))}


def test_what_is_judged_imports_the_contract_and_the_dependencies_only():
    legal = ORDER[0] | {"dependencies"}
    also = {"harness.records.files"}  # a checkpoint is written whole or not at all
    for module in modules():
        if module.startswith(("baselines", "methods")):
            for other in imports(module) - also:
                assert room_of(other) is None or room_of(other) in legal, f"{module} → {other}"


def test_no_circle_among_files():
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " → ".join([*above[above.index(module) :], module])
        if module not in done:
            for other in sorted(imports(module)):
                visit(other, (*above, module))
            done.add(module)

    for module in modules():
        visit(module, ())


def test_the_architecture_names_every_room_in_its_row():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.M)
    named = [set(re.findall(r"`(\w+)/?`", text)) for _, text in rows]
    assert [int(number) for number, _ in rows] == list(range(1, len(ORDER) + 1))
    for row, rooms in zip(named, ORDER, strict=True):
        assert set(rooms) <= row, set(rooms) - row
