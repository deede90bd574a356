"""The gate: whether a generator gives its training rows away beyond what chance lets held-out rows do.

Limits come from the sampling noise of what is measured, never from a constant chosen on tables. A generator that knows nothing of
train but its distribution makes rows to which train and test rows are exchangeable; each test below asks whether that can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.ranking.numbers import percent
from harness.records.record import Record, Score

ERROR = 0.01
"""Chance that a generator without any memory is marked on some dataset; shared evenly by all tests made of it (Bonferroni)."""

COPIES, CLOSEST, MEMBERS, COPYING = (
    "privacy.exact_copy_share",
    "privacy.dcr_share",
    "privacy.membership_auc",
    "detection.roc_auc_copying",
)
TESTS = 4
"""Copies, closer to train, closer to test, membership. The copying flag has a test of its own (:class:`TwoSampleTest`)."""


@dataclass(frozen=True)
class Sizes:
    """Rows behind the scores of a cell."""

    train: int
    test: int
    synthetic: int


def findings(records: Sequence[Record], datasets: int = 1) -> list[str]:
    """What speaks for memorised rows in the runs of one generator on one dataset, in words; empty when nothing does.

    Args:
        records: with scores, one a training seed; means over them are judged, at the noise of a single one.
        datasets: on how many the generator is looked at.
    """
    usable = [record for record in records if record.scores and record.rows.get("train") and record.rows.get("test")]
    if not usable:
        return []
    rows = usable[0].rows
    sizes = Sizes(rows["train"], rows["test"], max(1, usable[0].cell.n_rows))
    level = ERROR / (TESTS * max(1, datasets))
    flag = _mean(usable, COPYING)
    sentences = [
        _copies(_mean(usable, COPIES), sizes, level),
        _closest(_mean(usable, CLOSEST), sizes, level),
        _members(_mean(usable, MEMBERS), sizes, level),
        "a detector takes its rows for the real ones they copy" if flag and flag[0] >= 0.5 else None,
    ]
    return [sentence for sentence in sentences if sentence]


def checked(records: Sequence[Record]) -> bool:
    """Whether some run holds what the gate looks at."""
    return any(
        record.rows.get("test")
        and {COPIES, CLOSEST, MEMBERS} <= {s.metric for s in record.scores if s.value is not None}
        for record in records
    )


def _mean(records: Sequence[Record], name: str) -> tuple[float, float | None] | None:
    """Mean value and *real* anchor over the records that have the score."""
    known: list[Score] = [
        score for record in records if (score := record.score(name)) is not None and score.value is not None
    ]
    if not known:
        return None
    anchors = [score.real for score in known if score.real is not None]
    return fmean(value for score in known if (value := score.value) is not None), fmean(anchors) if anchors else None


def _quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - level))


def _copies(found: tuple[float, float | None] | None, sizes: Sizes, level: float) -> str | None:
    """Exact copies among synthetic rows against those among test rows: given both counts' sum, a binomial one."""
    from scipy.special import bdtrc

    if found is None or found[1] is None:
        return None
    value, real = found[0], found[1]
    made, usual = round(value * sizes.synthetic), round(real * sizes.test)
    if not made or bdtrc(made - 1, made + usual, sizes.synthetic / (sizes.synthetic + sizes.test)) > level:
        return None
    return f"{percent(value)} of its rows equal a training row (of held-out rows {percent(real)} do)"


def _closest(found: tuple[float, float | None] | None, sizes: Sizes, level: float) -> str | None:
    """Rows closer to train than to test, or the other way round.

    The share of rows closer to train has the variance p q (1/rows + 1/test rows), p = train/(train + test): synthetic rows near one
    real row go together. The score's own unit adds the factor 1/(4 p q).
    """
    if found is None:
        return None
    value, real = found[0], 0.5 if found[1] is None else found[1]
    p = sizes.train / (sizes.train + sizes.test)
    reach = _quantile(level) * (1 / sizes.synthetic + 1 / sizes.test) ** 0.5 / (4 * float((p * (1 - p)) ** 0.5))
    if value > max(0.5, real) + reach:
        return f"its rows lie closer to training rows than held-out rows do (share {value:.3f}, limit {max(0.5, real) + reach:.3f})"
    if value < min(0.5, real) - reach:
        return (
            f"its rows lie closer to the held-out test rows than to training rows (share {value:.3f}, limit "
            f"{min(0.5, real) - reach:.3f}): it has seen what it must not see"
        )
    return None


def _members(found: tuple[float, float | None] | None, sizes: Sizes, level: float) -> str | None:
    """The attacker's AUC against its spread where train and test rows are exchangeable (Mann and Whitney, 1947)."""
    if found is None:
        return None
    value, real = found[0], 0.5 if found[1] is None else found[1]
    error = ((sizes.train + sizes.test + 1) / (12 * sizes.train * sizes.test)) ** 0.5
    limit = max(0.5, real) + _quantile(level) * error
    if value <= limit:
        return None
    return f"an attacker who sees its rows tells training rows from others (AUC {value:.3f}, limit {limit:.3f})"


def findings_by_dataset(cells: Mapping[tuple[str, str], Sequence[Record]], label: str) -> dict[str, list[str]]:
    """Findings of a generator by dataset, of the datasets where there are some.

    Args:
        cells: records by dataset and generator label.
        label: of the generator.
    """
    own = {dataset: records for (dataset, name), records in cells.items() if name == label}
    found = {dataset: findings(records, len(own)) for dataset, records in own.items()}
    return {dataset: sentences for dataset, sentences in found.items() if sentences}
