"""What has to be said beside the numbers: how they were made, what is missing, what they cannot show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.ranking.families import FAMILIES
from harness.ranking.intervals import LEAST_FOR_CHANCES, LEAST_TABLES, TABLES_LEVEL
from harness.ranking.memorisation import checked
from harness.ranking.numbers import amount, bracket, number, percent
from harness.ranking.standings import Standings, sum_seconds
from harness.ranking.wording import MOST_NAMED, listed, plural
from harness.records.store import Problem

SMALL = ("smoke", "small")


def notes(board: Standings, problems: Sequence[Problem] = ()) -> list[str]:
    """Sentences, most important first."""
    return [
        sentence
        for sentence in (
            _budgets(board),
            _clock(board),
            _scale(board),
            _policy(board),
            *_evidence(board),
            _told_apart(board),
            _empty(board),
            _memory(board),
            _references(board),
            _undefined(board),
            _failures(board),
            _missing(board),
            _incomplete(board),
            _problems(problems),
        )
        if sentence
    ]


def in_short(board: Standings) -> list[str]:
    """What the numbers say, each with its uncertainty: who leads, who breaks fewest dependencies, what the cheapest good ones are."""
    said = (_leader(board), _dependencies(board), _front(board)) if board.kept else ()
    return [sentence for sentence in said if sentence]


def _over(board: Standings) -> str:
    seeds = {row.n_seeds for row in board.rows if row.label in board.ranked and row.n_seeds}
    least, most = min(seeds, default=0), max(seeds, default=0)
    trained = plural(most, "training seed") if least == most else f"{least} to {most} training seeds"
    return f"{plural(len(board.kept), 'dataset')} × {trained}"


def _leader(board: Standings) -> str:
    if not board.pairs:
        return ""
    pair = board.pairs[0]
    first = next(row for row in board.rows if row.label == pair.first)
    lead = f"Best overall: {pair.first}, {bracket(first.overall)}; next is {pair.second}, {bracket(pair.difference)} behind"
    if len(board.kept) == 1:
        shown = "" if pair.shown else "; that it is better is not shown"
        return f"{lead}, on one dataset ({_over(board)}){shown}; other tables may order them differently."
    if len(board.kept) < LEAST_TABLES:
        return f"{lead}, over {_over(board)}, too few to say what holds for other tables."
    said = "better on tables like these" if pair.shown else "that it is better is not shown"
    p = (
        ""
        if pair.p_adjusted is None
        else f" (p = {number(pair.p_adjusted, 3)}, Holm over {plural(len(board.pairs), 'pair')})"
    )
    return f"{lead}, over {_over(board)}: {said}{p}."


def _dependencies(board: Standings) -> str:
    known = [
        (row.fd_violation.value, row)
        for row in board.rows
        if row.fd_violation is not None and row.label in board.ranked
    ]
    if len(known) < 2:
        return ""
    (least, best), *_, (most, last) = sorted(known, key=lambda item: (item[0], item[1].label))
    found = best.fd_violation
    within = "" if found is None or found.low is None else f" [{percent(found.low)}, {percent(found.high)}]"
    return (
        f"Functional dependencies: {best.label} breaks them in fewest rows, {percent(least)}{within}; "
        f"{last.label} in most, {percent(most)}."
    )


def _front(board: Standings) -> str:
    front = sorted((sum_seconds(row), row.label) for row in board.rows if row.pareto)
    if not front:
        return ""
    cheapest = listed([f"{label} ({amount(spent)} s)" for spent, label in front])
    return f"Pareto front (◆: no other is both better and cheaper; seconds of fit and sample per cell): {cheapest}."


def scales(board: Standings) -> list[str]:
    """The budget scales the records say they were run at."""
    return sorted({str(scale) for unit in board.units if (scale := unit.record.environment.get("scale"))})


def provenance(board: Standings) -> str:
    """Versions and machines the records were made with, at most three of each."""
    said = []
    for name, key in (
        ("harness commit", "commit"),
        ("Python", "python"),
        ("processor", "cpu"),
        ("budget scale", "scale"),
    ):
        environments = [unit.record.environment for unit in board.units]
        found = sorted(
            {
                str(one[key])[: 10 if key == "commit" else None]
                + (" with local changes" if key == "commit" and one.get("dirty") else "")
                for one in environments
                if one.get(key)
            }
        )
        if found:
            said.append(f"{name} {', '.join(found[:3])}{f' and {len(found) - 3} more' if len(found) > 3 else ''}")
    return "; ".join(said)


def _budgets(board: Standings) -> str:
    found = scales(board)
    if not any(scale in SMALL for scale in found):
        return ""
    mixed = " Records of different budgets are mixed here." if len(found) > 1 else ""
    return f"Budgets: {', '.join(found)} — a demonstration, not a ranking.{mixed}"


def _clock(board: Standings) -> str:
    """The common clock, where there was one."""
    clocks = {unit.record.environment.get("budget_fit_seconds") for unit in board.units}
    if clocks == {None} or not clocks:
        return ""
    if len(clocks) > 1:
        return "Clock: records with and without budget.fit_seconds, or with different ones, are mixed here."
    return (
        f"Clock: every fit was given {clocks.pop():g} s (budget.fit_seconds) and its paper's settings otherwise; what was cut says so "
        "in its record."
    )


def _scale(board: Standings) -> str:
    shown = [f for f in FAMILIES if any(f.key in row.families for row in board.rows)]
    if not shown:
        return "No normalised score is defined: the records hold no scores with anchors."
    quality = ", ".join(f.title for f in shown if f.quality)
    aside = "; privacy is shown beside it" if any(not f.quality for f in shown) else ""
    return (
        f"Scores: 0 = columns sampled independently, 1 = held-out real rows, clipped to [0, 1]; higher "
        f"is better. Overall, the headline, is the mean of {quality}{aside}. FD viol is the raw share of rows that break a "
        "dependency, lower is better. n = datasets × training seeds. " + _intervals(board)
    )


def _intervals(board: Standings) -> str:
    count = len(board.kept)
    if count == 1:
        return "Intervals are 95 %, Student's t over the training seeds of the one dataset."
    if count < LEAST_TABLES:
        return ""
    return (
        f"Intervals are Student's t over the datasets' means at a nominal {TABLES_LEVEL:.0%}, so that they cover at least 95 % where "
        "effects of datasets are skewed; ranks and chances of improvement: Clopper and Pearson's, 95 %; IQM and Elo: jackknife."
    )


def _policy(board: Standings) -> str:
    dropped = [dataset for dataset in board.datasets if dataset not in board.kept]
    if board.policy.missing != "drop":
        counted = "the floor, 0," if board.policy.missing == "floor" else "0"
        return f"Missing cells (missing={board.policy.missing}): each failed or absent cell counts as {counted} in averages and ranks."
    said = "Missing cells (missing=drop): a dataset some generator did not finish is left out for all, which hides that it could not"
    if not dropped:
        return f"{said}; none was. Failed seeds of finished pairs are not counted in averages."
    if not board.kept:
        return (
            f"{said}; no dataset is complete, so averages are over each generator's own datasets, are NOT comparable, and nothing "
            "is ranked. Run the missing cells, or use missing=floor."
        )
    return f"{said}: {listed(dropped)}. Averages and ranks are over {plural(len(board.kept), 'dataset')}."


def _evidence(board: Standings) -> list[str]:
    if not board.kept:
        return []
    said = []
    count = len(board.kept)
    seeds = min((row.n_seeds for row in board.rows if row.n_seeds and not row.reference), default=0)
    if count == 1:
        said.append(
            "One dataset: intervals cover seeds only; nothing here says how the order of generators would change on another table."
        )
    elif count < LEAST_TABLES:
        said.append(f"{count} datasets: no interval, rank or chance, for these say what holds for other tables.")
    elif count < LEAST_FOR_CHANCES:
        said.append(
            f"P(better), P(equal) and P(worse) are left out below {LEAST_FOR_CHANCES} datasets, where they are not calibrated."
        )
    if seeds == 1:
        said.append(
            "One training seed: the spread between trainings is not known; use at least 3 (better 5) to compare generators."
        )
    return said


def _told_apart(board: Standings) -> str:
    if board.critical_difference is None:
        return ""
    groups = "; ".join(", ".join(group) for group in board.cliques) or "none"
    return (
        f"Mean ranks closer than {board.critical_difference:.2f} are not told apart (Nemenyi, 5 %, "
        f"{plural(len(board.kept), 'dataset')}): {groups}. Elo: {board.elo_anchor} has 1000; 400 more are odds of 10 to 1."
    )


def _empty(board: Standings) -> str:
    if not board.empty:
        return ""
    return f"Without any scored cell and therefore not ranked, dropping no dataset: {listed(board.empty)} (missing=floor counts 0)."


def _references(board: Standings) -> str:
    shown = [row.label for row in board.rows if row.reference]
    return (
        f"Below the line, not ranked, the ends and traps of the scale: {', '.join(shown)}."
        if shown and len(shown) < len(board.rows)
        else ""
    )


def _memory(board: Standings) -> str:
    """Who memorises, and why; whose rows could not be checked."""
    said = []
    for row in board.rows:
        if row.memorises and not row.reference:
            where = "; ".join(f"on {dataset}: {', '.join(reasons)}" for dataset, reasons in row.memorises.items())
            said.append(
                f"{row.label} memorises its training rows, so it stands below the line and is not ranked ({where})."
            )
    unchecked = [
        label
        for label in board.ranked
        if not any(checked([u.record for u in board.cells.get((d, label), ()) if u.scored]) for d in board.datasets)
    ]
    if unchecked and board.empty != unchecked:
        said.append(
            f"Not checked for memorised rows, for lack of privacy scores (evaluation=default has them): {listed(unchecked)}."
        )
    return " ".join(said)


def _undefined(board: Standings) -> str:
    """Families without a score although their metric was computed."""
    found: dict[tuple[str, str], str] = {}
    for unit in board.units:
        for key, reason in unit.reasons.items():
            if reason and not any(key in other.families for other in board.units if other.dataset == unit.dataset):
                found.setdefault((unit.dataset, key), reason)
    titles = {family.key: family.title for family in FAMILIES}
    parts = [f"{titles[key]} on {dataset} ({reason.rstrip('.')})" for (dataset, key), reason in sorted(found.items())]
    return f"Without a normalised score: {listed(parts)}." if parts else ""


def _failures(board: Standings) -> str:
    found = Counter((unit.record.status, unit.generator) for unit in board.units if unit.record.status != "ok")
    if not found:
        return ""
    parts = [f"{generator} {status} ×{count}" for (status, generator), count in sorted(found.items())]
    return f"Not ok: {listed(parts)} (of {plural(len(board.units), 'cell')})."


def _missing(board: Standings) -> str:
    if not board.missing:
        return ""
    total = len(board.datasets) * len(board.labels)
    pairs = [f"{generator} on {dataset}" for dataset, generator in board.missing]
    return f"Missing pairs, without any scored cell: {len(pairs)} of {total}: {listed(pairs)}."


def _incomplete(board: Standings) -> str:
    lacking = [unit for unit in board.units if unit.scored and unit.families and unit.overall is None]
    if not lacking:
        return ""
    names = sorted({f"{unit.generator} on {unit.dataset}" for unit in lacking})
    return f"Without an overall score, because a metric of the others is missing: {listed(names)}."


def _problems(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    return (
        "Not used: "
        + "; ".join(f"{problem.path}: {problem.reason}" for problem in problems[:MOST_NAMED])
        + (f"; and {len(problems) - MOST_NAMED} more." if len(problems) > MOST_NAMED else "")
    )
