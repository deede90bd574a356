"""Declarative domain rules of a dataset: read, checked against the schema, and applied row by row.

A rule is a mapping ``{name, type, …}``; ``when_missing: violate`` makes a missing cell break it (default: ``pass``).

================= ============================================== ====================================================
type              further keys                                   a row breaks it when
================= ============================================== ====================================================
range             column, min and/or max                         the number lies outside (bounds included)
set               column, values                                 the value is not listed
regex             column, pattern                                the whole cell, as written, does not match
map               columns: [from, to], pairs                     ``to`` is not what ``pairs`` says of ``from``
one_to_one        columns: [a, b]                                its pair is not the most frequent one of its a and its b
compare           left, op, right (a column or a number)         the comparison is false
point_in_polygon  x, y, key or fixed_key, resource, key_field    the point is not inside the polygon of its key
range_by_key      key, column, bounds: {key: [min, max]}         the number lies outside its key's bounds (null: open)
================= ============================================== ====================================================

Where a rule looks up a key (map, point_in_polygon, range_by_key), a key that is not listed breaks it. Floats are judged at the
decimals of the real column, as in functional dependencies: 3.5000001 is 3.5 where real cells have one decimal. Values of columns of
dates, amounts or truth values are given as the column writes them (``min: 2021-01-31``); dates compare with times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from harness.datasets.polygons import inside_polygons
from harness.errors import TabOrderError, choices
from harness.forms import SECONDS, DateForm
from harness.table import Column, Schema, write_cell

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Broken = Callable[[pd.DataFrame], Mask]


@dataclass(frozen=True)
class Rule:
    """One rule, ready to apply.

    Attributes:
        name: from the dataset's YAML.
        columns: the columns it looks at.
        key: the column whose categories the rule treats apart (states of a polygon rule), or ``None``.
        breaks: rows, as a frame without missing cells in ``columns``, to a mask of those that break the rule.
        missing_violates: whether a row with a missing cell in ``columns`` breaks it.
        decimals: of the float columns among ``columns`` that have them.
    """

    name: str
    columns: tuple[str, ...]
    key: str | None
    breaks: Broken
    missing_violates: bool
    decimals: Mapping[str, int]

    def violations(self, frame: pd.DataFrame) -> Mask:
        """The rows of a canonical frame that break the rule, shape (rows,); ``True`` is a violation.

        Raises:
            TabOrderError: when a file the rule needs is not there or cannot be read.
        """
        used: pd.DataFrame = frame[list(self.columns)]
        if self.decimals:
            used = used.assign(**{name: np.round(used[name], places) for name, places in self.decimals.items()})
        missing = used.isna().to_numpy().any(axis=1)
        mask = np.full(len(frame), self.missing_violates)
        mask[~missing] = self.breaks(used.iloc[np.flatnonzero(~missing)] if missing.any() else used)
        return mask


def parse_rules(
    rules: Sequence[Mapping[str, Any]], schema: Schema, resources: Mapping[str, str] | None = None
) -> tuple[Rule, ...]:
    """Read a dataset's rules.

    Args:
        rules: mappings as in the dataset's YAML.
        schema: whose columns the rules name.
        resources: files by name, for ``point_in_polygon``.

    Raises:
        TabOrderError: on an ill-formed rule; the sentence names the rule, what is wrong and what is legal.
    """
    parsed = [_parse(rule, position, schema, resources or {}) for position, rule in enumerate(rules, start=1)]
    names = [rule.name for rule in parsed]
    for name in names:
        if names.count(name) > 1:
            raise TabOrderError(f"two rules are named '{name}': give each its own name.")
    return tuple(parsed)


class _Spec:
    """One rule's mapping, with errors that say where they are."""

    def __init__(self, rule: Mapping[str, Any], label: str, schema: Schema, resources: Mapping[str, str]) -> None:
        self.rule, self.label, self.schema, self.resources = rule, label, schema, resources

    def fail(self, sentence: str) -> TabOrderError:
        return TabOrderError(f"{self.label}: {sentence}")

    def get(self, key: str) -> Any:
        if self.rule.get(key) is None:
            raise self.fail(f"'{key}' is missing; a {self.rule['type']} rule needs {_shape(self.rule['type'])}.")
        return self.rule[key]

    def column(self, name: Any, numeric: bool | None = None) -> Column:
        if name not in self.schema.names:
            raise self.fail(choices(name, self.schema.names, "column"))
        column = self.schema[name]
        if numeric and not column.numeric:
            raise self.fail(f"column '{name}' is categorical, but this needs a number column ({self.schema.numeric}).")
        return column

    def number(self, key: str, value: Any, column: Column | None = None) -> float:
        """A number, or a cell as the column is written: a date, an amount with its currency."""
        if column is not None and column.form is not None and isinstance(value, (str, date)):
            return float(self.plain(column, value))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(f"'{key}' must be a number, got {value!r}.")
        return float(value)

    def cell(self, column: Column, value: Any) -> Any:
        """A value of the YAML as a cell of the column: text, or a number."""
        if isinstance(value, bool):
            raise self.fail(f"the value {value} was read as yes/no: put it in quotes.")
        if column.form is not None and isinstance(value, (str, date)):
            return float(self.plain(column, value)) if column.numeric else self.plain(column, value)
        if not column.numeric:
            return str(value)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise self.fail(f"{value!r} cannot be a value of the number column '{column.name}'.") from None

    def plain(self, column: Column, value: str | date) -> str:
        assert column.form is not None
        (read,) = column.form.plain([str(value)])
        if read is None:
            raise self.fail(
                f"{str(value)!r} is no value of column '{column.name}', which is written like {_example(column)}."
            )
        return read

    def two_columns(self) -> tuple[Column, Column]:
        names = self.get("columns")
        if not isinstance(names, Sequence) or isinstance(names, str) or len(names) != 2:
            raise self.fail(f"'columns' must list two columns, got {names!r}.")
        return self.column(names[0]), self.column(names[1])

    def mapping(self, key: str) -> Mapping[Any, Any]:
        found = self.get(key)
        if not isinstance(found, Mapping) or not found:
            raise self.fail(f"'{key}' must be a mapping with at least one entry, got {found!r}.")
        return found


