"""Presets: their constants, what overrides them, and what is refused."""

import pytest
import yaml

from baselines.diffusion.settings import PRESETS, training
from baselines.diffusion.tabddpm import TabDDPM
from baselines.diffusion.tabdiff import TabDiff
from baselines.diffusion.tabsyn import TabSyn
from harness.errors import TabOrderError
from tests.contract.config_names import CONF

ALL = (TabDDPM, TabSyn, TabDiff)


@pytest.mark.parametrize("make", ALL)
def test_every_preset_resolves_and_small_is_the_default(make):
    assert make().preset == "small"
    for preset in PRESETS:
        options = make(preset=preset).options
        assert not [name for name, value in options.items() if value is None and name not in OPEN[preset]]
        assert training(options).total(per_epoch=8) > 0


OPEN = {
    "reference": {"steps", "epochs", "ema", "max_train_seconds"},
    "budget": {"epochs", "max_train_seconds"},
    "small": {"epochs", "max_train_seconds"},
}


@pytest.mark.parametrize("make", ALL)
def test_budget_is_thirty_thousand_steps_for_all(make):
    options = make(preset="budget").options
    assert (options["steps"], options["batch_size"], options["learning_rate"], options["ema"]) == (
        *(30_000, 4096),
        *(1e-3, 0.999),
    )


def test_reference_is_the_papers():
    ddpm, syn, diff = (make(preset="reference").options for make in ALL)
    assert (ddpm["steps"], ddpm["timesteps"], ddpm["layers"]) == (30_000, 100, (256, 1024, 1024, 1024, 1024, 256))
    assert (syn["epochs"], syn["width"], syn["schedule"]) == (14_001, 1024, "plateau")
    vae, diffusion = TabSyn(preset="reference").trainings()
    assert (vae.epochs, diffusion.epochs) == (4000, 10_001)
    assert (diffusion.patience, diffusion.keep_best, vae.plateau) == (500, 0.0, (0.95, 10))
    assert (diff["epochs"], diff["ema"], diff["width"]) == (8000, 0.997, 1024)


def test_what_is_given_replaces_the_presets_and_epochs_replace_steps():
    options = TabDDPM(preset="budget", epochs=3, batch_size=8, ema=0.5).options
    assert (options["steps"], options["epochs"], options["batch_size"], options["ema"]) == (None, 3, 8, 0.5)
    assert TabDDPM(preset="budget", steps=7).options["steps"] == 7
    both = TabSyn(steps=100, vae_share=0.25, max_train_seconds=8).trainings()
    assert [(part.steps, part.max_seconds) for part in both] == [(25, 2), (75, 6)]
    assert [part.epochs for part in TabSyn(epochs=1).trainings()] == [1, 1]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"preset": "smal"},
            r"unknown preset 'smal': the choices are budget, reference, small. Did you mean 'small'\?",
        ),
        ({"steps": 5, "epochs": 5}, "steps=5 and epochs=5 say one thing twice: give one of them."),
        ({"steps": 0}, "steps is 0: give a whole number of at least 1."),
        ({"batch_size": 2.5}, "batch_size is 2.5: give a whole number"),
        ({"learning_rate": -1}, "learning_rate is -1: give a number greater than 0."),
        ({"max_train_seconds": 0}, "max_train_seconds is 0: give a number greater than 0."),
        ({"ema": 1.0}, "ema is 1.0: give a number between 0 and 1, both excluded."),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"device": "gpu"}, "unknown device 'gpu': the choices are auto, cpu, cuda."),
    ],
)
def test_what_is_out_of_range_is_named(make, wrong, sentence):
    with pytest.raises(TabOrderError, match=sentence):
        make(**wrong)


def test_no_layers_are_named():
    with pytest.raises(TabOrderError, match="give the widths of at least one hidden layer"):
        TabDDPM(layers=[])


@pytest.mark.parametrize("make", ALL)
def test_the_file_lists_every_argument_and_tunes_some(make):
    import inspect

    arguments = set(inspect.signature(make).parameters)
    listed = yaml.safe_load((CONF / "generator" / f"{make.__name__.lower()}.yaml").read_text())
    assert set(listed) - {"_target_"} == arguments
    assert set(make.search_space) <= arguments
    for name, values in make.search_space.items():
        for value in values.get("choices", [values.get("low"), values.get("high")]):
            assert make(**{name: value}).options[name] == value
