import io

import pytest

from harness.execution.progress import CellProgress, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.42, "0.4 s"), (12.3, "12 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations(value, text):
    assert seconds(value) == text


def shown(**event):
    stream = io.StringIO()
    progress = CellProgress("cell", stream, every=0.0)
    progress.event({"stage": "fit"})
    progress.event({"progress": "fit", **event})
    return stream.getvalue().splitlines()[-1]


def test_numbers_are_shown_and_a_generators_own_estimate_is_believed():
    line = shown(done=3, total=10, loss=0.5, rows_per_second=1234.0, eta_seconds=75.0)
    assert line == "cell: fit 3/10 · 1,234 rows/s · loss 0.5000 · ETA 1 min 15 s"


def test_an_estimate_that_is_no_number_is_left_out():
    assert shown(done=0, total=10, eta_seconds=float("nan")) == "cell: fit 0/10"
