import io

import pytest

from harness.execution.messages import Event
from harness.execution.progress import CellProgress, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.42, "0.4 s"), (12.3, "12 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations(value, text):
    assert seconds(value) == text


def shown(done, total, **numbers):
    stream = io.StringIO()
    progress = CellProgress("cell", stream, every=0.0)
    progress.event(Event("fit"))
    progress.event(Event("fit", done=done, total=total, numbers=numbers))
    return stream.getvalue().splitlines()[-1]


def test_numbers_are_shown_and_a_generators_own_estimate_is_believed():
    line = shown(done=3, total=10, loss=0.5, rows_per_second=1234.0, eta_seconds=75.0)
    assert line == "cell: fit 3/10 · 1,234 rows/s · loss 0.5000 · ETA 1 min 15 s"


def test_an_estimate_that_is_no_number_is_left_out():
    assert shown(done=0, total=10, eta_seconds=float("nan")) == "cell: fit 0/10"


def test_tokens_and_steps_inside_a_stage_are_shown() -> None:
    stream = io.StringIO()
    progress = CellProgress("cell", stream, every=0.0)
    progress.event(Event("fit"))
    progress.event(Event("unpack", done=2, total=4))
    progress.event(Event("sample"))
    numbers = {"prompt_tokens": 1490.0, "tokens": 120.0, "tokens_per_second": 14.26, "elapsed": 31.4}
    progress.event(Event("sample", done=0, total=50, numbers=numbers))
    assert "cell: fit unpack 2/4 · ETA" in stream.getvalue()
    told = "cell: sample 0/50 · 1,490 prompt tokens read · 120 tokens written · 14.3 tokens/s · 31 s"
    assert told in stream.getvalue()
