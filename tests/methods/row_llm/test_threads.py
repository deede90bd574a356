"""The number of CPU threads is chosen by what pays, and leaves no trace in the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from methods.row_llm import RowLLM
from methods.row_llm.model import threads
from methods.row_llm.model.threads import RepeatableLayerNorm, ThreadChoice, make_repeatable
from tests.methods.row_llm.training_case import SCHEMA, table

ROWS = 1000
"""Of a piece of work."""


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Machine:
    """A clock, and work that takes a second on one thread and ``seconds`` on two."""

    def __init__(self, seconds: float, same: bool = True) -> None:
        self.now = 100.0
        self.seconds = seconds
        self.same = same

    def perf_counter(self) -> float:
        return self.now

    def work(self) -> list[Tensor]:
        count = torch.get_num_threads()
        self.now += 1.0 if count == 1 else self.seconds
        return [torch.tensor(1.0 if self.same else float(count))]

    def products(self, count: int, enough: float = 0.0) -> float:
        return 0.01 if count == 1 else 0.01 * self.seconds

    def run(self, choice: ThreadChoice, pieces: int) -> list[int]:
        """Threads of each piece."""
        counts = []
        for _ in range(pieces):
            choice.settle(ROWS, self.work)
            counts.append(torch.get_num_threads())
            self.work()
        return counts


def watched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> ThreadChoice:
    monkeypatch.setattr(threads, "time", machine)
    monkeypatch.setattr(threads, "_seconds_of_products", machine.products)
    return ThreadChoice()


def test_two_threads_where_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(0.7)
    choice = watched(machine, monkeypatch)
    with choice.watch(nn.Linear(2, 2), 1.2):
        assert machine.run(choice, 6) == [1, 1, 1, 2, 2, 2]  # the first three show one thread's pace
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("seconds", [0.97, 1.5, 30.0])
def test_one_thread_where_two_do_not_pay(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(seconds)
    choice = watched(machine, monkeypatch)
    with choice.watch(nn.Linear(2, 2), 1.2):
        assert set(machine.run(choice, 50)) == {1}


def test_a_busy_machine_is_noticed_and_its_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(0.7)
    choice = watched(machine, monkeypatch)
    with choice.watch(nn.Linear(2, 2), 1.2):
        machine.run(choice, 6)
        machine.seconds = 20.0
        assert machine.run(choice, 5) == [2, 1, 1, 1, 1]  # one piece is enough
        before = machine.now
        machine.run(choice, 200)
        assert machine.now - before < 205.0  # a first look is cheap, so the loss is none
        machine.seconds = 0.7
        counts = machine.run(choice, 60)
        assert counts[-1] == 2
        assert counts.index(2) <= threads.LONGEST_SECONDS


def test_work_whose_bits_depend_on_threads_stays_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(0.5, same=False)
    choice = watched(machine, monkeypatch)
    with choice.watch(nn.Linear(2, 2), 1.2):
        assert set(machine.run(choice, 100)) == {1}
    assert choice.free is False


def test_few_rows_run_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(0.7)
    choice = watched(machine, monkeypatch)
    with choice.watch(nn.Linear(2, 2), 1.2):
        machine.run(choice, 6)
        choice.settle(2 * threads.LEAST_ROWS - 1, machine.work)
        assert torch.get_num_threads() == 1


def test_nothing_is_chosen_for_large_models_or_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(30.0)
    choice = watched(machine, monkeypatch)
    monkeypatch.setattr(threads, "SMALL", 5)
    with choice.watch(nn.Linear(2, 2), 1.2):  # 6 parameters
        assert machine.run(choice, 6) == [2] * 6
    torch.set_num_threads(1)
    with choice.watch(nn.Linear(2, 1), 1.2):
        assert machine.run(choice, 6) == [1] * 6


def norms(norm: nn.LayerNorm, rows: int) -> list[Tensor]:
    source = torch.Generator().manual_seed(0)
    x = torch.randn((rows, 7, norm.normalized_shape[0]), generator=source, requires_grad=True)
    normed = norm(x)
    normed.backward(torch.randn(normed.shape, generator=source))
    assert x.grad is not None
    assert norm.weight.grad is not None
    assert norm.bias.grad is not None
    found = [normed.detach(), x.grad, norm.weight.grad.clone(), norm.bias.grad.clone()]
    norm.weight.grad = norm.bias.grad = None
    return found


def test_a_repeatable_norm_is_the_norm_of_one_thread_on_any_number() -> None:
    plain = nn.Sequential(nn.LayerNorm(64))
    plain[0].weight.data.normal_()
    torch.set_num_threads(1)
    expected = norms(plain[0], 120)
    make_repeatable(plain)
    assert type(plain[0]) is RepeatableLayerNorm
    assert list(plain.state_dict()) == ["0.weight", "0.bias"]
    for count in (1, 2, 4):
        torch.set_num_threads(count)
        assert all(map(torch.equal, expected, norms(plain[0], 120)))


@pytest.mark.parametrize("order", ["fd", "random"])
def test_a_table_does_not_depend_on_threads(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads on every step, whether they pay or not, against one."""
    monkeypatch.setattr(threads, "BUSY", float("inf"))
    monkeypatch.setattr(threads, "GAIN", 0.0)
    monkeypatch.setattr(threads, "WINDOW_SECONDS", float("inf"))
    monkeypatch.setattr(threads, "PACE_STEPS", 0)
    used = []
    settle = ThreadChoice.settle

    def spy(self: ThreadChoice, *given: Any) -> None:
        settle(self, *given)
        used.append(torch.get_num_threads())

    monkeypatch.setattr(ThreadChoice, "settle", spy)
    states, tables = [], []
    for count in (1, 2):
        generator = RowLLM(order, epochs=1, batch_size=128, device="cpu")
        generator.threads = count
        used.clear()
        generator.fit(table().iloc[:512], SCHEMA, seed=0)
        assert set(used) == {count}
        states.append(generator.fitted.logits_model.model.state_dict())
        tables.append(generator.sample(100, seed=0).frame)
        assert count in used
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert tables[0].equals(tables[1])
