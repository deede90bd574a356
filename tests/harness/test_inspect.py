"""A look at a table before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.inspect import main

TABLE = "id,city,country,day,hours,same,y\n" + "".join(
    f"{i},{['Lyon', 'Graz', 'Cork', 'Wien'][i % 4]},{'FAIA'[i % 4]},2021-01-{1 + i % 28:02d},{i % 9 if i % 10 else '?'},1,{'yn'[i % 2]}\n"
    for i in range(120)
)


def test_it_says_what_the_columns_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE)
    assert main([str(path), "target=y"]) == 0
    said = capsys.readouterr().out
    lines = {
        line.split()[0]: line
        for line in said.splitlines()
        if line and line.split()[0] in TABLE.split("\n")[0].split(",")
    }
    assert "96 training and 24 test rows × 7 columns; target y (classification)" in said
    assert "datetime" in lines["day"]
    assert "2021-01-01 … 2021-01-28" in lines["day"]
    assert lines["same"].endswith("constant")
    assert "nearly every value is different" in lines["id"]
    assert "determines the target (y) exactly" in lines["city"]
    assert "'?' 12" in said
    assert "city→country" in said
    assert main([str(path), "missing=[?]", "fds=[country->city]", "drop_columns=[id,y]"]) == 0
    said = capsys.readouterr().out
    assert "hours    integer" in said
    assert "columns left out: id, y." in said
    assert "Dependencies that hold in train and test: country→city." in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "0 files are named"),
        (["a.csv", "b.csv"], "2 files are named"),
        (["no.csv"], "no.csv does not exist"),
        (["a.csv", "trget=y"], "Did you mean 'target'?"),
        (["a.csv", "header=maybe"], "header=maybe is neither true nor false"),
        (["a.csv", "columns={y float"], "is no list or mapping"),
    ],
)
def test_mistakes_are_sentences(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert sentence in capsys.readouterr().err
