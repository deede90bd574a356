"""Tables of an experiment, written as CSV, LaTeX and Markdown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.ranking.numbers import amount, estimate
from harness.ranking.statistics import Estimate

Entry = str | int | float | Estimate | None


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def file_name(*parts: str) -> str:
    """A file name made of parts that may hold anything: what is not a letter, digit, ``.``, ``-`` becomes ``_``."""
    return "_".join(re.sub(r"[^A-Za-z0-9.-]+", "_", part).strip("_.") for part in parts)[:120]


@dataclass(frozen=True)
class Table:
    """A table of numbers with intervals.

    Attributes:
        name: file name without suffix.
        title: one sentence: what, unit, direction, n.
        columns: headings.
        rows: as many entries as headings; ``None`` where there is no value.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Entry]]

    def to_csv(self) -> str:
        """One line per row; a column with intervals becomes three: value, ``_low``, ``_high``."""
        wide = [any(isinstance(row[i], Estimate) for row in self.rows) for i in range(len(self.columns))]
        heads = [
            head + suffix
            for head, split in zip(self.columns, wide, strict=True)
            for suffix in (("", "_low", "_high") if split else ("",))
        ]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(heads)
        for row in self.rows:
            cells: list[object] = []
            for entry, split in zip(row, wide, strict=True):
                if isinstance(entry, Estimate):
                    cells += [entry.value, entry.low, entry.high]
                else:
                    cells += [safe_cell(entry), *([None, None] if split else [])]
            writer.writerow(cells)
        return text.getvalue()

    def to_markdown(self) -> str:
        """A pipe table under its title."""
        heads = [_markdown(head) for head in self.columns]
        lines = [_line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
        lines += [_line([_markdown(shown(entry)) for entry in row]) for row in self.rows]
        return f"{_markdown(self.title)}\n\n" + "\n".join(lines) + "\n"

    def _alignment(self) -> list[str]:
        """``l`` for columns of names, ``r`` for numbers."""
        return [
            "l" if not i or (all(isinstance(row[i], str) for row in self.rows) and self.rows) else "r"
            for i in range(len(self.columns))
        ]

    def to_latex(self) -> str:
        """A ``table`` environment, shrunk to the line where it is wider; needs the packages booktabs and graphicx.

        The first clause of the title is the caption, the rest a note below the table; the label is ``tab:<name>``.
        """
        caption, note = _parted(self.title)
        body = [" & ".join(_latex(shown(entry)) for entry in row) + r" \\" for row in self.rows]
        head = " & ".join(_latex(head) for head in self.columns) + r" \\"
        return "\n".join(
            [
                r"\begin{table}",
                rf"\caption{{{_latex(caption)}}}",
                rf"\label{{tab:{self.name.replace('_', '-')}}}",
                rf"\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{\begin{{tabular}}{{{''.join(self._alignment())}}}",
                r"\toprule",
                head,
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}}",
                *([rf"\par\smallskip{{\footnotesize {_latex(note)}}}"] if note else []),
                r"\end{table}",
                "",
            ]
        )


def _parted(title: str) -> tuple[str, str]:
    """The first clause, and what follows it as a sentence."""
    found = re.search(r"[.;] ", title)
    if found is None:
        return title.rstrip("."), ""
    rest = title[found.end() :].strip()
    return title[: found.start()], rest[:1].upper() + rest[1:]


def shown(entry: Entry) -> str:
    """An entry for people: three significant digits, intervals in brackets, ``–`` where there is none."""
    if entry is None or isinstance(entry, Estimate):
        return estimate(entry)
    return entry if isinstance(entry, str) else str(entry) if isinstance(entry, int) else amount(entry)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return escaped.replace("_", "\\_").replace("*", "\\*").replace("`", "\\`")


LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "×": r"$\times$",
    "−": "$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "–": "--",
    "±": r"$\pm$",
    **{symbol: f"\\{symbol}" for symbol in "&%$#_"},
}


def _latex(text: str) -> str:
    return "".join(LATEX.get(symbol, symbol) for symbol in text.replace("\n", " "))
