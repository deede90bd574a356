"""What every baseline that runs in our own environment must do."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from baselines.resampling import Copy, Independent
from baselines.sdv import CTGAN, TVAE, CopulaGAN, GaussianCopula
from harness.generator import Generator
from harness.table import conform

BASELINES = {
    "ctgan": lambda: CTGAN(epochs=1, batch_size=20),
    "tvae": lambda: TVAE(epochs=1, batch_size=20),
    "copula_gan": lambda: CopulaGAN(epochs=1, batch_size=20),
    "gaussian_copula": GaussianCopula,
    "copy": Copy,
    "independent": Independent,
}


@pytest.fixture(params=BASELINES)
def generator(request):
    return BASELINES[request.param]()


def global_state():
    numpy_state = np.random.get_state()[1].tolist()
    return random.getstate(), numpy_state, torch.get_rng_state().tolist(), torch.get_num_threads()


def test_fits_samples_and_changes_nothing(generator, train, schema):
    before = train.copy(deep=True)
    states = global_state()
    generator.fit(train, schema, seed=1)
    sample = generator.sample(50, seed=2)
    assert isinstance(generator, Generator)
    assert_frame_equal(train, before)
    assert states == global_state()
    frame, invalid = conform(sample.frame, schema)
    assert len(frame) == 50
    assert (sample.yield_.attempted, sample.yield_.accepted, dict(sample.yield_.rejected)) == (50, 50, {})
    assert invalid == {}
    assert set(frame["a is"].dropna()) <= {"x is y", "1,5"}
    assert set(frame["constant"]) == {"same"}
    assert frame["empty"].isna().all()
    for name in ("a is", "count", "é,x"):  # a quarter to a third is missing in train
        assert 0.02 < frame[name].isna().mean() < 0.7


def test_sampling_seed_decides(generator, train, schema):
    generator.fit(train, schema, seed=1)
    first, other, again = (conform(generator.sample(80, seed=seed).frame, schema)[0] for seed in (2, 3, 2))
    assert_frame_equal(first, again)
    assert not first.equals(other)
    # The place of missing cells is drawn too, not fixed by the training table.
    assert not first["count"].isna().equals(other["count"].isna())


@pytest.mark.parametrize("name", ["ctgan", "tvae", "copula_gan"])
def test_training_seed_decides(name, train, schema):
    frames = []
    for seed in (1, 2, 1):
        generator = BASELINES[name]()
        generator.fit(train, schema, seed=seed)
        frames.append(generator.sample(80, seed=5).frame)
    assert_frame_equal(frames[0], frames[2])
    assert not frames[0].equals(frames[1])


SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import pandas as pd
from harness.table import Schema, Column
from test_baselines import BASELINES
schema = Schema((Column("a", "categorical"), Column("b", "integer"), Column("c", "float", 1)))
train = pd.DataFrame({
    "a": pd.Series(["u", "v", None, "w"] * 10, dtype=object),
    "b": pd.array([1, 2, 3, None] * 10, dtype="Int64"),
    "c": [0.5, 1.5, float("nan"), 2.5] * 10,
})
for name, make in BASELINES.items():
    generator = make()
    generator.fit(train, schema, seed=3)
    print(name, hashlib.sha256(generator.sample(40, seed=4).frame.to_csv().encode()).hexdigest())
"""


def test_equal_bytes_in_two_processes_with_different_hash_seeds():
    outputs = []
    for hash_seed, threads in (("1", "1"), ("2", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, os.path.dirname(__file__)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert [line.split()[0] for line in outputs[0].splitlines()] == list(BASELINES)  # and nothing else on stdout


@pytest.mark.parametrize("kind", ["categorical", "integer", "float"])
def test_one_column(generator, kind, train, schema):
    column = next(column for column in schema.columns if column.kind == kind)
    narrow = type(schema)((column,))
    generator.fit(train[[column.name]], narrow, seed=1)
    frame, invalid = conform(generator.sample(30, seed=1).frame, narrow)
    assert len(frame) == 30
    assert not invalid
