"""The log of an isolated process: bounded, without secrets, never in the way."""

import os
from multiprocessing import Pipe

import pytest

from harness.processes.captured_log import HEAD_BYTES, TAIL_BYTES, LogKeeper
from harness.records.redaction import Redactor


def kept(path, *chunks, redactor=None):
    """The keeper after everything was written to it."""
    source, sink = Pipe(duplex=False)
    keeper = LogKeeper(source, path, redactor or Redactor())
    keeper.start()
    for chunk in chunks:
        data = chunk
        while data:
            data = data[os.write(sink.fileno(), data) :]
    sink.close()
    keeper.join(30)
    assert not keeper.is_alive()
    return keeper


def test_what_is_printed_is_appended(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("before\n")
    keeper = kept(path, b"one\ntw", b"o\n\nthree")
    assert path.read_text() == "before\none\ntwo\n\nthree"
    assert keeper.tail() == ("one", "two", "three")  # without empty lines
    assert keeper.tail(1) == ("three",)


def test_the_middle_of_too_much_is_left_out_and_counted(tmp_path):
    path = tmp_path / "log.txt"
    line = b"x" * 99 + b"\n"
    count = (HEAD_BYTES + 5 * TAIL_BYTES) // 100
    keeper = kept(path, *[line * 1000] * (count // 1000), b"the end\n")
    text = path.read_bytes()
    assert len(text) < HEAD_BYTES + TAIL_BYTES + 100
    assert text.startswith(line)
    assert text.endswith(b"the end\n")
    assert b"bytes of output not kept" in text
    assert keeper.tail()[-1] == "the end"


def test_secrets_are_taken_out_even_where_a_chunk_ends_within_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cr3t-of-some-length")
    path = tmp_path / "log.txt"
    keeper = kept(path, b"key s3cr3t-of", b"-some-length is mine\nagain s3cr3t-of-some-length", redactor=Redactor())
    assert "s3cr3t" not in path.read_text() + "".join(keeper.tail())
    assert path.read_text().count("[redacted]") == 2


def test_long_lines_are_cut_in_the_tail(tmp_path):
    assert [len(line) for line in kept(tmp_path / "log.txt", b"y" * 2000 + b"\nshort\n").tail()] == [500, 5]


@pytest.mark.parametrize("place", ["folder", "link"])
def test_a_place_that_cannot_be_written_stops_nothing(tmp_path, place):
    path = tmp_path / "log.txt"
    elsewhere = tmp_path / "elsewhere"
    path.mkdir() if place == "folder" else path.symlink_to(elsewhere)
    assert kept(path, b"a\n" * 100_000).tail(1) == ("a",)
    assert not elsewhere.exists()  # a link is not followed