def _parse(rule: Any, position: int, schema: Schema, resources: Mapping[str, str]) -> Rule:
    if not isinstance(rule, Mapping):
        raise TabOrderError(f"rule {position}: a rule is a mapping with name and type, got {rule!r}.")
    label = f"rule '{rule.get('name', position)}'"
    if not isinstance(rule.get("name"), str) or not rule["name"]:
        raise TabOrderError(f"rule {position}: 'name' is missing; it must be text.")
    kind = rule.get("type")
    if kind not in BUILDERS:
        raise TabOrderError(f"{label}: {choices(kind, BUILDERS, 'rule type')}")
    legal = {"name", "type", "when_missing", *BUILDERS[kind][0], *BUILDERS[kind][1]}
    for key in rule:
        if key not in legal:
            raise TabOrderError(f"{label}: {choices(key, legal, 'key')}")
    missing = rule.get("when_missing", "pass")
    if missing not in ("pass", "violate"):
        raise TabOrderError(f"{label}: {choices(missing, ('pass', 'violate'), 'when_missing')}")
    spec = _Spec(rule, label, schema, resources)
    for key in BUILDERS[kind][0]:
        spec.get(key)
    columns, key, breaks = BUILDERS[kind][2](spec)
    decimals = {name: schema[name].decimals for name in columns if schema[name].kind == "float"}
    known = {name: places for name, places in decimals.items() if places is not None}
    return Rule(rule["name"], tuple(columns), key, breaks, missing == "violate", known)


def _shape(kind: str) -> str:
    required, optional, _ = BUILDERS[kind]
    return ", ".join(required) + (f" (and may have {', '.join(optional)})" if optional else "")


