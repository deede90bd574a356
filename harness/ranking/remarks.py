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


def notes(standings: Standings, problems: Sequence[Problem] = ()) -> list[str]:
    """Sentences, most important first."""
    return [
        sentence
        for sentence in (
            budgets(standings),
            _clock(standings),
            _scale(standings),
            _policy(standings),
            *_evidence(standings),
            _told_apart(standings),
            _empty(standings),
            _memory(standings),
            _references(standings),
            _undefined(standings),
            _failures(standings),
            _missing(standings),
            _incomplete(standings),
            _problems(problems),
        )
        if sentence
    ]


def in_short(standings: Standings) -> list[str]:
    """What the numbers say, each with its uncertainty: who leads, who breaks fewest dependencies, what the cheapest good ones are."""
    said = (_leader(standings), _dependencies(standings), _front(standings)) if standings.kept else ()
    return [sentence for sentence in said if sentence]


def _over(standings: Standings) -> str:
    seeds = {row.n_seeds for row in standings.rows if row.label in standings.ranked and row.n_seeds}
    least, most = min(seeds, default=0), max(seeds, default=0)
    trained = plural(most, "training seed") if least == most else f"{least} to {most} training seeds"
    return f"{plural(len(standings.kept), 'dataset')} × {trained}"


def _leader(standings: Standings) -> str:
    if not standings.pairs:
        return ""
    pair = standings.pairs[0]
    first = next(row for row in standings.rows if row.label == pair.first)
    lead = f"Best overall: {pair.first}, {bracket(first.overall)}; next is {pair.second}, {bracket(pair.difference)} behind"
    if len(standings.kept) == 1:
        shown = "" if pair.shown else "; that it is better is not shown"
        return f"{lead}, on one dataset ({_over(standings)}){shown}; other tables may order them differently."
    if len(standings.kept) < LEAST_TABLES:
        return f"{lead}, over {_over(standings)}, too few to say what holds for other tables."
    said = "better on tables like these" if pair.shown else "that it is better is not shown"
    p = (
        ""
        if pair.p_adjusted is None
        else f" (p = {number(pair.p_adjusted, 3)}, Holm over {plural(len(standings.pairs), 'pair')})"
    )
    return f"{lead}, over {_over(standings)}: {said}{p}."


