"""The training loop: time, checkpoints, averaged and best weights, and what is drawn from where."""

import json

import pytest
import torch
from torch import nn

from baselines.diffusion.layers import initialise
from baselines.diffusion.plateau import Plateau
from baselines.diffusion.settings import Training
from baselines.diffusion.training import Trainer, device_of
from harness.errors import TabOrderError

DATA = torch.linspace(-1, 1, 40)[:, None]


def trainer(folder=None, report=lambda *_, **__: None, plateaus=None, **changes):
    """A line fitted to y = 3x with noise of the step's generator."""
    options = {"steps": 24, "epochs": None, "max_seconds": None, "batch_size": 16, "learning_rate": 0.05, **changes}
    module = initialise(lambda: nn.Linear(1, 1), torch.Generator().manual_seed(0))

    def loss(rows, source, share):
        x = DATA[rows]
        noise = 0.1 * torch.randn(x.shape, generator=source)
        return (module(x) - 3 * x - noise).square().mean()

    return Trainer(
        module, loss, len(DATA), Training(**options), seed=1, folder=folder, report=report, plateaus=plateaus
    )


def weights(trained):
    return [value.detach().clone() for value in trained.module.parameters()]


class Killed(Exception):
    pass


SETTINGS = {
    "linear": {"ema": 0.9},
    "plateau": {"schedule": "plateau", "plateau": (0.5, 1), "ema": 0.9, "ema_every": "epoch", "keep_best": 0.0},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_killed_run_goes_on_to_equal_bytes(kind, tmp_path):
    whole = trainer(**SETTINGS[kind])
    whole.run()
    cut = trainer(tmp_path, checkpoint_seconds=1e-9, **SETTINGS[kind])
    step = cut._step

    def until_13(rows, noise):
        if cut.progress.step == 13:  # in the middle of an epoch of three steps
            raise Killed
        return step(rows, noise)

    cut._step = until_13
    with pytest.raises(Killed):
        cut.run()
    again = trainer(tmp_path, checkpoint_seconds=1e-9, **SETTINGS[kind])
    again.run()
    assert again.progress.resumed == [13]
    assert all(map(torch.equal, weights(whole), weights(again)))
    assert [point["loss"] for point in whole.progress.curve] == [point["loss"] for point in again.progress.curve]
    finished = trainer(tmp_path, **SETTINGS[kind])
    finished.run()  # nothing is left to do
    assert finished.progress.step == 24
    assert all(map(torch.equal, weights(whole), weights(finished)))


@pytest.mark.parametrize("damage", ["progress", "tensors", "other weights"])
def test_a_damaged_checkpoint_is_said_and_training_starts_over(damage, tmp_path, capsys):
    trainer(tmp_path, steps=10).run()
    if damage == "progress":
        (tmp_path / "progress.json").write_text("{")
    elif damage == "tensors":
        state = json.loads((tmp_path / "progress.json").read_text())["state"]
        (tmp_path / state).write_bytes(b"no tensors")
    again = trainer(tmp_path, ema=0.9 if damage == "other weights" else None)
    again.run()
    assert again.progress.resumed == []
    assert "damaged" in capsys.readouterr().out
    fresh = trainer(ema=0.9 if damage == "other weights" else None)
    fresh.run()
    assert all(map(torch.equal, weights(fresh), weights(again)))


def test_curve_progress_and_facts():
    seen = []
    trained = trainer(report=lambda *words, **numbers: seen.append((words, numbers)), steps=100)
    trained.run()
    curve = trained.progress.curve
    assert [point["step"] for point in curve] == list(range(2, 101, 2))
    assert curve[-1]["loss"] < curve[0]["loss"] / 10
    assert seen[-1][0] == ("fit", 100, 100)
    assert seen[-1][1]["rows_per_second"] > 0
    facts = trained.facts()
    # Batches of 16, 16 and 8 rows.
    assert (facts["steps"], facts["planned_steps"], facts["batch_size"], trained.per_epoch) == (100, 100, 16, 3)
    assert trained.ending("x") == []


def test_epochs_count_every_row():
    trained = trainer(steps=None, epochs=5)
    trained.run()
    assert (trained.progress.step, trained.progress.rows) == (15, 200)


def test_time_ends_training_and_is_noted():
    trained = trainer(steps=10**7, max_seconds=0.3)
    trained.run()
    assert 1 < trained.progress.step < 10**7
    assert "stopped after" in trained.ending("training")[0]
    assert "max_train_seconds" in trained.ending("training")[0]
    assert trained.share() == 1.0  # so the rate has come down to 0


def test_patience_ends_training_and_the_best_epoch_is_kept():
    trained = trainer(steps=3000, keep_best=0.0, patience=4, learning_rate=0.3)
    losses = []
    judge = trained._judge
    trained._judge = lambda loss: (losses.append((loss, weights(trained))), judge(loss))
    trained.run()
    assert trained.progress.step < 3000
    assert "4 epochs brought no lower loss" in trained.ending("training")[0]
    best = min(range(len(losses)), key=lambda place: losses[place][0])
    assert len(losses) - 1 - best == 4
    assert all(map(torch.equal, losses[best][1], weights(trained)))


def test_averaged_weights_are_the_moving_mean():
    trained = trainer(steps=20, ema=0.8)
    seen = [weights(trained)[0]]
    step = trained._step
    trained._step = lambda *given: (step(*given), seen.append(weights(trained)[0]))[0]
    trained.run()
    mean = seen[0]
    for done, value in enumerate(seen[1:]):
        decay = min(0.8, (1 + done) / (10 + done))
        mean = decay * mean + (1 - decay) * value
    assert torch.allclose(weights(trained)[0], mean, atol=1e-6)


def test_plateaus_follow_their_judge():
    plateau = Plateau(1.0, 0.1, patience=0)
    trained = trainer(steps=9, plateaus={"beta": plateau})
    trained.judge = lambda loss: {"beta": 1.0}
    trained.run()
    assert plateau.value == pytest.approx(0.01)  # three epochs, of which the first sets the mark


def test_a_loss_that_is_no_number_is_named():
    trained = trainer()
    trained.loss = lambda *_: trained.module.weight.sum() * float("nan")
    with pytest.raises(TabOrderError, match=r"the training loss is nan at step 1: give a learning_rate below 0\.05"):
        trained.run()


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    trainer(ema=0.9).run()
    assert torch.equal(before, torch.get_rng_state())


def test_a_missing_gpu_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert device_of("auto").type == "cpu"
    with pytest.raises(TabOrderError, match="torch finds no GPU"):
        device_of("cuda")
