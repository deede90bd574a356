"""Training: batches cover every row once, resume is exact, budgets hold, several processes agree."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch

from harness.errors import TabOrderError
from harness.generator import Context
from methods.row_llm import RowLLM
from methods.row_llm.codecs.chunks import Chunks
from methods.row_llm.codecs.table_codec import TableCodec
from methods.row_llm.sampling.aligned_sampler import AlignedSampler
from methods.row_llm.training.batches import Batches
from tests.methods.row_llm.training_case import SCHEMA, table

SCRIPT = """
import hashlib, sys
from pathlib import Path
from harness.generator import Context
from methods.row_llm import RowLLM
from tests.methods.row_llm.training_case import SCHEMA, table
generator = RowLLM(sys.argv[2], epochs=int(sys.argv[3]), checkpoint_seconds=0.0, device="cpu")
generator.bind(Context(Path(sys.argv[1]), 1, lambda *a, **k: None))
generator.fit(table(), SCHEMA, seed=0)
print(hashlib.sha256(generator.sample(300, seed=0).frame.to_csv().encode()).hexdigest())
"""


def start(folder: Path, order: str, epochs: int, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), order, str(epochs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def answer(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out.strip().splitlines()[-1]


@pytest.mark.parametrize("order", ["fd", "random"])
def test_killed_training_resumes_to_the_same_bytes_in_any_process(order: str, tmp_path: Path) -> None:
    """Uninterrupted here; killed by SIGKILL amid training and resumed there, under another PYTHONHASHSEED."""
    generator = RowLLM(order, epochs=6, device="cpu")
    generator.bind(Context(tmp_path / "whole", 1, lambda *a, **k: None))
    generator.fit(table(), SCHEMA, seed=0)
    expected = hashlib.sha256(generator.sample(300, seed=0).frame.to_csv().encode()).hexdigest()

    killed = start(tmp_path / "killed", order, 6, PYTHONHASHSEED="1")
    progress = tmp_path / "killed" / "checkpoint" / "progress.json"
    while not progress.exists() or json.loads(progress.read_text())["progress"]["step"] < 20:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert 20 <= json.loads(progress.read_text())["progress"]["step"] < 6 * 16
    assert answer(start(tmp_path / "killed", order, 6, PYTHONHASHSEED="2")) == expected


DAMAGE = {
    "empty_progress": lambda folder, state: (folder / "progress.json").write_bytes(b""),
    "torn_progress": lambda folder, state: (folder / "progress.json").write_bytes(b'{"state": "sta'),
    "other_progress": lambda folder, state: (folder / "progress.json").write_bytes(b"[]"),
    "empty_weights": lambda folder, state: state.write_bytes(b""),
    "torn_weights": lambda folder, state: state.write_bytes(state.read_bytes()[:-9]),
    "no_weights": lambda folder, state: state.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_told_in_a_line_and_training_starts_over(
    damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tables = []
    for turn in range(2):
        generator = RowLLM("fd", epochs=1, llm={"layers": 1, "width": 16, "heads": 2}, device="cpu")
        generator.bind(Context(tmp_path, 1, lambda *a, **k: None))
        generator.fit(table(), SCHEMA, seed=0)
        tables.append(generator.sample(50, seed=0).frame)
        if not turn:
            assert capfd.readouterr().out == ""
            (state,) = (tmp_path / "checkpoint").glob("state-*.safetensors")
            DAMAGE[damage](tmp_path / "checkpoint", state)
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith(f"the checkpoint in {tmp_path / 'checkpoint'} is damaged (")
    assert line.endswith("): training starts over.")
    assert not any("resumed" in note for note in generator.describe()["notes"])
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("small", [True, False])
def test_the_record_says_on_how_many_threads_the_weights_depend(
    threads: int, small: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small model's do not: all threads are used only where they give equal bits. A large one keeps what is configured."""
    if not small:
        monkeypatch.setattr("methods.row_llm.model.threads.SMALL", 0)
    generator = RowLLM("fd", epochs=1, llm={"layers": 1, "width": 16, "heads": 2}, device="cpu")
    generator.bind(Context(tmp_path, threads, lambda *a, **k: None))
    generator.fit(table(), SCHEMA, seed=0)
    notes = [note for note in generator.describe()["notes"] if "CPU threads" in note]
    if small:
        assert not [note for note in notes if "equal seeds" in note]
    else:
        assert [f"with as many CPU threads ({threads})" in note for note in notes] == [True] * (threads > 1)


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """Data-parallel on CPU, as on several GPUs: both ranks end with the same model, which has learnt B from A."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_WORLD_SIZE": "2"}
    ranks = [start(tmp_path, "fd", 6, RANK=str(rank), LOCAL_RANK=str(rank), **world) for rank in range(2)]
    first, second = (answer(process) for process in ranks)
    assert first == second
    progress = json.loads((tmp_path / "checkpoint" / "progress.json").read_text())["progress"]
    assert progress["rows"] == 6 * 1000  # both processes' rows count
    assert progress["curve"][-1]["loss"] < 0.6 * progress["curve"][0]["loss"]


@pytest.mark.parametrize("pretrained", [False, True])
def test_bf16_as_on_a_gpu(pretrained: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU's precision on a CPU: it learns, keeps weights and probabilities in full precision, and samples."""
    from methods.row_llm.model import language_model
    from tests.methods.row_llm.text_case import pretrained_folder

    used: list[torch.dtype] = []
    original = AlignedSampler._probabilities

    def spy(self: AlignedSampler, *given: object) -> tuple[torch.Tensor, torch.Tensor | None]:
        used.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
        return original(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(language_model, "mixed_precision", lambda device, width=0: "bf16")
    monkeypatch.setattr(AlignedSampler, "_probabilities", spy)
    llm = {"pretrained": str(pretrained_folder(tmp_path, ["A is A_1, B is B_2, z is 100"]))} if pretrained else {}
    generator = RowLLM("fd", epochs=6, decoding="constrained", llm=llm, device="cpu")
    generator.fit(table(), SCHEMA, seed=0)
    curve = generator.describe()["curve"]
    assert curve[-1]["loss"] < 0.7 * curve[0]["loss"]
    assert {parameter.dtype for parameter in generator.fitted.logits_model.model.parameters()} == {torch.float32}
    assert len(generator.sample(50, seed=0).frame) == 50
    assert used == [] if pretrained else set(used) == {torch.bfloat16}


def batches(order: torch.Tensor | None, chunks: Chunks, codec: TableCodec, **changes: object) -> Batches:
    options: dict = {
        "bos_token": codec.bos_token,
        "end_token": None,
        "learn_all": False,
        "batch_size": 64,
        "seed": 0,
        **changes,
    }
    return Batches(chunks, order, **options)


def test_every_epoch_has_every_row_once_and_learns_only_values() -> None:
    codec = TableCodec.fit(table(), SCHEMA, 2)
    chunks = codec.encode(table())
    missing = table()["z"].isna()
    expected: Counter[int] = Counter()
    for index, name in enumerate(SCHEMA.names):
        tokens = codec.value_tokens(index, table()[name])
        if name == "z":  # filler after a missing value is certain, so it is not learnt
            expected.update(tokens[missing.to_numpy(), 0].tolist())
            tokens = tokens[~missing.to_numpy()]
        expected.update(tokens.flatten().tolist())
    for order in (torch.tensor([2, 0, 1]), None):
        learnt: Counter[int] = Counter()
        rows = 0
        for inputs, places, targets in batches(order, chunks, codec).epoch(0):
            assert (inputs[:, 0] == codec.bos_token).all()
            assert len(targets) == len(places)
            learnt.update(targets.tolist())
            rows += len(inputs)
        assert rows == 1000
        assert learnt == expected


def test_epochs_differ_and_repeat() -> None:
    codec = TableCodec.fit(table(), SCHEMA, 2)
    one = batches(None, codec.encode(table()), codec)
    first, again, second = (torch.cat([b[2] for b in one.epoch(epoch)]) for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_processes_share_a_batch_without_gaps() -> None:
    codec = TableCodec.fit(table(), SCHEMA, 2)
    chunks = codec.encode(table())
    order = torch.tensor([0, 1, 2])
    whole = [inputs for inputs, _, _ in batches(order, chunks, codec).epoch(0)]
    parts = [[inputs for inputs, _, _ in batches(order, chunks, codec, rank=r, world=2).epoch(0)] for r in range(2)]
    for all_rows, even, odd in zip(whole, *parts, strict=True):
        assert torch.equal(all_rows[0::2], even)
        assert torch.equal(all_rows[1::2], odd)


def test_a_time_budget_ends_training_and_is_noted() -> None:
    generator = RowLLM("original", epochs=100_000, max_train_seconds=1.0, device="cpu")
    started = time.monotonic()
    generator.fit(table(), SCHEMA, seed=0)
    assert time.monotonic() - started < 60
    info = generator.describe()
    assert 1.0 <= info["train_seconds"] < 10
    assert any("max_train_seconds=1" in note for note in info["notes"])


def test_progress_is_reported(tmp_path: Path) -> None:
    told: list[tuple[str, int, int, dict]] = []
    generator = RowLLM("original", epochs=2, device="cpu")
    generator.bind(
        Context(tmp_path, 1, lambda stage, done, total, **numbers: told.append((stage, done, total, numbers)))
    )
    generator.fit(table(), SCHEMA, seed=0)
    generator.sample(100, seed=0)
    fit = [entry for entry in told if entry[0] == "fit"]
    assert fit[-1][1:3] == (32, 32)  # 1000 rows / 64 = 16 steps an epoch
    assert {"loss", "rows_per_second", "eta_seconds"} <= set(fit[-1][3])
    assert [entry for entry in told if entry[0] == "sample"][-1][1:3] == (100, 100)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": None}, "set epochs or max_train_seconds"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"temperature": 0.0}, r"temperature=0\.0"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 1.5}, r"top_p=1\.5"),
        ({"digits_per_token": 9}, "digits_per_token=9"),
        ({"max_attempts": 0.5}, r"max_attempts=0\.5"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"llm": {"width": 10, "heads": 4}}, r"llm\.width=10"),
        ({"llm": {"lora_rank": 4}}, r"llm\.lora_rank needs"),
    ],
)
def test_nonsense_is_refused_at_construction(options: dict, words: str) -> None:
    with pytest.raises(TabOrderError, match=words):
        RowLLM(**options)


def test_no_rows_and_no_model_are_said() -> None:
    with pytest.raises(TabOrderError, match="no rows"):
        RowLLM().fit(table().iloc[:0], SCHEMA, seed=0)
    with pytest.raises(TabOrderError, match="call fit or load"):
        RowLLM().sample(1, seed=0)
