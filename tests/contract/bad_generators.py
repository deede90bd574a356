"""Generators that misbehave, each in one way. They are run by ``test_bad_generators.py`` in the real isolated process."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from harness.generator import Context, Incompatible, Sample, Yield


class Good:
    """Repeats the training rows: what the others deviate from."""

    version = "1"

    def fit(self, train, schema, *, seed):
        self.train = train

    def sample(self, n, *, seed):
        return self.train.sample(n, replace=True, random_state=seed).reset_index(drop=True)


class RaisesInFit(Good):
    def fit(self, train, schema, *, seed):
        raise ValueError("fit is broken")


class RaisesInSample(Good):
    def sample(self, n, *, seed):
        raise KeyError("sample is broken")


class NotForThisTable(Good):
    def fit(self, train, schema, *, seed):
        raise Incompatible("needs a column of dates")


class Hangs(Good):
    """Ignores SIGTERM too, and has started a child that does the same."""

    def fit(self, train, schema, *, seed):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        self.child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        print("about to hang", flush=True)
        time.sleep(600)


class AllocatesWithoutEnd(Good):
    def fit(self, train, schema, *, seed):
        self.hoard = []
        while True:
            self.hoard.append(np.ones(4_000_000))
            time.sleep(0.01)


class RaisesMemoryError(Good):
    def fit(self, train, schema, *, seed):
        raise MemoryError("no room")


class Segfaults(Good):
    def fit(self, train, schema, *, seed):
        os.kill(os.getpid(), signal.SIGSEGV)


class Exits(Good):
    def fit(self, train, schema, *, seed):
        os._exit(0)


class RaisesSystemExit(Good):
    def fit(self, train, schema, *, seed):
        sys.exit(3)


class Prints(Good):
    """200 MB of output."""

    def fit(self, train, schema, *, seed):
        super().fit(train, schema, seed=seed)
        line = "x" * 999 + "\n"
        for _ in range(200):
            sys.stdout.write(line * 1000)
        print("the last line")


class ReturnsFewerRows(Good):
    def sample(self, n, *, seed):
        return Sample(super().sample(n - 3, seed=seed), Yield(n, n - 3, {"unparsable": 3}))


class ReturnsNoRows(Good):
    def sample(self, n, *, seed):
        return self.train.iloc[:0]


class ReturnsMoreRows(Good):
    def sample(self, n, *, seed):
        return super().sample(n + 1, seed=seed)


class ReturnsWrongColumns(Good):
    def sample(self, n, *, seed):
        return super().sample(n, seed=seed).rename(columns={"b": "other"})


class ReturnsDuplicateColumns(Good):
    def sample(self, n, *, seed):
        frame = super().sample(n, seed=seed)
        return pd.concat([frame, frame[["a"]]], axis=1)


class ReturnsText(Good):
    """Numbers replaced by words."""

    def sample(self, n, *, seed):
        return super().sample(n, seed=seed).astype({"x": object}).assign(x="not a number")


class ReturnsAllMissing(Good):
    def sample(self, n, *, seed):
        return pd.DataFrame({name: [np.nan] * n for name in self.train.columns})


class ReturnsInfinity(Good):
    def sample(self, n, *, seed):
        return super().sample(n, seed=seed).assign(x=np.inf)


class ReturnsAList(Good):
    def sample(self, n, *, seed):
        return [1, 2, 3]


class MutatesTrain(Good):
    def fit(self, train, schema, *, seed):
        super().fit(train.copy(), schema, seed=seed)
        train.loc[:, "b"] = "changed"


class ChangesGlobalRandomState(Good):
    def fit(self, train, schema, *, seed):
        super().fit(train, schema, seed=seed)
        np.random.seed(0)
        random.seed(0)


class LeavesChildren(Good):
    def fit(self, train, schema, *, seed):
        super().fit(train, schema, seed=seed)
        self.child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)  # a left child"], start_new_session=True
        )
        time.sleep(0.5)


class WritesIntoTheStore(Good):
    """Plants a forged record beside its own work folder, and litters its working directory."""

    def bind(self, context: Context):
        (context.work_dir.parent / "record.json").write_text('{"schema_version": 1, "status": "ok"}')
        (context.work_dir.parent / "generation.json").write_text('{"status": "ok"}')
        Path("litter.txt").write_text("relative paths land in the work folder")


class ReadsGlobalRandomState(Good):
    def sample(self, n, *, seed):
        return self.train.iloc[np.random.permutation(len(self.train))[:n]].reset_index(drop=True)


class CannotBeSeeded(Good):
    repeatable = False

    def sample(self, n, *, seed):
        chosen = np.random.default_rng().permutation(len(self.train))[:n]
        return self.train.iloc[chosen].reset_index(drop=True)
