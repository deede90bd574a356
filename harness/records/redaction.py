"""Secrets out of whatever is kept: log lines, errors, parameters, command lines.

What counts as one: the value of an environment variable whose name says so (``OPENAI_API_KEY``, ``HF_TOKEN``, ``DB_PASSWORD``,
…) or that a ``…_env`` setting points to, credentials within an address, what stands after ``api_key=`` or ``Bearer``, tokens
with a well-known beginning, and settings named like one. Values shorter than :data:`SHORTEST` characters are not looked for:
replacing ``1`` or ``test`` everywhere would destroy a log.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "[redacted]"
SHORTEST = 8

_VARIABLE = re.compile(
    r"API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|(?:^|_)KEY$|TOKEN(?!IZ)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(?:^|_)AUTH(?:$|_)",
    re.I,
)
_SETTING = re.compile(
    r"^token$|api_?key|access_?key|private_?key|(?:access|auth|bearer|hf|api)_?token|secret|passw(?:or)?d|passphrase|credential",
    re.I,
)
_POINTER = re.compile(r"_(?:env|variable)$", re.I)
_PASSWORD = re.compile(r"://[^\s/@:]{0,256}:([^\s/@]{1,1024})@")
_WORDS = r"(?:api_?key|access_?key|private_?key|secret|passw(?:or)?d|passphrase|(?:access|auth|hf)_?token)"
# Every repetition that a search could begin at many places is bounded: a line may be a megabyte of one letter.
_PATTERNS = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@:'\"]{0,256}:[^\s/@'\"]{0,1024}@", re.I), rf"\1{MASK}@"),
    (re.compile(r"(\bhttps?://)[^\s/@:'\"]{1,1024}@", re.I), rf"\1{MASK}@"),
    (re.compile(rf"({_WORDS}(?!_env|_variable)\w{{0,20}}[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?)(?!\[redacted|\$\{{|null\b|None\b)[^\s\"',;&}}]{{6,}}", re.I), rf"\1{MASK}"),
    (re.compile(r"([?&](?:token|key|sig|signature)=)[^\s\"'&#]+", re.I), rf"\1{MASK}"),
    (re.compile(r"(\b(?:bearer|basic)\s{1,3})[A-Za-z0-9._~+/=-]{16,}", re.I), rf"\1{MASK}"),
    (re.compile(r"\b(?:sk-(?:[a-z]{1,10}-){0,3}[A-Za-z0-9_]{20,}|hf_[A-Za-z0-9]{20,}|gh[a-z]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}\b)"), MASK),
)  # fmt: skip


class Redactor:
    """Replaces secrets by :data:`MASK`.

    Args:
        environment: variables to look for secrets in; by default this process's.
        names: further variables whose values are secret whatever they are called.
        values: further secrets.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, names: Iterable[str] = (), values: Iterable[str] = ()
    ) -> None:
        environment = os.environ if environment is None else environment
        named = set(names)
        secrets = [
            value
            for name, value in environment.items()
            if name in named or (_VARIABLE.search(name) and not _POINTER.search(name))
        ]
        parts = {part.strip() for value in (*secrets, *values) for part in value.splitlines()}  # a private key has many
        kept = sorted((part for part in parts if len(part) >= SHORTEST), key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, kept))) if kept else None
        self.longest = max([4096, *(4 * len(value) for value in kept)])
        """Bytes within which a secret, or the address that holds one, is assumed to lie."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Redactor:
        """One that also knows the variables that settings such as ``api_key_env`` point to, and the secrets among settings."""
        pairs = list(_flat(settings))
        pointers = [text for key, text in pairs if _POINTER.search(key)]
        secrets = [text for key, text in pairs if _is_secret(key, text)]
        passwords = [found[1] for _, text in pairs for found in _PASSWORD.finditer(text)]
        return cls(names=pointers, values=(*secrets, *passwords))

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        if self._values is not None:
            text = self._values.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def data(self, data: bytes) -> bytes:
        """The same for bytes, whatever their encoding; what is no secret keeps its bytes."""
        return self.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, value: Any) -> Any:
        """A JSON-able structure without secrets: in its texts, and under keys that name one."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: MASK if _is_secret(key, item) else self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(item) for item in value)
        return value


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a structure, each with the key it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, str(name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item, key)


def _is_secret(key: Any, item: Any) -> bool:
    """Whether a setting holds a secret; one that names the variable or file that does is none."""
    name = str(key)
    return isinstance(item, str) and bool(item) and bool(_SETTING.search(name)) and not _POINTER.search(name)
