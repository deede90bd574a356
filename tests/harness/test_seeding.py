import os
import random
import subprocess
import sys

import numpy as np

from harness.seeding import derive_seed, global_seed, rng


def test_seed_depends_on_every_name_and_on_their_borders():
    seeds = {derive_seed(0, "a", "bc"), derive_seed(0, "ab", "c"), derive_seed(1, "a", "bc"), derive_seed(0, "abc")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_seed_is_the_same_in_every_process():
    code = "from harness.seeding import derive_seed; print(derive_seed(7, 'adult', 'ctgan', 'fit'))"
    for hashseed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hashseed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert int(done.stdout) == derive_seed(7, "adult", "ctgan", "fit")


def test_rng_repeats():
    assert rng(3, "x").integers(1000, size=5).tolist() == rng(3, "x").integers(1000, size=5).tolist()


def test_global_seed_gives_equal_draws_and_leaves_no_trace():
    before = random.getstate(), np.random.get_state()[1].tolist()
    draws = []
    for _ in range(2):
        with global_seed(5):
            draws.append((random.random(), np.random.rand()))
    assert draws[0] == draws[1]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
