"""Names of the configuration files, by group."""

from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"
NEEDS_MORE = {"plugin", "in_context_llm"}
"""A class to be named, and a model or endpoint to be given."""


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GENERATORS = [
    name
    for name in names("generator")
    if name not in NEEDS_MORE and "environment" not in (CONF / "generator" / f"{name}.yaml").read_text()
]
