"""What is measured twice: statements about a dataset that follow from its functional dependencies."""

from __future__ import annotations

from harness.datasets.base import Dataset


def determined(dataset: Dataset, start: str) -> set[str]:
    """Columns that a column determines by the stated dependencies (Armstrong's axioms), itself among them."""
    reached, grown = {start}, True
    while grown:
        new = {fd.rhs for fd in dataset.fds if reached.issuperset(fd.lhs)} - reached
        reached |= new
        grown = bool(new)
    return reached


def implied_rules(dataset: Dataset) -> list[str]:
    """Names of the rules that measure what a stated dependency measures: each of their columns follows from another by the dependencies.

    A ``map`` from A to B is implied by dependencies that lead from A to B, ``one_to_one`` by those that lead both ways (Armstrong's
    axioms over those with one column on the left).
    """
    found = []
    for rule in dataset.rules:
        columns = [str(name) for name in rule.get("columns") or []]
        if rule.get("type") not in ("map", "one_to_one") or len(columns) != 2:
            continue
        ways = [(columns[0], columns[1])] + ([(columns[1], columns[0])] if rule["type"] == "one_to_one" else [])
        if all(end in determined(dataset, start) for start, end in ways):
            found.append(str(rule.get("name")))
    return found


def overlaps(dataset: Dataset) -> list[str]:
    """One sentence for each way in which families would measure one thing twice, and what is done about it."""
    sentences = []
    if implied := implied_rules(dataset):
        what = f"rules {', '.join(implied)} follow" if len(implied) > 1 else f"rule {implied[0]} follows"
        sentences.append(f"{what} from the dependencies: left out of rules.violation_rate_own, the family's headline.")
    if dataset.condition is not None and (twice := determined(dataset, dataset.condition) - {dataset.condition}):
        sentences.append(
            f"the condition column '{dataset.condition}' determines {', '.join(sorted(twice))}: left out of conditional.distance."
        )
    target = dataset.schema.target
    for fd in dataset.fds:
        if fd.rhs == target:
            sentences.append(
                f"the target '{target}' follows from {fd}: ML efficacy rewards keeping that dependency too."
            )
    return sentences
