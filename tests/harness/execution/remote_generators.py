"""Generators that tests run in another process; each shows one behaviour."""

import os
import signal
import sys
import time

import numpy as np
import pandas as pd

from harness.errors import Incompatible, TabOrderError
from harness.generator import Sample, Yield


class Echo:
    """Samples the first rows of train; says what it was given."""

    def __init__(self, label="none"):
        self.label = label

    def bind(self, context):
        self.context = context

    def fit(self, train, schema, *, seed):
        print("this is log, not an answer")
        sys.stdout.flush()
        os.write(1, b'{"event": "done", "yield": null}\n')
        self.context.report("fit", 1, 2, loss=0.5)
        self.context.report("fit", 2, 2, loss=np.float32(0.25))
        self.train, self.schema, self.seed = train, schema, seed
        (self.context.work_dir / "checkpoint").write_text("kept")

    def sample(self, n, *, seed):
        return Sample(self.train.head(n), Yield(n + 2, n, {"unparsable": np.int64(2)}, tokens=7))

    def describe(self):
        facts = {"label": self.label, "seed": self.seed, "pid": os.getpid(), "threads": self.context.threads}
        return {**facts, "omp": os.environ["OMP_NUM_THREADS"], "hash_seed": os.environ["PYTHONHASHSEED"]}


class Plain:
    """No bind, no describe, a bare frame with cells of mixed types."""

    def fit(self, train, schema, *, seed):
        self.names = schema.names

    def sample(self, n, *, seed):
        cells = [1, 2.0, 2.5, "text", None, "7"]
        return pd.DataFrame({name: pd.Series(cells, dtype=object) for name in self.names})


class Misbehaves(Plain):
    """Does what ``how`` says, in fit."""

    def __init__(self, how):
        self.how = how

    def fit(self, train, schema, *, seed):
        super().fit(train, schema, seed=seed)
        print("said there by", os.getpid(), flush=True)
        match self.how:
            case "leaves":
                sys.exit(3)
            case "no memory":
                raise MemoryError("too large")
            case "hoards":
                self.hoard = []
                while True:
                    self.hoard.append(np.ones(4_000_000))
                    time.sleep(0.01)
            case "raises":
                raise KeyError("gone")
            case "incompatible":
                raise Incompatible("no columns of this kind")
            case "mistake":
                raise TabOrderError("epochs is -1")
            case "exits":
                os._exit(3)
            case "segfaults":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hangs":
                time.sleep(600)

    def sample(self, n, *, seed):
        if self.how == "no frame":
            return [1, 2, 3]
        if self.how == "works":
            return super().sample(n, seed=seed).head(n)
        return pd.DataFrame([[1, 2]], columns=["x", "x"])
