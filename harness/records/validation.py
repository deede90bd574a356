"""Whether a record is as it was written: a checksum over its text, and, where it has none, the types of all it holds."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

UNSEALED = "0" * 64
_SEAL = re.compile(rb'\n "checksum": "([0-9a-f]{64})",\n')  # no text within JSON holds a bare line break

Check = Callable[[Any], bool]


def seal(text: str) -> str:
    """The record's JSON, written with ``checksum`` as :data:`UNSEALED`, with the SHA-256 of that very text in its place."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair has no UTF-8
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text.replace(f'\n "checksum": "{UNSEALED}",\n', f'\n "checksum": "{digest}",\n', 1)


def is_intact(raw: bytes) -> bool:
    """Whether a record that has a ``checksum`` is, byte for byte, what was written."""
    found = _SEAL.search(raw)
    if found is None:
        return False
    blank = raw[: found.start(1)] + UNSEALED.encode() + raw[found.end(1) :]
    return hashlib.sha256(blank).hexdigest() == found[1].decode()


def _is(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _fields(**checks: Check) -> Check:
    """Each of these keys, where present, holds what its check asks for; :func:`check_shape` says which did not."""

    def check(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        for name, wanted in checks.items():
            if name in value and not wanted(value[name]):
                raise ValueError(f"{name} is {str(value[name])[:80]!r}")
        return True

    return check


_TEXT, _COUNT, _MAP, _NUMBER = _is(str), _is(int), _is(dict), _or_null(_is_number)
_SCORE = _fields(
    metric=_TEXT, version=_COUNT, params=_MAP, goal=lambda value: value in ("max", "min"), value=_NUMBER, real=_NUMBER,
    floor=_NUMBER, seconds=_is_number, error=_or_null(_TEXT),
    bounds=lambda value: isinstance(value, list) and len(value) == 2 and all(map(_NUMBER, value)),
)  # fmt: skip
_RECORD = _fields(
    cell=_fields(
        dataset=_TEXT, generator=_TEXT, seed=_COUNT, n_rows=_COUNT, params=_MAP, target=_TEXT, version=_TEXT,
        dataset_checksum=_TEXT, key=_TEXT, dataset_params=_MAP,
    ),
    scores=_list(_SCORE),
    cost=_fields(
        fit_seconds=_NUMBER, sample_seconds=_NUMBER, evaluate_seconds=_NUMBER, peak_memory_bytes=_NUMBER, peak_gpu_memory_bytes=_NUMBER
    ),
    **{"yield": _or_null(_fields(attempted=_COUNT, accepted=_COUNT, rejected=_MAP, tokens=_or_null(_COUNT)))},
    evaluation=_list(_MAP), generator_info=_MAP, schema=_MAP, rows=_MAP, environment=_MAP, status=_TEXT, error=_or_null(_TEXT),
    log_tail=_list(_TEXT), notes=_list(_TEXT), command=_or_null(_TEXT), sweep=_or_null(_TEXT), started=_or_null(_TEXT),
)  # fmt: skip


def check_shape(data: Mapping[str, Any]) -> None:
    """Check the types of a record that was written elsewhere.

    Raises:
        ValueError: naming the field that holds something else, and its value.
    """
    _RECORD(data)
