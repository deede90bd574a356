"""Overrides as a user types them, so that every repair a message advises works as it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import TabOrderError

BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_/.%*@?|+-]*|[?*]+|-{1,3}", re.ASCII)
WORDS = {"null", "true", "false", "inf", "nan"}
"""What Hydra reads as something else than text when it is not quoted."""


def quoted(text: str) -> str:
    """A text as an element of an override's list or mapping."""
    if BARE.fullmatch(text) and text.lower() not in WORDS:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def override(key: str, value: Mapping[str, str] | Sequence[str] | str | bool, prefix: str = "dataset.") -> str:
    """``prefix`` + ``key=value`` for a shell: lists in brackets, mappings in braces (in a list where a name needs quotes)."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = quoted(value)
    elif isinstance(value, Mapping):
        if all(quoted(name) == name for name in value):
            text = "{" + ", ".join(f"{name}: {quoted(kind)}" for name, kind in value.items()) + "}"
        else:
            pairs = (f"{{name: {quoted(name)}, kind: {quoted(kind)}}}" for name, kind in value.items())
            text = f"[{', '.join(pairs)}]"
    else:
        text = f"[{','.join(map(quoted, value))}]"
    return shlex.quote(f"{prefix}{key}={text}")


_LIST = re.compile(r"\[([^\[\]\"']*(?:->|→)[^\[\]\"']*)\]")


def arrows_quoted(word: str) -> str:
    """An override with dependencies such as ``fds=[City->Country,A,B->C]`` quoted as Hydra's grammar needs them."""
    key, equals, value = word.partition("=")
    if not equals or not ("->" in value or "→" in value) or key.rpartition(".")[2].lstrip("+") != "fds":
        return word
    if not value.startswith(("[", '"', "'", "{")):
        value = f"[{value}]"
    return f"{key}={_LIST.sub(lambda found: f'[{_dependencies(found[1])}]', value)}"


def _dependencies(text: str) -> str:
    found, left = list[str](), list[str]()
    for part in text.split(","):
        left.append(part.strip())
        if "->" in part or "→" in part:
            found.append(",".join(left))
            left = []
    return ",".join(f'"{one}"' for one in [*found, *left])


def read_value(key: str, text: str) -> Any:
    """A value of a small command as Hydra would read it where it begins like a list or mapping, else the text itself.

    Raises:
        TabOrderError: for brackets that do not close, and the like.
    """
    word = arrows_quoted(f"{key}={text}")
    if not word.partition("=")[2].startswith(("[", "{")):
        return text
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(word).value()
    except HydraException as error:
        raise TabOrderError(
            f"{key}={text} is no list or mapping ({str(error).splitlines()[0]}): write it like "
            f"{override(key, ['a b', 'c'], '')}."
        ) from None
