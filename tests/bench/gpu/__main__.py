"""``make bench-gpu``: the row language model at GPT-2's sizes on this machine's GPU; writes ``results/benchmarks/gpu.json``.

python -m tests.bench.gpu                        # about eight minutes on a current data-centre GPU
python -m tests.bench.gpu --device cpu --smoke   # tiny sizes, written elsewhere: does everything run?
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from harness.datasets import load
from harness.execution.environments import cache_folder
from tests.bench.gpu.cases import Bench, Entry, as_it_ships, great, sampling, teacher_forced, training
from tests.bench.gpu.models import SIZES, TINY
from tests.bench.peers.cases import short

OUTPUT = Path(__file__).resolve().parents[3] / "results" / "benchmarks" / "gpu.json"
Work = Callable[[], Entry | list[Entry]]


def machine(device: torch.device) -> str:
    """What the figures were measured on and with."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "accelerate"))
    try:
        packages += f", be-great {version('be-great')}"
    except ModuleNotFoundError:
        packages += ", without be-great (pip install be-great==0.0.14 beside this package)"
    return f"{card}; Python {platform.python_version()}, {packages}"


def smoke(bench: Bench) -> Iterator[Work]:
    """Every kind of case, tiny."""
    dataset = load("us_location", max_train_rows=400)
    for layout in ("text", "table"):
        yield partial(training, bench, dataset, TINY[0], layout, 64, 8)
        yield partial(teacher_forced, bench, dataset, TINY[0], layout)
        yield partial(sampling, bench, dataset, TINY[0], layout, 64, "constrained")
    yield partial(as_it_ships, bench, dataset, 1)
    tiny: dict[str, Any] = {"train_seconds": 5.0, "rate": 3e-3, "batch": 64, "length": None}
    yield partial(
        great, bench, dataset, TINY[0], name="great/us_location", requests=((20, 100),), batches=(64,), **tiny
    )


def everything(bench: Bench) -> Iterator[Work]:
    """What the README's table shows, the most telling first."""
    distil, medium = SIZES
    tables = load("us_location"), load("adult")
    location, adult = tables
    for dataset in tables:
        yield partial(as_it_ships, bench, dataset, 15 if dataset is location else 5)
    same: dict[str, Any] = {"train_seconds": 30.0, "rate": 5e-4, "batch": 64, "length": None}
    yield partial(great, bench, location, distil, name="same_weights/us_location", **same)
    for dataset in tables:
        for layout in ("text", "table"):
            for batch, steps in ((64, 100), (256, 150), (1024, 60)):
                yield partial(training, bench, dataset, distil, layout, batch, steps)
            yield partial(teacher_forced, bench, dataset, distil, layout)
            for batch in (1024, 2048, 4096, 8192):
                yield partial(sampling, bench, dataset, distil, layout, batch, "constrained")
        yield partial(sampling, bench, dataset, distil, "text", 4096, "template")
        bench.forget()
    library: dict[str, Any] = {"train_seconds": 30.0, "rate": 5e-5, "batch": 8, "length": 100}
    yield partial(great, bench, location, distil, name="library_defaults/us_location", **library)
    yield partial(great, bench, adult, distil, name="same_weights/adult", **{**same, "train_seconds": 40.0})
    for dataset in tables:
        for batch, steps in ((64, 40), (256, 60)):
            yield partial(training, bench, dataset, medium, "text", batch, steps)
        yield partial(teacher_forced, bench, dataset, medium, "text")
        for batch in (1024, 4096, 8192):
            yield partial(sampling, bench, dataset, medium, "text", batch, "constrained")
        bench.forget()


def main(words: Sequence[str] | None = None) -> None:
    """Run the cases in turn; the file is written after each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--seconds", type=float, default=3600.0, help="no case begins after so many")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args(words)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU: --device cpu --smoke shows that everything runs, and measures nothing.")
    output = cache_folder().parent / "gpu-smoke.json" if given.smoke and given.output == OUTPUT else given.output
    started = time.monotonic()
    bench = Bench(device, cache_folder().parent / ("gpu-smoke" if given.smoke else "gpu"))
    cases: list[dict[str, Any]] = [bench.measure_peak()]
    for work in smoke(bench) if given.smoke else everything(bench):
        if time.monotonic() - started > given.seconds:
            print("the time is spent; what follows was not measured.", flush=True)
            break
        found = work()
        for entry in found if isinstance(found, list) else [found]:
            cases.append(short(entry))
            print(f"{time.monotonic() - started:6.1f} s  {json.dumps(cases[-1], ensure_ascii=False)}", flush=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine(device), "cases": cases}, indent=1, ensure_ascii=False)
        output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
