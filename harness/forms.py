"""How cells are written that are numbers, dates or truth values, but not in the plain spelling: read, and written back.

A form translates a cell as it stands in a file to the plain text that :mod:`harness.table` understands, and back:

============= ============================= ====================================================
form          cell                          plain text
============= ============================= ====================================================
NumberForm    ``$1,234.50``, ``3,14 %``     ``1234.50``, ``3.14``
DateForm      ``2021-01-05``, ``5.1.2021``  days, seconds, … since 1970-01-01: ``18632``
BooleanForm   ``true``, ``TRUE``, ``1``     the training table's own spelling, say ``True``
============= ============================= ====================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

EPOCH = datetime(1970, 1, 1)
Unit = Literal["M", "D", "s", "us"]
SECONDS: Mapping[str, float] = {"D": 86_400.0, "s": 1.0, "us": 1e-6}
"""Seconds of each unit that has a fixed length; months have none."""
TRUE, FALSE = {"true", "1", "1.0"}, {"false", "0", "0.0"}


@dataclass(frozen=True)
class NumberForm:
    """Numbers with a decimal comma, thousands separators, a currency or a percent sign.

    Attributes:
        decimal: the decimal mark, ``.`` or ``,``.
        thousands: between groups of three digits; empty for none.
        prefix: before the digits (after the sign), e.g. ``$``.
        suffix: after the digits, e.g. ``%`` or `` €``.
        digits: after the decimal mark, where every training cell has as many.
    """

    decimal: str = "."
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""
    digits: int | None = None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        grouped = rf"[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|" if self.thousands else ""
        digits = rf"(?P<whole>{grouped}[0-9]+)(?:{re.escape(self.decimal)}(?P<part>[0-9]*))?(?P<power>[eE][+-]?[0-9]+)?"
        before, after = re.escape(self.prefix.strip()), re.escape(self.suffix.strip())
        return re.compile(rf"\s*(?P<sign>[+-]?)\s*{before}\s*(?P<inner>-?){digits}\s*{after}\s*", re.ASCII)

    def plain(self, texts: Sequence[str]) -> list[str | None]:
        """Cells as plain numbers; ``None`` for those that are not of this form."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> str | None:
        found = self._pattern.fullmatch(text)
        if found is None:
            return None
        whole = found["whole"].replace(self.thousands, "") if self.thousands else found["whole"]
        sign = "-" if "-" in (found["sign"], found["inner"]) else ""
        return f"{sign}{whole}{'.' + found['part'] if found['part'] else ''}{found['power'] or ''}"

    def write(self, plain: str) -> str:
        """A plain number as this form writes it."""
        sign, number = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
        whole, point, part = number.partition(".")
        if self.digits and "e" not in plain.lower():
            point, part = ".", part.ljust(self.digits, "0")
        if self.thousands and whole.isdecimal():
            whole = f"{int(whole):,}".replace(",", self.thousands)
        return f"{sign}{self.prefix}{whole}{self.decimal if point else ''}{part}{self.suffix}"


@dataclass(frozen=True)
class DateForm:
    """Dates and times as whole numbers of a unit since 1970-01-01 00:00.

    Attributes:
        format: as in :func:`datetime.datetime.strftime`; a constant offset such as ``+02:00`` or ``Z`` stands in it literally.
        unit: ``M`` months, ``D`` days, ``s`` seconds, ``us`` microseconds: the coarsest that keeps every training cell.
        utc: whether offsets differed, so that all were brought to UTC.
    """

    format: str
    unit: Unit
    utc: bool = False

    def plain(self, texts: Sequence[str]) -> list[str | None]:
        """Cells as numbers of the unit; ``None`` for those that are no date, or lie between two units."""
        moments = moments_of(texts, self.format, self.utc)
        for index in [i for i, moment in enumerate(moments) if moment is None]:
            moments[index] = _iso(texts[index], self.utc)
        return [None if moment is None else self.number(moment) for moment in moments]

    def number(self, moment: datetime) -> str | None:
        """A moment as a number of the unit; ``None`` where it lies between two."""
        if self.unit == "M":
            return str((moment.year - 1970) * 12 + moment.month - 1)
        micros = (moment - EPOCH) // timedelta(microseconds=1)
        size = {"D": 86_400_000_000, "s": 1_000_000, "us": 1}[self.unit]
        return None if micros % size else str(micros // size)

    def write(self, plain: str) -> str:
        """A number of the unit in the column's format; the number itself where no calendar reaches."""
        try:
            count = int(float(plain)) if "." in plain or "e" in plain.lower() else int(plain)
            if self.unit == "M":
                moment = datetime(1970 + count // 12, count % 12 + 1, 1)
            else:
                micros = count * {"D": 86_400_000_000, "s": 1_000_000, "us": 1}[self.unit]
                moment = EPOCH + timedelta(microseconds=micros)
            return moment.strftime(self.format.replace("%Y", f"{moment.year:04d}"))
        except (OverflowError, ValueError):
            return plain


@dataclass(frozen=True)
class BooleanForm:
    """Truth values in any spelling.

    Attributes:
        false: how the training table writes no.
        true: how it writes yes.
    """

    false: str
    true: str

    def plain(self, texts: Sequence[str]) -> list[str | None]:
        """Cells in the training table's spelling; ``None`` for those that are no truth value."""
        known = {**dict.fromkeys(FALSE, self.false), **dict.fromkeys(TRUE, self.true)}
        known |= {self.false.lower(): self.false, self.true.lower(): self.true}
        return [known.get(text.strip().lower()) for text in texts]

    def write(self, plain: str) -> str:
        """As it is: the plain text is the training table's spelling."""
        return plain


Form = NumberForm | DateForm | BooleanForm
_TYPES: Mapping[str, type[Any]] = {"number": NumberForm, "date": DateForm, "boolean": BooleanForm}


def form_to_json(form: Form) -> dict[str, Any]:
    """``{type: …, …}``; :func:`form_from_json` reverses it."""
    name = next(name for name, kind in _TYPES.items() if isinstance(form, kind))
    return {"type": name, **asdict(form)}


def form_from_json(data: Mapping[str, Any]) -> Form:
    """Read what :func:`form_to_json` wrote."""
    values = dict(data)
    form: Form = _TYPES[values.pop("type")](**values)
    return form


def moments_of(texts: Sequence[str], form: str, utc: bool = False) -> list[datetime | None]:
    """Cells in one format as moments without zone (in UTC where the format has an offset); ``None`` where they are not."""
    found = pd.to_datetime(pd.Series(list(texts), dtype=object), format=form, errors="coerce", utc=utc or "%z" in form)
    stamps = found.dt.tz_localize(None) if getattr(found.dt, "tz", None) is not None else found
    values: list[datetime | None] = [None] * len(stamps)
    micros = stamps.to_numpy().astype("datetime64[us]")
    exact = (stamps.to_numpy() == micros) & ~np.isnat(micros)
    for index, moment in enumerate(micros.astype(object)):
        values[index] = moment if exact[index] else _strptime(str(texts[index]), form)
    return values


def _strptime(text: str, form: str) -> datetime | None:
    """For dates outside of what pandas holds, such as 9999-12-31."""
    try:
        moment = datetime.strptime(text.strip(), form)
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _iso(text: str, utc: bool) -> datetime | None:
    """A cell in any ISO 8601 spelling; an offset counts where the column is in UTC and is dropped elsewhere."""
    if not re.match(r"\s*[0-9]{4}-[0-9]{2}", text):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment
    return (moment.astimezone(UTC) if utc else moment).replace(tzinfo=None)
