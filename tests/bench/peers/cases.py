"""The cases: what is compared. Each gives entries of ``peers.json``."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.datasets.base import Dataset
from tests.bench.peers.models import OURS, SMALL, THEIRS, Bench, recipe, text_training, weights
from tests.bench.peers.ours import held_out_loss, texts_of
from tests.bench.peers.turns import Side, fidelity, take_turns

Entry = dict[str, Any]


def entry(
    name: str,
    peer: str,
    setting: str,
    ours: float | None,
    theirs: float | None,
    *,
    unit: str = "complete rows/s",
    limit_share: float | None = None,
    target: float | None = None,
    lower_is_better: bool = False,
    **detail: Any,
) -> Entry:
    """One case. ``ratio`` says how many times better ours is; ``None`` where a side has no figure, and ``detail`` says why."""
    ratio = None
    if ours and theirs:
        ratio = theirs / ours if lower_is_better else ours / theirs
    return {
        "name": name,
        "peer": peer,
        "setting": setting,
        "ours": short(ours),
        "theirs": short(theirs),
        "ratio": short(ratio),
        "limit_share": short(limit_share),
        "unit": unit,
        "target": target,
        "detail": short(detail),
    }


def short(value: Any) -> Any:
    """Four significant digits, throughout."""
    if isinstance(value, Mapping):
        return {key: short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [short(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def same_weights(
    bench: Bench,
    name: str,
    *,
    target: float | None,
    fixed: bool = False,
    by_great: bool = False,
    variant: str = "",
    size: tuple[int, int] = SMALL,
) -> list[Entry]:
    """Sampling from the same weights and text: be-great's default against ours with names forced.

    Args:
        bench: where models are kept.
        name: the table.
        target: the ratio aimed at.
        fixed: whether ours writes the table's column order throughout, so that prefixes can be shared (the weights know every
            order); be-great then starts with its first column, else with its default, the last one.
        by_great: whether be-great trained the weights.
        variant: added to the case's name.
        size: layers and width of the model.
    """
    dataset = bench.dataset(name)
    order = "original" if fixed else "random"
    given = weights(bench, name, by_great=by_great, size=size)
    ours: dict[str, Any] = {"sampled_order": order, "temperature": 0.7, "decoding": "template", "device": "cpu"}
    start = dataset.schema.names[0 if fixed else -1]
    theirs = recipe(
        "great", llm=str(given.model), sample_batch=100, max_length=given.tokens, device="cpu", max_attempts=10.0
    )
    great = bench.environments["great"]
    sides = {
        "ours": bench.side(f"{name}-ours", f"{OURS}OurRows", ours, keep=given.keep),
        "theirs": bench.side(f"{name}-great", f"{THEIRS}GivenGReaT", {**theirs, "start": start}, environment=great),
        "limit": bench.side(f"{name}-limit", f"{OURS}TeacherForced", ours, keep=given.keep),
    }
    if fixed:
        unshared = {**ours, "prefix_sharing": False}
        sides["unshared"] = bench.side(f"{name}-unshared", f"{OURS}OurRows", unshared, keep=given.keep)
    for side in sides.values():
        side.fit(dataset)
    take_turns(sides, bench.rows(name, True), dataset, bench.turns)
    return _compared(
        f"sample/{name}{variant}",
        "be_great",
        "same_weights",
        sides,
        dataset,
        target=target,
        weights=f"{size[0]} layers, width {size[1]}, trained {given.taught}",
        settings=f"temperature 0.7 on both sides; be-great: 100 rows a batch, at most {given.tokens} tokens, start column '{start}'; "
        f"ours: names forced, columns in {order} order",
    )


def _compared(
    name: str, peer: str, setting: str, sides: Mapping[str, Side], dataset: Dataset, **more: Any
) -> list[Entry]:
    """Entries of speed, yield and memory from sides that took their turns; ``unshared``, else ``ours``, shares no prefixes."""
    ours, theirs, limit = sides["ours"].turns, sides["theirs"].turns, sides["limit"].turns.rate
    assert limit is not None
    plain = sides.get("unshared", sides["ours"]).turns.rate or 0.0
    more |= {
        "limit_share": plain / limit,
        "teacher_forced_rows_per_second": limit,
        "ours_without_prefix_sharing": plain,
    }
    memory = {key: side.remote.describe()["peak_memory_bytes"] / 2**20 for key, side in sides.items()}
    scores = {
        key: None if side.turns.frame is None or not len(side.turns.frame) else fidelity(side.turns.frame, dataset)
        for key, side in sides.items()
        if key in ("ours", "theirs")
    }
    counts = {
        key: {"complete": side.turns.complete, "started": side.turns.started, "seconds": side.turns.seconds}
        for key, side in sides.items()
        if key != "limit"
    }
    for side in sides.values():
        side.close()
    what = name.removeprefix("sample/")
    return [
        entry(name, peer, setting, ours.rate, theirs.rate, turns=counts, fidelity=scores, **more),
        entry(f"yield/{what}", peer, setting, ours.yielded, theirs.yielded, unit="complete rows/row started"),
        entry(
            f"memory/sample/{what}",
            peer,
            setting,
            memory["ours"],
            memory["theirs"],
            unit="MiB, peak of the process",
            lower_is_better=True,
        ),
    ]


def default(
    bench: Bench, name: str, peer: str, target: float | None, *, variant: str = "", **changes: Any
) -> list[Entry]:
    """Each side as it ships, trained on the full table for 50 epochs or ``train_seconds``, whichever ends first.

    Args:
        bench: where models are kept.
        name: the table.
        peer: its generator.
        target: the ratio aimed at.
        variant: added to the case's name.
        changes: other arguments of the peer than those of its YAML.
    """
    dataset = bench.dataset(name)
    ours = recipe("permutation_aware_llm", device="cpu", max_train_seconds=bench.train_seconds)
    theirs = recipe(peer, device="cpu", max_train_seconds=bench.train_seconds, **changes)
    kept = {"great": "KeptGReaT", "realtabformer": "KeptREaLTabFormer"}[peer]
    folder = bench.folder
    sides = {
        "ours": bench.side(f"{name}-default", f"{OURS}OurRows", ours, keep=folder / f"default-{name}-ours"),
        "theirs": bench.side(
            f"{name}-{peer}-default{variant}",
            f"{THEIRS}{kept}",
            theirs,
            keep=folder / f"default-{name}-{peer}{variant}",
            environment=bench.environments[peer],
        ),
        "unshared": bench.side(
            f"{name}-default-unshared",
            f"{OURS}OurRows",
            {**ours, "prefix_sharing": False},
            keep=folder / f"default-{name}-ours",
        ),
        "limit": bench.side(
            f"{name}-default-limit", f"{OURS}TeacherForced", ours, keep=folder / f"default-{name}-ours"
        ),
    }
    facts = {key: side.fit(dataset) for key, side in sides.items()}
    take_turns(sides, bench.rows(name, False), dataset, bench.turns)
    return _compared(
        f"sample/{name}{variant}",
        {"great": "be_great"}.get(peer, peer),
        "default",
        sides,
        dataset,
        target=target,
        training_seconds={key: facts[key]["fit_seconds"] for key in ("ours", "theirs")},
        parameters={key: facts[key]["parameters"] for key in ("ours", "theirs")},
        notes=facts["theirs"]["notes"],
        changes=changes,
    )


def training(bench: Bench, name: str, rows: int) -> list[Entry]:
    """One epoch over ``rows`` rows: rows per second, the time to be-great's loss on held-out rows, and memory."""
    dataset = bench.dataset(name)
    base = weights(bench, name).base
    rows = min(rows, len(dataset.train))
    part = dataset.train.sample(rows, random_state=0).reset_index(drop=True)
    run = bench.folder / "train"
    theirs = bench.side(
        f"{name}-train-great",
        f"{THEIRS}KeptGReaT",
        recipe("great", llm=str(base / "llm"), epochs=1, device="cpu"),
        keep=_new(run / f"{name}-great"),
        environment=bench.environments["great"],
    )
    facts = theirs.fit(dataset, part)
    theirs.close()
    ours = bench.side(f"{name}-train-ours", f"{OURS}OurRows", text_training(base, 2), keep=_new(run / f"{name}-ours"))
    mine = ours.fit(dataset, part)
    ours.close()
    ship = bench.side(
        f"{name}-train-ship",
        f"{OURS}OurRows",
        recipe("permutation_aware_llm", epochs=4, device="cpu"),
        keep=_new(run / f"{name}-ship"),
    )
    shipped = ship.fit(dataset)
    ship.close()
    rates = [
        rows / facts["fit_seconds"],
        2 * rows / mine["fit_seconds"],
        4 * len(dataset.train) / shipped["fit_seconds"],
    ]
    test = dataset.test.sample(min(500, len(dataset.test)), random_state=0).reset_index(drop=True)
    loss = held_out_loss(run / f"{name}-great" / "weights", texts_of(test, dataset.schema, 0), False)
    path = run / f"{name}-test.parquet"
    test.to_parquet(path, index=False)
    race = bench.side(
        f"{name}-race",
        f"{OURS}Race",
        {
            "base": str(base / "llm"),
            "test": str(path),
            "target": loss,
            "budgets": [2, 4, 8, 12, 16, 24, 32, 48, 64],
            "batch_size": recipe("great")["batch_size"],
        },
    )
    tried = race.fit(dataset, part)["curve"]
    race.close()
    reached = tried[-1]["seconds"] if tried[-1]["loss"] <= loss else None
    memory = [facts["peak_memory_bytes"] / 2**20, mine["peak_memory_bytes"] / 2**20]
    unit = "training rows/s, the whole of fit"
    how = f"the same untrained model and text, columns shuffled; {rows} rows, be-great 1 epoch, ours 2"
    return [
        entry(f"train/{name}", "be_great", "same_weights", rates[1], rates[0], unit=unit, settings=how),
        entry(
            f"train/{name}", "be_great", "default", rates[2], rates[0], unit=unit, settings="ours as it ships, all rows"
        ),
        entry(
            f"time_to_equal_loss/{name}",
            "be_great",
            "same_weights",
            reached,
            facts["fit_seconds"],
            unit="seconds",
            lower_is_better=True,
            held_out_nats_per_row=loss,
            tried=tried,
            settings="to the loss that be-great's epoch reached on 500 test rows",
        ),
        entry(
            f"memory/train/{name}",
            "be_great",
            "same_weights",
            memory[1],
            memory[0],
            unit="MiB, peak of the process",
            lower_is_better=True,
        ),
    ]


def _new(folder: Path) -> Path:
    """A folder that is not there: what is kept in it is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
