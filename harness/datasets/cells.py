"""What the cells of one column are: numbers in some spelling, dates, truth values; told from its distinct cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from harness.forms import EPOCH, BooleanForm, DateForm, NumberForm, moments_of
from harness.table import FLOAT_TEXT, PLAIN_INTEGER

CURRENCIES = "$€£¥₹₽₩₺₪₫฿"
BLANKS = " \u00a0\u202f'’"
DATE_FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d-%m-%Y", "%m-%d-%Y",
    "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y",
    "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%a %b %d %H:%M:%S %Y", "%Y/%m",
)  # fmt: skip
ZONE = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\Z")
BOOLEANS = (("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"))
UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")
_PLAIN = re.compile(FLOAT_TEXT, re.ASCII)
_INTEGER = re.compile(PLAIN_INTEGER, re.ASCII)
_WHOLE = re.compile(rf"({PLAIN_INTEGER})\.?0*", re.ASCII)
_EXPONENT = re.compile(r"[0-9]+[eE][0-9]+", re.ASCII)
_TRAILING = re.compile(r"[+-]?[0-9]+\.[0-9]*[1-9]0+", re.ASCII)


def is_number(text: str) -> bool:
    """Whether a cell is a number in the plain spelling, blanks around it allowed."""
    return _PLAIN.fullmatch(text.strip()) is not None


def whole_texts(texts: Sequence[str]) -> list[str] | None:
    """``2.0`` as ``2`` where every cell is a whole number and some have a point; else ``None``."""
    found = [_WHOLE.fullmatch(text) for text in texts]
    if not texts or not all(found) or not any("." in text for text in texts):
        return None
    return [match[1] for match in found if match is not None]


def exponents(texts: Sequence[str]) -> list[str]:
    """Cells such as ``1E5``, which may be codes."""
    return [text for text in texts if _EXPONENT.fullmatch(text)]


def trailing_zeros(texts: Sequence[str]) -> list[str]:
    """Cells such as ``1.10``, which as numbers lose a digit, in a column whose cells differ in their number of decimals."""
    decimals = {len(text.partition(".")[2]) for text in texts}
    return [text for text in texts if _TRAILING.fullmatch(text)] if len(decimals) > 1 else []


def number_form(texts: Sequence[str], decimal: str | None = None) -> tuple[NumberForm, list[str]] | None:
    """The form in which every cell is a number, and the cells as plain numbers.

    Args:
        texts: distinct cells, at least one of which is no plain number.
        decimal: the decimal mark that is expected where cells such as ``1,234`` leave it open.
    """
    for form in _forms(texts, decimal):
        strict = _strict(form)
        if all(strict.fullmatch(text) for text in texts):
            plain = form.plain(texts)
            if None not in plain:
                return form, [str(text) for text in plain]
    return None


def _forms(texts: Sequence[str], decimal: str | None) -> Iterator[NumberForm]:
    joined = "".join(texts[:200])
    prefix, suffix = _affixes(texts)
    blank = next((mark for mark in BLANKS if re.search(rf"[0-9]{re.escape(mark)}[0-9]{{3}}", joined)), None)
    marks = [(",", "."), ("", ","), (".", ","), ("", ".")]
    if decimal == ",":
        marks = [("", ","), (".", ","), (",", "."), ("", ".")]
    if blank is not None:
        marks = [(blank, ","), (blank, "."), *marks]
    for thousands, mark in marks:
        if (thousands or mark) in joined or (mark == "." and not thousands and (prefix or suffix)):
            yield NumberForm(mark, thousands, prefix, suffix)


def _affixes(texts: Sequence[str]) -> tuple[str, str]:
    """A currency before the digits, a currency or percent sign after them, with the blank between; from the first cell."""
    found = re.fullmatch(
        rf"\s*[+-]?(?P<prefix>(?:[{re.escape(CURRENCIES)}]|[A-Z]{{3}} )[ \u00a0]?)?-?[0-9.,{BLANKS}]*?[0-9.,]"
        rf"(?P<suffix>[ \u00a0]?(?:%|[{re.escape(CURRENCIES)}]|[A-Z]{{3}}))?\s*",
        texts[0],
    )
    return (found["prefix"] or "", found["suffix"] or "") if found else ("", "")


def _strict(form: NumberForm) -> re.Pattern[str]:
    """Cells of the form, groups of thousands wherever they belong."""
    part = rf"(?:{re.escape(form.decimal)}[0-9]+)?"
    if form.thousands:
        digits = rf"[0-9]{{1,3}}(?:{re.escape(form.thousands)}[0-9]{{3}})*{part}"
    else:
        digits = rf"[0-9]+{part}(?:[eE][+-]?[0-9]+)?"
    before, after = re.escape(form.prefix.strip()), re.escape(form.suffix.strip())
    return re.compile(rf"\s*[+-]?\s*{before}\s*-?{digits}\s*{after}\s*", re.ASCII)


def date_form(texts: Sequence[str]) -> tuple[DateForm, list[str], str | None] | None:
    """The form in which every cell is a date, the cells as numbers of its unit, and what had to be guessed.

    ISO spellings may be mixed (``2021-01-05`` beside ``2021-01-05 00:00:00``); of formats that all read every cell, such as
    01/02/2021, the first of ``DATE_FORMATS`` is taken and the guess is said.
    """
    if not texts or not re.search(r"[0-9]", texts[0]) or is_number(texts[0]) or len(texts[0]) > 40:
        return None
    zones = {match[0] if (match := ZONE.search(text)) and ":" in text else "" for text in texts}
    zone = next(iter(zones)) if len(zones) == 1 else ""
    fitting = []
    for form in DATE_FORMATS:
        ending = form + zone if zone and "%H" in form else form
        if _reads(texts[:20], ending) and None not in (moments := moments_of(texts, ending)):
            fitting.append((ending, moments))
    if fitting:
        form, moments = fitting[0]
        other = next((f for f, found in fitting[1:] if found != moments), None)
        guess = f"{other} would read every cell too" if other else None
        return _dated(form, moments, texts, False, guess)
    return _mixed_iso(texts, zones)


def _reads(texts: Sequence[str], form: str) -> bool:
    for text in texts:
        try:
            datetime.strptime(text.strip(), form)
        except ValueError:
            return False
    return True


def _mixed_iso(texts: Sequence[str], zones: set[str]) -> tuple[DateForm, list[str], str | None] | None:
    """ISO dates and times of several spellings or offsets."""
    if not all(re.match(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}", text) for text in texts):
        return None
    offsets = "" not in zones
    moments = DateForm("%Y-%m-%d", "us", offsets).plain(texts)
    if None in moments:
        return None
    found = [EPOCH + timedelta(microseconds=int(str(micros))) for micros in moments]
    first = Counter(_spelling(text) for text in texts).most_common(1)[0][0]
    if offsets:
        first = first.partition("%z")[0] + "+00:00"
    return _dated(first, found, texts, offsets, None)


def _spelling(text: str) -> str:
    mark, form = ("T" if "T" in text else " "), "%Y-%m-%d"
    time = text.strip()[10:]
    if time:
        form += mark + ("%H:%M:%S" if time.count(":") >= 2 else "%H:%M") + (".%f" if "." in time else "")
    return form


def _dated(
    form: str, moments: Sequence[datetime | None], texts: Sequence[str], utc: bool, guess: str | None
) -> tuple[DateForm, list[str], str | None]:
    known = [moment for moment in moments if moment is not None]
    midnight = all((m.hour, m.minute, m.second, m.microsecond) == (0, 0, 0, 0) for m in known)
    unit = "M" if "%d" not in form else "D" if midnight else "s" if all(m.microsecond == 0 for m in known) else "us"
    found = DateForm(form, unit, utc)  # type: ignore[arg-type]
    plain = [found.number(moment) for moment in known]
    return found, [str(text) for text in plain], guess


def given_date(texts: Sequence[str], form: str | None) -> tuple[DateForm, list[str], str | None] | None:
    """The date form under a given format, or the one found where none is given; ``None`` when a cell does not fit."""
    if form is None:
        return date_form(texts)
    moments = moments_of(texts, form)
    return None if None in moments else _dated(form, moments, texts, "%z" in form, None)


def boolean_form(texts: Sequence[str], counts: Sequence[int]) -> tuple[BooleanForm, list[str]] | None:
    """The form in which every cell is true or false; the more frequent spelling of each is the column's."""
    lowered = [text.strip().lower() for text in texts]
    for no, yes in BOOLEANS:
        if lowered and set(lowered) <= {no, yes}:
            best = {}
            for word in (no, yes):
                spelt = Counter(
                    {text: count for text, low, count in zip(texts, lowered, counts, strict=True) if low == word}
                )
                best[word] = spelt.most_common(1)[0][0].strip() if spelt else None
            model = best[no] or best[yes] or yes
            like = str.upper if model.isupper() else str.capitalize if model[0].isupper() else str.lower
            form = BooleanForm(best[no] or like(no), best[yes] or like(yes))
            return form, [str(text) for text in form.plain(texts)]
    return None
