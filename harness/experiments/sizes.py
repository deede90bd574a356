"""rq5 and the model-size ablation: violation against model size at each order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness import figures
from harness.experiments.study import (
    FD_RATE,
    ORDER_PARAMS,
    Contrast,
    Result,
    Study,
    contrast,
    contrast_table,
    evidence,
    gather,
    interval_text,
    order_contrast,
    order_levels,
    order_of,
    size_of,
    verdict,
)
from harness.experiments.tables import Entry, Table, file_name
from harness.standings import over_seeds
from harness.units import Unit, flatten


def model_of(unit: Unit) -> str | None:
    """A language model's setting in words: the pretrained name, or layers × width, and what else its ``llm`` says.

    The same setting has different numbers of parameters on different tables, because the vocabulary is part of the model.
    """
    flat = {
        key.removeprefix("llm."): text
        for key, text in flatten(unit.record.cell.params).items()
        if key.startswith("llm.")
    }
    if size_of(unit) is None or order_of(unit) is None:
        return None
    if flat.get("pretrained", "null") != "null":
        return Path(flat["pretrained"]).name
    return f"{flat.get('layers', '?')} layers × {flat.get('width', '?')}"


def _sizes(study: Study, folder: Path, result: Result, name: str) -> None:
    """Violation against model size, one line per order, models without an order as levels; contrasts within each model."""
    sized = [unit for unit in study.scored if model_of(unit) is not None]
    models = sorted(
        {model for unit in sized if (model := model_of(unit))}, key=lambda model: (_size(sized, model), model)
    )
    claims = [claim for model in models if (claim := _within(study, sized, model)) is not None]
    title = "Violation rate of dependencies, fixed FD order minus random order, within each model, smallest first"
    result.tables.append(contrast_table("order_contrast_by_model", title, claims))
    for dataset in study.datasets_with(FD_RATE):
        _lines(study, sized, folder, result, name, dataset)
    what = "the violation rate of dependencies"
    result.answer += [verdict(claim, what) for claim in claims]
    if len(claims) < 2:
        held = f"a single model ({models[0]})" if len(models) == 1 else f"{len(claims)} models with both orders"
        result.answer.append(
            f"Not shown at this scale: whether size makes the order unnecessary, because the records hold {held}."
        )
        return
    small, large = claims[0].difference, claims[-1].difference
    apart = (
        small.high is not None
        and large.low is not None
        and (large.low > small.high or (large.high or 0) < (small.low or 0))
    )
    result.answer.append(
        f"From {models[0]} to {models[-1]} the difference fd − random goes from {interval_text(small)} to {interval_text(large)}: "
        + ("the intervals are apart." if apart else "a change of the gap with size is not shown at this scale.")
    )


def _size(sized: Sequence[Unit], model: str) -> float:
    return max(size for unit in sized if model_of(unit) == model and (size := size_of(unit)) is not None)


def _within(study: Study, sized: Sequence[Unit], model: str) -> Contrast | None:
    values = gather([unit for unit in sized if model_of(unit) == model], order_of, FD_RATE, ORDER_PARAMS)
    found = contrast(values, "fd", "random", study.policy)
    return None if found is None else replace(found, first=f"order fd ({model})", second=f"order random ({model})")


def _lines(study: Study, sized: Sequence[Unit], folder: Path, result: Result, name: str, dataset: str) -> None:
    """The table and the figure of one dataset."""
    numbers: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for unit in sized:
        value, size, order = unit.value(FD_RATE), size_of(unit), order_of(unit)
        if unit.dataset == dataset and value is not None and size is not None and order is not None:
            numbers[order][size].append(value)
    series = {
        order: [(float(size), over_seeds(found, (0.0, 1.0))) for size, found in sorted(numbers[order].items())]
        for order in order_levels(list(numbers))
    }
    as_is = {
        unit.generator
        for unit in study.scored
        if unit.dataset == dataset and unit.record.cell.target.startswith("methods.") and order_of(unit) is None
    }
    levels = {label: found for label in sorted(as_is) if (found := study.cell(dataset, label, FD_RATE)) is not None}
    rows: list[list[Entry]] = [[order, int(size), found] for order, points in series.items() for size, found in points]
    rows += [[label, None, found] for label, found in levels.items()]
    title = f"{dataset}: violation rate of dependencies by order and model size, means over runs, 95 % intervals"
    result.tables.append(
        Table(file_name("violation_by_size", dataset), title, ["order", "parameters", "FD violation rate"], rows)
    )
    if series:
        path = folder / file_name(name, dataset)
        result.figures[path.name] = partial(
            figures.lines,
            path,
            f"{dataset}: violation against model size, 95 % intervals",
            "parameters (log axis)",
            "FD violation rate",
            series,
            {label: found.value for label, found in levels.items()},
            log_x=True,
        )


def rq5(study: Study, folder: Path) -> Result:
    """Do larger or newer language models make the order unnecessary?"""
    result = Result("Do larger or newer language models make the order unnecessary?")
    result.answer = ["All sizes: " + verdict(order_contrast(study, FD_RATE), "the violation rate of dependencies")]
    _sizes(study, folder, result, "violation_by_size")
    result.answer.append(evidence(study))
    return result


def ablation_model_size(study: Study, folder: Path) -> Result:
    """How does violation change with model size, at each order?"""
    result = Result("How does violation change with the size of the model?")
    _sizes(study, folder, result, "ablation_model_size")
    result.answer.append(evidence(study))
    return result