Built = tuple[list[str], str | None, Broken]


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """A column without missing cells as int64 where it is whole, which keeps big numbers exact, else float64."""
    column = frame[name]
    return column.to_numpy(np.int64 if str(column.dtype) == "Int64" else float)


def _example(column: Column) -> str:
    return repr(write_cell(column, 0 if column.numeric else getattr(column.form, "true", "")))


def _interval(spec: _Spec, column: Column, low: Any, high: Any) -> tuple[float, float]:
    least = -np.inf if low is None else spec.number("min", low, column)
    greatest = np.inf if high is None else spec.number("max", high, column)
    if least > greatest:
        raise spec.fail(f"its least value {low} is above its greatest {high}: swap them.")
    return least, greatest


def _range(spec: _Spec) -> Built:
    column = spec.column(spec.get("column"), numeric=True)
    if spec.rule.get("min") is None and spec.rule.get("max") is None:
        raise spec.fail("give min, max or both.")
    low, high = _interval(spec, column, spec.rule.get("min"), spec.rule.get("max"))

    def breaks(frame: pd.DataFrame) -> Mask:
        values = _numbers(frame, column.name)
        return (values < low) | (values > high)

    return [column.name], None, breaks


def _set(spec: _Spec) -> Built:
    column, values = spec.column(spec.get("column")), spec.get("values")
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise spec.fail(f"'values' must list at least one value, got {values!r}.")
    legal = [spec.cell(column, value) for value in values]
    return [column.name], None, lambda frame: ~frame[column.name].isin(legal).to_numpy(dtype=bool)


def _regex(spec: _Spec) -> Built:
    column = spec.column(spec.get("column"))
    try:
        pattern = re.compile(str(spec.get("pattern")))
    except re.error as error:
        raise spec.fail(f"'{spec.get('pattern')}' is not a regular expression: {error}.") from None

    def breaks(frame: pd.DataFrame) -> Mask:
        codes, unique = pd.factorize(frame[column.name])
        return np.array([pattern.fullmatch(write_cell(column, v) or "") is None for v in unique], dtype=bool)[codes]

    return [column.name], None, breaks


def _map(spec: _Spec) -> Built:
    source, target = spec.two_columns()
    pairs = {spec.cell(source, a): spec.cell(target, b) for a, b in spec.mapping("pairs").items()}

    def breaks(frame: pd.DataFrame) -> Mask:
        codes, unique = pd.factorize(frame[source.name])
        expected = np.array([pairs.get(value) for value in unique], dtype=object)[codes]
        return np.asarray(frame[target.name].to_numpy(object) != expected, dtype=bool)

    return [source.name, target.name], source.name if not source.numeric else None, breaks


def _one_to_one(spec: _Spec) -> Built:
    names = [column.name for column in spec.two_columns()]

    def breaks(frame: pd.DataFrame) -> Mask:
        a, b = (pd.factorize(frame[name], sort=True)[0] for name in names)
        return _not_majority(a, b) | _not_majority(b, a)

    return names, None, breaks


