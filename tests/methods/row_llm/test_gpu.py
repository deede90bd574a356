"""The row language model on a GPU: bf16 beside full-precision weights, batches ahead, memory, other devices."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from methods.row_llm import RowLLM
from methods.row_llm.model import cache
from methods.row_llm.training.prefetch import on_device
from tests.methods.row_llm.text_case import pretrained_folder
from tests.methods.row_llm.training_case import SCHEMA, table

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")


@pytest.fixture(params=["table", "text"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "table":
        return {"device": "cuda"}
    return {
        "device": "cuda",
        "llm": {"pretrained": str(pretrained_folder(tmp_path, ["A is A_1, B is B_2, z is 100"]))},
    }


@gpu
def test_it_learns_in_bf16_and_its_rows_and_weights_come_back(options: dict[str, Any], tmp_path: Path) -> None:
    generator = RowLLM("fd", epochs=6, **options)
    generator.fit(table(), SCHEMA, seed=0)
    facts = generator.describe()
    assert facts["device"] == "cuda:0"
    assert facts["curve"][-1]["loss"] < 0.7 * facts["curve"][0]["loss"]
    assert {weight.dtype for weight in generator.fitted.logits_model.model.parameters()} == {torch.float32}
    assert len(generator.sample(300, seed=0).frame) == 300
    generator.save(tmp_path / "kept")
    other = RowLLM("fd", device="cpu")
    other.load(tmp_path / "kept")
    assert len(other.sample(50, seed=0).frame) == 50


@gpu
def test_a_killed_run_goes_on_from_its_checkpoint(options: dict[str, Any], tmp_path: Path) -> None:
    def trained(epochs: int, folder: Path) -> dict[str, Any]:
        generator = RowLLM("fd", epochs=epochs, checkpoint_seconds=0.0, **options)
        generator.work_dir = folder
        generator.fit(table(), SCHEMA, seed=0)
        return dict(generator.describe())

    trained(2, tmp_path / "run")
    again = trained(4, tmp_path / "run")
    assert "resumed from its checkpoint" in " ".join(again["notes"])
    assert again["curve"][-1]["loss"] < again["curve"][0]["loss"]


@gpu
def test_a_batch_that_does_not_fit_is_cut_and_said(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    generator = RowLLM("random", epochs=1, decoding="constrained", sample_batch=4096, **options)
    generator.fit(table(), SCHEMA, seed=0)
    monkeypatch.setattr("methods.row_llm.fitted.most_rows", lambda *_: 64)
    assert len(generator.sample(300, seed=0).frame) == 300
    assert any("64 rows were decoded at once" in note for note in generator.describe()["notes"])


@gpu
def test_batches_arrive_in_order_and_an_error_on_the_way_is_raised() -> None:
    device = torch.device("cuda")
    made = [(torch.full((2,), number), torch.arange(number + 1)) for number in range(20)]
    got = [[part.cpu() for part in batch] for batch in on_device(iter(made), device)]
    assert all(
        torch.equal(a, b) for left, right in zip(made, got, strict=True) for a, b in zip(left, right, strict=True)
    )

    def broken() -> Any:
        yield from made[:3]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(on_device(broken(), device))


def test_on_a_cpu_nothing_runs_ahead() -> None:
    taken: list[int] = []

    def made() -> Any:
        for number in range(5):
            taken.append(number)
            yield (torch.tensor(number),)

    next(on_device(made(), torch.device("cpu")))
    assert taken == [0]


def test_rows_at_once_are_those_whose_keys_and_values_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers, four heads of eight, bf16: 2 · 2 · 4 · 8 · 2 = 256 bytes a token, 11 tokens, 16 bytes for each of 100."""
    config = SimpleNamespace(num_hidden_layers=2, num_attention_heads=4, hidden_size=32)
    model: Any = SimpleNamespace(device=torch.device("cuda"), config=config)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (900_000, 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 150_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 50_000)
    assert cache.most_rows(model, 10, 100) == int(np.floor(0.4 * 1_000_000 / (256 * 11 + 1600)))
    model.device = torch.device("cpu")
    assert cache.most_rows(model, 10, 100) is None
