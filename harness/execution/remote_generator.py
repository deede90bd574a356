"""A generator that runs in a virtual environment of its own, behind the same protocol.

Tables cross as Parquet, everything else as JSON lines; what the generator prints goes where ours goes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

from harness.errors import Incompatible, TabOrderError
from harness.execution.environments import Environment, ensure, packages_of, python_of
from harness.execution.messages import Json
from harness.generator import Context, Sample, Yield
from harness.processes.json_lines import Ended, Event, LineProcess
from harness.table import Schema

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class RemoteError(Exception):
    """The generator raised. The class raised is a subclass with the name of its exception, so that a ``MemoryError`` there is
    one here too; its traceback is in the log."""


class RemoteCrash(Exception):
    """The generator's process died: a signal, ``os._exit``."""


class RemoteGenerator:
    """Runs ``target(**arguments)`` in its environment.

    Args:
        target: class path, importable there with this project on the path.
        arguments: its keyword arguments (JSON-able).
        environment: the mapping of the generator's YAML (:class:`harness.execution.environments.Environment`).
        folder: where that environment is ready; ``None`` makes it on :meth:`bind`, if it is not there yet.

    Raises:
        TabOrderError: when the environment is not well described.
    """

    def __init__(self, target: str, arguments: Json, environment: Json, folder: Path | None = None) -> None:
        self.target = target
        self.arguments = dict(arguments)
        self.environment = Environment.from_config(environment)
        self._context: Context | None = None
        self._folder = folder
        self._process: LineProcess | None = None

    def bind(self, context: Context) -> None:
        """Take the context and make the environment, if it is not there yet.

        Raises:
            EnvironmentFailed: when it cannot be made.
        """
        self._context = context
        if self._folder is None:
            self._folder = ensure(self.environment, lambda line: print(line, file=sys.stderr, flush=True))

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Fit there.

        Raises:
            Incompatible: as the generator says.
            RemoteError: when it raised anything else.
            RemoteCrash: when its process died.
        """
        context, _ = self._started()
        path = context.work_dir / "train.parquet"
        train.to_parquet(path, index=False)
        self._call({"do": "build", "target": self.target, "arguments": self.arguments})
        self._call({"do": "bind", "work_dir": str(context.work_dir.resolve()), "threads": context.threads})
        self._call({"do": "fit", "table": str(path.resolve()), "schema": schema.to_json(), "seed": seed})

    def sample(self, n: int, *, seed: int) -> Sample:
        """Sample there; raises as :meth:`fit` does."""
        context, _ = self._started()
        path = context.work_dir / "sample.parquet"
        answer = self._call({"do": "sample", "n": n, "seed": seed, "table": str(path.resolve())})
        frame = pd.read_parquet(path)
        path.unlink()
        return Sample(frame, None if answer["yield"] is None else Yield(**answer["yield"]))

    def describe(self) -> Json:
        """What the generator says, and ``environment``: name, Python and every package there."""
        _, folder = self._started()
        answer = self._call({"do": "describe"})
        facts = {"name": self.environment.name, "python": answer["python"], "packages": packages_of(folder)}
        return {**answer["info"], "environment": facts}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _started(self) -> tuple[Context, Path]:
        if self._context is None or self._folder is None:
            self.bind(Context(Path(tempfile.mkdtemp(prefix="taborder-")), 1, lambda *_, **__: None))
        assert self._context is not None
        assert self._folder is not None
        if self._process is None:
            threads = dict.fromkeys(THREAD_VARIABLES, str(self._context.threads))
            # A fixed hash seed: libraries that iterate over sets are then as repeatable as their seeds.
            fixed = {**threads, "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "VIRTUAL_ENV": str(self._folder)}
            command = [os.path.abspath(python_of(self._folder)), "-m", "harness.execution.remote_host"]
            self._process = LineProcess(command, fixed)
        return self._context, self._folder

    def _call(self, request: Json) -> Event:
        assert self._process is not None
        assert self._context is not None
        try:
            self._process.send(request)
            while (event := self._process.wait())["event"] == "progress":
                self._context.report(event["stage"], event["done"], event["total"], **event["numbers"])
        except Ended as error:
            self._process = None
            raise RemoteCrash(f"{self.target} in environment '{self.environment.name}': {error}") from None
        if event["event"] == "done":
            return event
        known = {"Incompatible": Incompatible, "TabOrderError": TabOrderError}.get(event["kind"])
        raise known(event["message"]) if known else type(event["kind"], (RemoteError,), {})(event["message"])
