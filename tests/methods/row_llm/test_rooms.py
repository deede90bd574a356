"""The rooms of the row language model: imports go one way, and in no circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import methods.row_llm

PACKAGE = "methods.row_llm"
FOLDER = Path(methods.row_llm.__file__).parent
SEEN_BY = {
    "config": {"config"},
    "codecs": {"codecs"},
    "model": {"config", "model"},
    "training": {"config", "codecs", "model", "training"},
    "sampling": {"config", "codecs", "model", "sampling"},
    "fitted": {"config", "codecs", "model", "training", "sampling"},
    "generator": {"config", "fitted"},
    "__init__": {"generator"},
}
"""Room → rooms it may import from."""


def modules() -> dict[str, Path]:
    return {".".join(path.relative_to(FOLDER).with_suffix("").parts): path for path in FOLDER.rglob("*.py")}


def imports(path: Path) -> set[str]:
    """Modules of the package that a file imports anywhere, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")}
    return found


def test_every_module_has_a_room_and_imports_only_from_rooms_it_may_see() -> None:
    for name, path in modules().items():
        room = name.split(".")[0]
        assert room in SEEN_BY, f"{name} stands in no room"
        seen = {imported.split(".")[0] for imported in imports(path)}
        assert seen <= SEEN_BY[room], f"{name} imports from {sorted(seen - SEEN_BY[room])}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    list(TopologicalSorter({name: imports(path) for name, path in modules().items()}).static_order())


def test_the_door_imports_no_torch() -> None:
    for name in ("__init__", "generator", "config"):
        text = modules()[name].read_text(encoding="utf-8")
        top = [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not any("torch" in ast.unparse(node) for node in top)
