"""The process inside a generator's own environment: builds the generator there and calls it as told (:mod:`harness.execution.remote_generator`).

It needs only this project on the path and numpy, pandas and pyarrow in the environment.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import platform
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import TabOrderError
from harness.generator import Context, Sample
from harness.table import Schema
from harness.targets import built

Json = Mapping[str, object]
Answer = dict[str, object]
Say = Callable[[Json], None]


class Host:
    """Holds the generator between requests."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._generator: Any = None

    def build(self, target: str, arguments: Json) -> Answer:
        """Import the class and call it."""
        module, _, name = target.rpartition(".")
        made = getattr(importlib.import_module(module), name)
        try:
            inspect.signature(made).bind(**arguments)
        except TypeError as error:
            raise TabOrderError(f"{target} cannot be called with {sorted(arguments)}: {error}.") from None
        self._generator = made(**built(arguments))
        return {}

    def bind(self, work_dir: str, threads: int) -> Answer:
        """Pass a context on, if the generator wants one."""
        if hasattr(self._generator, "bind"):
            self._generator.bind(Context(Path(work_dir), threads, self._report))
        return {}

    def fit(self, table: str, schema: Json, seed: int) -> Answer:
        """Fit on a table read from Parquet."""
        self._schema = Schema.from_json(schema)
        self._generator.fit(pd.read_parquet(table), self._schema, seed=seed)
        return {}

    def sample(self, n: int, seed: int, table: str) -> Answer:
        """Sample, leave the table as Parquet, return the yield."""
        given = self._generator.sample(n, seed=seed)
        sample = given if isinstance(given, Sample) else Sample(given)
        if not isinstance(sample.frame, pd.DataFrame):
            raise TabOrderError(
                f"sample() returned a {type(given).__name__}; it must return a pandas DataFrame or a Sample."
            )
        _crossing(sample.frame).to_parquet(table, index=False)
        return {"yield": None if sample.yield_ is None else _plain(asdict(sample.yield_))}

    def describe(self) -> Answer:
        """The generator's facts and this Python's version."""
        info = self._generator.describe() if hasattr(self._generator, "describe") else {}
        return {"info": _plain(dict(info)), "python": platform.python_version()}

    def _report(self, stage: str, done: float, total: float | None = None, **numbers: float) -> None:
        plain = {name: float(value) for name, value in numbers.items()}
        self._say({"event": "progress", "stage": stage, "done": done, "total": total, "numbers": plain})


def _plain(value: object) -> object:
    """JSON-able: numpy scalars as Python numbers, keys as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _crossing(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with object cells as text, so that columns of mixed types cross; values are otherwise untouched."""
    columns = {}
    for position, name in enumerate(frame.columns):
        values = frame.iloc[:, position].reset_index(drop=True)
        if values.dtype == object or isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(object).map(_text, na_action="ignore").where(values.notna(), None)
        if str(name) in columns:
            raise TabOrderError(f"the generator returned more than one column named '{name}'.")
        columns[str(name)] = values
    return pd.DataFrame(columns)


def _text(value: object) -> str:
    if isinstance(value, (float, np.floating)) and np.isfinite(value) and float(value).is_integer():
        return str(int(value))
    return str(value)


def main() -> None:
    """Serve until stdin closes, which also ends whatever is running: the harness is gone then."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the generator prints is log, never an answer

    def say(event: Json) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    host = Host(say)
    while True:
        request = json.loads(requests.get())
        try:
            answer = getattr(host, request.pop("do"))(**request)
        except BaseException as error:  # every failure is an answer, SystemExit too; the traceback is for the log
            traceback.print_exc()
            say({"event": "raised", "kind": type(error).__name__, "message": str(error)})
        else:
            say({"event": "done", **answer})


def _read(requests: queue.Queue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
