"""A sweep on a terminal: lines of several processes drawn as one block."""

import io
import re
import time

import pytest

from harness.cli.display import FOLDER_VARIABLE, Relay, SweepDisplay, overall
from harness.execution.messages import Event
from harness.execution.progress import CellProgress


def screen(text):
    """What a terminal shows after ``text``: only the control sequences that are used."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[\d*[FK]|\n|[^\x1b\n]+", text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
            column = 0
        elif part.endswith("F") and part.startswith("\x1b"):
            row -= int(part[2:-1])
            assert row >= 0
            column = 0
        elif part == "\x1b[K":
            lines[row] = lines[row][:column]
        else:
            lines[row] = part + lines[row][len(part) :]
            column = len(part)
    return [line for line in lines if line]


@pytest.fixture
def display(tmp_path, monkeypatch):
    stream = io.StringIO()
    made = SweepDisplay(tmp_path, lambda: 4, stream)
    monkeypatch.setattr(made, "_run", lambda: made._ended.wait())  # drawn by hand here
    made.start()
    yield made, stream, tmp_path
    made.stop()


def test_cells_scroll_by_above_one_line_a_running_cell_and_one_for_the_sweep(display):
    board, stream, folder = display
    first, second = Relay.wanted(), Relay.wanted()
    second._now = second._now.with_name("~other.now")
    one, two = CellProgress("[1/4] a", relay=first), CellProgress("[2/4] b", relay=second)
    one.event(Event("fit"))
    one.event(Event("fit", done=5, total=10, numbers={"loss": 0.5}))
    two.event(Event("sample"))
    board.draw()
    shown = screen(stream.getvalue())
    assert re.fullmatch(r"\[1/4\] a: fit \|██████ *\| 50% · loss 0.5000 · ETA [\d.]+ s · [\d.]+ s", shown[0])
    assert re.fullmatch(r"\[2/4\] b: sample · [\d.]+ s", shown[1])
    assert re.fullmatch(r"cells \| *\| 0/4 · [\d.]+ s", shown[2])
    one.say("ok")
    one.close()
    (folder / "outcome-00000.json").write_text("{}")
    board.draw()
    shown = screen(stream.getvalue())
    assert shown[0] == "[1/4] a: ok"
    assert shown[1].startswith("[2/4] b: sample")
    assert re.match(r"cells \|███ *\| 1/4 · .* · ETA ", shown[2])
    assert len(shown) == 3
    two.say("failed: a very long reason " + "x" * 300)
    two.close()
    board.stop()
    assert screen(stream.getvalue())[:2] == ["[1/4] a: ok", "[2/4] b: failed: a very long reason " + "x" * 300]
    assert len(screen(stream.getvalue())) == 2
    assert not (folder / "progress").exists()
    assert Relay.wanted() is None


def test_without_a_display_cells_write_for_themselves(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "gone"))
    assert Relay.wanted() is None


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "text"),
    [
        (0, 24, 5.0, "0/24 · 5.0 s"),
        (6, 24, 60.0, "6/24 · 1 min 00 s · ETA 3 min 00 s"),
        (24, 24, 60.0, "24/24 · 1 min 00 s"),
    ],
)
def test_the_rest_is_estimated_at_the_pace_so_far(done, total, elapsed, text):
    assert overall(done, total, elapsed) == text


def test_drawing_goes_on_by_itself_and_ends_at_once(tmp_path):
    stream = io.StringIO()
    board = SweepDisplay(tmp_path, lambda: 1, stream)
    board.start()
    Relay.wanted().say("hello")
    end = time.monotonic() + 20
    while "hello" not in stream.getvalue():
        assert time.monotonic() < end
        time.sleep(0.05)
    board.stop()
    board.stop()
