"""Mistakes on the command line, as a newcomer makes them: one sentence with the nearest legal choice, before anything runs."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException

from harness.cli.mistakes import CONF, checked, explain
from harness.errors import TabOrderError, choices
from harness.targets import check


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dataset=adult"], "unknown option '--dataset=adult': keys are written without dashes, dataset=adult"),
        (["--seed", "3"], "unknown option '--seed': keys are written without dashes, seed=VALUE"),
        (["--cfg", "everything"], "invalid choice: 'everything'"),
        (["leaderboard"], "did you mean python -m harness.leaderboard?"),
        (["help"], "did you mean --help?"),
        (["adult"], "did you mean dataset=adult?"),
        (["ctgan", "dataset=adult"], "did you mean generator=ctgan?"),
        (["../x"], "'../x' is not key=value"),
        (["sed"], "write sed=VALUE"),
        (["generator_name=[1"], """"generator_name='[1'"."""),
        (["generator_name=it's"], """cannot read 'generator_name=it's'"""),
    ],
)
def test_words_hydra_would_answer_with_jargon(words, said):
    with pytest.raises(TabOrderError) as caught:
        checked(words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["dataset=adult", "-m", "seed=0,1,2", "generator=ctgan"],
        ["+generator.x={_target_: a.b, c: 1}", "~tracker", "--cfg", "job"],
        ["dataset.train='my data.csv'", "generator_name="],
        ["--help"],
        ["-sc", "install=bash"],
        [],
    ],
)
def test_legal_words_pass(words):
    assert sorted(checked(words)) == sorted(words)


def test_options_may_stand_anywhere():
    assert checked(["a=1", "-m", "b=2"]) == ["b=2", "a=1", "-m"]
    assert checked(["a=1", "--cfg", "job", "b=2", "-m"]) == ["b=2", "a=1", "--cfg", "job", "-m"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset=adlt"], "unknown dataset 'adlt': the choices are adult, beijing"),
        (["dataset=data.csv"], "write dataset=csv dataset.train='data.csv'"),
        (["generator=CTGAN"], "Did you mean 'ctgan'?"),
        (["generator="], "unknown generator ''"),
        (["scale=medium"], "unknown scale 'medium': the choices are full, reference, small, smoke."),
        (["tracker=nonee"], "Did you mean 'none'?"),
        (["experiment=quikstart"], "Did you mean 'quickstart'?"),
        (["hydra/launcher=slurm"], "submitit_slurm"),
        (["generatr=ctgan"], "Did you mean 'generator'?"),
        (["train=a.csv", "dataset=csv"], "Did you mean 'dataset.train'?"),
        (["generator=ctgan", "epochs=3"], "Did you mean 'generator.epochs'?"),
        (["timeout_seconds=5"], "Did you mean 'limits.timeout_seconds'?"),
        (["dataset/max_train_rows=5"], "Did you mean 'dataset.max_train_rows'?"),
        (["limits.timeout=5"], "Did you mean 'timeout_seconds'?"),
        (["generator.llm.layer=5"], "Did you mean 'layers'?"),
        (
            ["evaluation.metrics=[hgb]"],
            "evaluation.metrics=[hgb] does not fit the configuration: a mapping belongs there",
        ),
        (["hydra.launcher.n_jobs=2"], "belongs to hydra/launcher=joblib"),
        (["hydra/launcher=joblib", "hydra.launcher.n_job=2"], "Did you mean 'n_jobs'?"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=two"], "could not be converted to Integer"),
    ],
)
def test_the_nearest_choice_is_offered(words, said, monkeypatch):
    monkeypatch.setattr("sys.argv", ["harness", *words])
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(Exception) as caught:  # noqa: PT011
        compose("config", overrides=words, return_hydra_config=True)
    sentence = explain(caught.value)
    assert said in sentence
    assert "\n" not in sentence
    assert "full_key" not in sentence


def test_in_a_sweep_the_option_that_lacks_the_key_is_named(monkeypatch):
    words = ["-m", "generator=ctgan,independent", "generator.epochs=3", "seed=0,1"]
    monkeypatch.setattr("sys.argv", ["harness", *words])
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(ConfigCompositionException) as caught:
        compose("config", overrides=["generator=independent", "generator.epochs=3", "seed=0"])
    said = explain(caught.value)
    assert said.startswith("unknown key of generator=independent 'epochs': the choices are max_train_seconds, repair.")
    assert "Run generator=independent apart." in said
    assert "Did you mean" not in said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("hgb", "'hgb' names nothing to build"),
        (
            {"_target_": "baselines.resampling.Copy", "epochs": 3},
            "unknown argument of baselines.resampling.Copy 'epochs'",
        ),
        ({"_target_": "harness.tracking.WandbTracker", "modus": "x"}, "Did you mean 'mode'?"),
        ({"_target_": "json.dumps"}, "missing a required argument: 'obj'"),
        ({"_target_": "json"}, "is not a dotted path"),
        ({"_target_": "nowhere.X"}, "cannot import _target_ 'nowhere.X'"),
    ],
)
def test_what_cannot_be_built_is_said_before_it_is_called(spec, said):
    with pytest.raises(TabOrderError) as caught:
        check(spec)
    assert said in str(caught.value)


def test_case_does_not_matter_for_suggestions():
    assert choices("Adult", ["adult", "csv"], "dataset").endswith("Did you mean 'adult'?")
