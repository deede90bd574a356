"""That the losses are the right ones: they fall to known entropies, decoders invert encoders, known shapes come back."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.diffusion.tabsyn_model import Autoencoder
from baselines.diffusion.training import generator
from harness.table import Column, Schema, conform
from tests.baselines.diffusion.tiny import make

PAIR = Schema((Column("p", "categorical"), Column("q", "categorical")))


def pair(count=1000):
    """p uniform over four values, q a copy of it: entropy ln 4 a row."""
    codes = np.arange(count) % 4
    return pd.DataFrame({"p": [f"p{code}" for code in codes], "q": [f"q{code}" for code in codes]})


@pytest.mark.parametrize(("name", "steps"), [("tabddpm", 500), ("tabdiff", 500)])
def test_the_loss_falls_to_the_entropy_and_dependent_columns_agree(name, steps):
    """Losses are bounds in nats a column: half of ln 4."""
    made = make(name, steps=steps, ema=0.98, **({"sample_steps": 30} if name == "tabdiff" else {}))
    made.fit(pair(), PAIR, seed=0)
    model, entropy = made._model, math.log(4) / 2
    with torch.no_grad():
        draws = [float(model.loss(torch.arange(1000), generator("cpu", seed, "test"), 1.0)) for seed in range(100)]
    assert entropy - 0.05 < np.mean(draws) < 1.25 * entropy
    frame = made.sample(1000, seed=1).frame
    assert (frame["p"].str[1] == frame["q"].str[1]).mean() > 0.93
    assert frame["p"].value_counts(normalize=True).between(0.17, 0.33).all()


def test_tabsyns_decoder_inverts_its_encoder():
    schema = Schema((Column("c", "categorical"), Column("x", "float", 2)))
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"c": draw.choice(list("uvw"), 500), "x": draw.normal(size=500).round(2)})
    made = make("tabsyn", steps=800, vae_share=0.99)
    made.fit(frame, schema, seed=0)
    encoder = made._model.autoencoder
    assert isinstance(encoder, Autoencoder)
    with torch.no_grad():
        numbers, codes = encoder.decode(encoder.latents())
    assert torch.equal(codes, encoder.rows.codes)
    assert float((numbers - encoder.rows.numbers).square().mean()) < 0.02
    back, _ = conform(made._codec.decode(numbers.numpy(), codes.numpy()), schema)
    assert back["c"].equals(frame["c"])
    assert float((back["x"] - frame["x"]).abs().median()) < 0.15


HOLE = "TabDiff leaves .06 of its rows in the hole, after 900 and after 1,500 tiny steps alike; why is not known yet"


@pytest.mark.parametrize(
    "name", ["tabddpm", "tabsyn", pytest.param("tabdiff", marks=pytest.mark.xfail(reason=HOLE, strict=False))]
)
def test_a_known_shape_of_numbers_comes_back(name):
    """A ring has its hole, and the two coordinates their dependence, which no product of marginals has."""
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 1000)
    frame = pd.DataFrame({"x": np.cos(angle).round(3), "y": np.sin(angle).round(3)})
    schema = Schema((Column("x", "float", 3), Column("y", "float", 3)))
    sizes = {
        "tabddpm": {"steps": 900, "timesteps": 50},
        "tabsyn": {"steps": 900, "width": 64, "sample_steps": 20},
        "tabdiff": {"steps": 1500, "width": 64, "sample_steps": 30},
    }
    made = make(name, **sizes[name])
    made.fit(frame, schema, seed=0)
    drawn = made.sample(1000, seed=1).frame
    radius = np.hypot(drawn["x"], drawn["y"])
    assert np.median(np.abs(radius - 1)) < 0.2
    assert (radius < 0.5).mean() < 0.05
    shuffled = np.hypot(drawn["x"], drawn["y"].sample(frac=1, random_state=0).to_numpy())
    assert (shuffled < 0.5).mean() > 0.05
    for part in (drawn["x"] > 0, drawn["y"] > 0):
        assert 0.35 < part.mean() < 0.65


def test_tabddpm_draws_the_class_from_train_and_the_rest_given_it():
    schema = Schema((Column("x", "float", 1), Column("y", "integer")), "y", "classification")
    label = (np.arange(600) % 10 < 2).astype(int)
    frame = pd.DataFrame({"x": np.where(label, 3.0, -3.0) + np.arange(600) % 7 / 10, "y": label})
    frame, _ = conform(frame, schema)
    made = make("tabddpm", steps=300, timesteps=50)
    made.fit(frame, schema, seed=0)
    drawn, _ = conform(made.sample(1000, seed=1).frame, schema)
    assert float((drawn["y"] == 1).mean()) == pytest.approx(0.2, abs=0.05)
    assert ((drawn["x"] > 0) == (drawn["y"] == 1)).mean() > 0.93