def _dependencies(standings: Standings) -> str:
    known = [
        (row.fd_violation.value, row)
        for row in standings.rows
        if row.fd_violation is not None and row.label in standings.ranked
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


def _front(standings: Standings) -> str:
    front = sorted((sum_seconds(row), row.label) for row in standings.rows if row.pareto)
    if not front:
        return ""
    cheapest = listed([f"{label} ({amount(spent)} s)" for spent, label in front])
    return f"Pareto front (◆: no other is both better and cheaper; seconds of fit and sample per cell): {cheapest}."


def scales(standings: Standings) -> list[str]:
    """The budget scales the records say they were run at."""
    return sorted({str(scale) for run in standings.runs if (scale := run.record.environment.get("scale"))})


def provenance(standings: Standings) -> str:
    """Versions and machines the records were made with, at most three of each."""
    said = []
    for name, key in (
        ("harness commit", "commit"),
        ("Python", "python"),
        ("processor", "cpu"),
        ("budget scale", "scale"),
    ):
        environments = [run.record.environment for run in standings.runs]
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


def budgets(standings: Standings) -> str:
    """Whether the records were made with shortened training; empty when not."""
    found = scales(standings)
    if not any(scale in SMALL for scale in found):
        return ""
    mixed = " Records of different budgets are mixed here." if len(found) > 1 else ""
    if "smoke" in found:
        return f"Budgets: {', '.join(found)} — a demonstration, not a ranking.{mixed}"
    return f"Budgets: {', '.join(found)}: training is shortened for every generator; scale=full has the methods' own.{mixed}"


def _clock(standings: Standings) -> str:
    """The common clock, where there was one."""
    clocks = {run.record.environment.get("budget_fit_seconds") for run in standings.runs}
    if clocks == {None} or not clocks:
        return ""
    if len(clocks) > 1:
        return "Clock: records with and without budget.fit_seconds, or with different ones, are mixed here."
    return (
        f"Clock: every fit was given {clocks.pop():g} s (budget.fit_seconds) and its paper's settings otherwise; what was cut says so "
        "in its record."
    )


def _scale(standings: Standings) -> str:
    shown = [f for f in FAMILIES if any(f.key in row.families for row in standings.rows)]
    if not shown:
        return "No normalised score is defined: the records hold no scores with anchors."
    quality = ", ".join(f.title for f in shown if f.quality)
    aside = "; privacy is shown beside it" if any(not f.quality for f in shown) else ""
    return (
        f"Scores: 0 = columns sampled independently, 1 = held-out real rows, clipped to [0, 1]; higher "
        f"is better. Overall, the headline, is the mean of {quality}{aside}. FD viol is the raw share of rows that break a "
        "dependency, lower is better. n = datasets × training seeds. " + _intervals(standings)
    )


def _intervals(standings: Standings) -> str:
    count = len(standings.kept)
    if count == 1:
        return "Intervals are 95 %, Student's t over the training seeds of the one dataset."
    if count < LEAST_TABLES:
        return ""
    return (
        f"Intervals are Student's t over the datasets' means at a nominal {TABLES_LEVEL:.0%}, so that they cover at least 95 % where "
        "effects of datasets are skewed; ranks and chances of improvement: Clopper and Pearson's, 95 %; IQM and Elo: jackknife."
    )


def _policy(standings: Standings) -> str:
    dropped = [dataset for dataset in standings.datasets if dataset not in standings.kept]
    if standings.policy.missing != "drop":
        counted = "the floor, 0," if standings.policy.missing == "floor" else "0"
        return f"Missing cells (missing={standings.policy.missing}): each failed or absent cell counts as {counted} in averages and ranks."
    said = "Missing cells (missing=drop): a dataset some generator did not finish is left out for all, which hides that it could not"
    if not dropped:
        return f"{said}; none was. Failed seeds of finished pairs are not counted in averages."
    if not standings.kept:
        return (
            f"{said}; no dataset is complete, so averages are over each generator's own datasets, are NOT comparable, and nothing "
            "is ranked. Run the missing cells, or use missing=floor."
        )
    return f"{said}: {listed(dropped)}. Averages and ranks are over {plural(len(standings.kept), 'dataset')}."


def _evidence(standings: Standings) -> list[str]:
    if not standings.kept:
        return []
    said = []
    count = len(standings.kept)
    seeds = min((row.n_seeds for row in standings.rows if row.n_seeds and not row.reference), default=0)
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


def _told_apart(standings: Standings) -> str:
    if standings.critical_difference is None:
        return ""
    groups = "; ".join(", ".join(group) for group in standings.cliques) or "none"
    return (
        f"Mean ranks closer than {standings.critical_difference:.2f} are not told apart (Nemenyi, 5 %, "
        f"{plural(len(standings.kept), 'dataset')}): {groups}. Elo: {standings.elo_anchor} has 1000; 400 more are odds of 10 to 1."
    )


def _empty(standings: Standings) -> str:
    if not standings.empty:
        return ""
    return f"Without any scored cell and therefore not ranked, dropping no dataset: {listed(standings.empty)} (missing=floor counts 0)."


def _references(standings: Standings) -> str:
    shown = [row.label for row in standings.rows if row.reference]
    return (
        f"Below the line, not ranked, the ends and traps of the scale: {', '.join(shown)}."
        if shown and len(shown) < len(standings.rows)
        else ""
    )


def _memory(standings: Standings) -> str:
    """Who memorises, and why; whose rows could not be checked."""
    said = []
    for row in standings.rows:
        if row.memorises and not row.reference:
            where = "; ".join(f"on {dataset}: {', '.join(reasons)}" for dataset, reasons in row.memorises.items())
            said.append(
                f"{row.label} memorises its training rows, so it stands below the line and is not ranked ({where})."
            )
    unchecked = [
        label
        for label in standings.ranked
        if not any(
            checked([u.record for u in standings.by_pair.get((d, label), ()) if u.scored]) for d in standings.datasets
        )
    ]
    if unchecked and standings.empty != unchecked:
        said.append(
            f"Not checked for memorised rows, for lack of privacy scores (evaluation=default has them): {listed(unchecked)}."
        )
    return " ".join(said)


def _undefined(standings: Standings) -> str:
    """Families without a score although their metric was computed."""
    known = {(run.dataset, key) for run in standings.runs for key in run.families}
    found: dict[tuple[str, str], str] = {}
    for run in standings.runs:
        for key, reason in run.reasons.items():
            if reason and (run.dataset, key) not in known:
                found.setdefault((run.dataset, key), reason)
    titles = {family.key: family.title for family in FAMILIES}
    parts = [f"{titles[key]} on {dataset} ({reason.rstrip('.')})" for (dataset, key), reason in sorted(found.items())]
    return f"Without a normalised score: {listed(parts)}." if parts else ""


def _failures(standings: Standings) -> str:
    found = Counter((run.record.status, run.generator) for run in standings.runs if run.record.status != "ok")
    if not found:
        return ""
    parts = [f"{generator} {status} ×{count}" for (status, generator), count in sorted(found.items())]
    return f"Not ok: {listed(parts)} (of {plural(len(standings.runs), 'cell')})."


def _missing(standings: Standings) -> str:
    if not standings.missing:
        return ""
    total = len(standings.datasets) * len(standings.labels)
    pairs = [f"{generator} on {dataset}" for dataset, generator in standings.missing]
    return f"Missing pairs, without any scored cell: {len(pairs)} of {total}: {listed(pairs)}."


def _incomplete(standings: Standings) -> str:
    lacking = [run for run in standings.runs if run.scored and run.families and run.overall is None]
    if not lacking:
        return ""
    names = sorted({f"{run.generator} on {run.dataset}" for run in lacking})
    return f"Without an overall score, because a metric of the others is missing: {listed(names)}."


def _problems(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    return (
        "Not used: "
        + "; ".join(f"{problem.path}: {problem.reason}" for problem in problems[:MOST_NAMED])
        + (f"; and {len(problems) - MOST_NAMED} more." if len(problems) > MOST_NAMED else "")
    )