def _not_majority(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Mask:
    """Rows whose b is not the most frequent one beside their a (ties: the smallest b)."""
    counts = pd.Series(1, index=pd.MultiIndex.from_arrays([a, b])).groupby(level=[0, 1]).sum().reset_index()
    counts.columns = pd.Index(["a", "b", "n"])
    best = counts.sort_values(["a", "n", "b"], ascending=[True, False, True]).drop_duplicates("a").set_index("a")["b"]
    return np.asarray(b != best.to_numpy()[a], dtype=bool)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip


def _factors(spec: _Spec, left: Column, other: Column) -> tuple[int, int]:
    """What brings two columns to one unit: dates in days and times in seconds to the finer of both."""
    forms = [column.form if isinstance(column.form, DateForm) else None for column in (left, other)]
    if forms == [None, None]:
        return 1, 1
    units = [form.unit if form else None for form in forms]
    if None in units or ("M" in units and units[0] != units[1]):
        raise spec.fail(f"'{left.name}' and '{other.name}' cannot be compared: they are not both dates of one kind.")
    if units[0] == units[1]:
        return 1, 1
    micros = [round(SECONDS[str(unit)] * 1_000_000) for unit in units]
    return micros[0] // min(micros), micros[1] // min(micros)


def _compare(spec: _Spec) -> Built:
    left, op, right = spec.column(spec.get("left")), spec.get("op"), spec.get("right")
    if op not in OPERATORS:
        raise spec.fail(choices(op, OPERATORS, "op"))
    dated = left.form is not None and left.numeric and isinstance(right, (str, date)) and right not in spec.schema.names
    if dated or (isinstance(right, (int, float)) and not isinstance(right, bool)):
        spec.column(left.name, numeric=True)
        bound = spec.number("right", right, left)
        return [left.name], None, lambda frame: ~OPERATORS[op](_numbers(frame, left.name), bound)
    other = spec.column(right)
    if left.numeric != other.numeric:
        raise spec.fail(
            f"'{left.name}' and '{other.name}' cannot be compared: one is a number column, the other is not."
        )

    factors = _factors(spec, left, other)

    def breaks(frame: pd.DataFrame) -> Mask:
        if not left.numeric:
            one, two = frame[left.name].to_numpy(object), frame[other.name].to_numpy(object)
        else:
            one, two = (_numbers(frame, c.name) * factor for c, factor in zip((left, other), factors, strict=True))
        return ~np.asarray(OPERATORS[op](one, two), dtype=bool)

    return [left.name, other.name], None, breaks


def _range_by_key(spec: _Spec) -> Built:
    key, column = spec.column(spec.get("key")), spec.column(spec.get("column"), numeric=True)
    bounds = {}
    for value, pair in spec.mapping("bounds").items():
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise spec.fail(f"the bounds of {value!r} must be [min, max] (null where open), got {pair!r}.")
        bounds[spec.cell(key, value)] = _interval(spec, column, *pair)

    def breaks(frame: pd.DataFrame) -> Mask:
        codes, unique = pd.factorize(frame[key.name])
        limits = np.array([bounds.get(value, (np.inf, -np.inf)) for value in unique]).reshape(-1, 2)[codes]
        values = _numbers(frame, column.name)
        return (values < limits[:, 0]) | (values > limits[:, 1])

    return [key.name, column.name], key.name if not key.numeric else None, breaks


def _point_in_polygon(spec: _Spec) -> Built:
    x, y = (spec.column(spec.get(axis), numeric=True).name for axis in ("x", "y"))
    key, fixed = spec.rule.get("key"), spec.rule.get("fixed_key")
    if (key is None) == (fixed is None):
        raise spec.fail("give either key (a column) or fixed_key (one polygon's name).")
    name, field = str(spec.get("resource")), str(spec.get("key_field"))
    path = spec.resources.get(name)

    def breaks(frame: pd.DataFrame) -> Mask:
        if path is None:
            raise spec.fail(
                choices(name, spec.resources, "resource") + " It is a file named by the dataset's resources."
            )
        keys = np.full(len(frame), str(fixed), dtype=object) if key is None else frame[key].astype(str).to_numpy(object)
        return ~inside_polygons(path, field, keys, _numbers(frame, x).astype(float), _numbers(frame, y).astype(float))

    return ([x, y] if key is None else [spec.column(key).name, x, y]), key, breaks


Builder = Callable[[_Spec], Built]
BUILDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Builder]] = {
    "range": (("column",), ("min", "max"), _range),
    "set": (("column", "values"), (), _set),
    "regex": (("column", "pattern"), (), _regex),
    "map": (("columns", "pairs"), (), _map),
    "one_to_one": (("columns",), (), _one_to_one),
    "compare": (("left", "op", "right"), (), _compare),
    "range_by_key": (("key", "column", "bounds"), (), _range_by_key),
    "point_in_polygon": (("x", "y", "resource", "key_field"), ("key", "fixed_key"), _point_in_polygon),
}
"""Per rule type: required keys, optional keys, builder."""
