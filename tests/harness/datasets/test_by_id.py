"""Tables by id or address, against servers that speak the real formats, that lie, break off or have changed."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.datasets import Dataset, load
from harness.datasets.arff import read_arff
from harness.errors import TabOrderError
from tests.harness.datasets.table_server import serving

FRAME = pd.DataFrame({"id": range(40), "city": ["Lyon", "Graz"] * 20, "n": range(40), "y": ["a", "b", "b", "a"] * 10})
CSV = FRAME.to_csv(index=False).encode()
ARFF = (
    b"% made by hand\n@RELATION t\n\n@ATTRIBUTE id INTEGER\n@ATTRIBUTE 'the city' {Lyon, 'New York'}\n@ATTRIBUTE n REAL\n"
    b"@attribute y {a,b}\n@DATA\n"
    + b"".join(
        b"%d,%s,%s,%s\n"
        % (i, (b"Lyon", b"'New York'")[i % 2], (b"?", b"0.5", b"1.25")[i % 3], b"ab"[i % 2 : i % 2 + 1])
        for i in range(30)
    )
)


def parquet() -> bytes:
    out = io.BytesIO()
    FRAME.to_parquet(out, index=False)
    return out.getvalue()


def openml(**changes: Any) -> bytes:
    about = {
        "id": "61", "name": "made", "version": "1", "format": "ARFF", "licence": "CC0", "citation": "A. Author (2026)",
        "default_target_attribute": "y", "row_id_attribute": "id", "file_id": "1",
    }  # fmt: skip
    return json.dumps({"data_set_description": about | changes}).encode()


def get(dataset: str, tmp_path: Path, /, **options: Any) -> Dataset:
    return load(dataset, cache_dir=str(tmp_path / "cache"), **options)


def test_openml_by_parquet_arff_and_task(tmp_path: Path) -> None:
    pages: dict[str, Any] = {"/x.pq": parquet(), "/x.arff": ARFF}
    with serving(pages) as (host, asked):
        pages["/json/data/61"] = openml(parquet_url=f"{host}/x.pq")
        pages["/json/data/62"] = openml(url=f"{host}/x.arff", md5_checksum=hashlib.md5(ARFF).hexdigest())
        pages["/json/task/7"] = json.dumps(
            {"task": {"input": [{"name": "source_data", "data_set": {"data_set_id": "61", "target_feature": "city"}}]}}
        ).encode()
        first = get("openml", tmp_path, id=61, api=f"{host}/json")
        assert (first.name, first.schema.names, first.schema.target) == ("openml_61", ["city", "n", "y"], "y")
        assert "OpenML 61: made, version 1; licence: CC0." in first.notes
        assert "cite: A. Author (2026)." in first.notes
        assert get("openml", tmp_path, task_id=7, api=f"{host}/json").schema.target == "city"
        arff = get("openml", tmp_path, id=62, api=f"{host}/json")
        assert arff.schema.names == ["the city", "n", "y"]
        assert arff.schema["n"].kind == "float"
        assert int(arff.train["n"].isna().sum() + arff.test["n"].isna().sum()) == 10
        before = len(asked)
    again = get("openml", tmp_path, id=61, api=f"{host}/json")  # the server is gone: the cache answers
    assert again.checksum == first.checksum
    assert len(asked) == before


def test_uci_takes_target_and_index(tmp_path: Path) -> None:
    pages: dict[str, Any] = {"/data.csv": CSV}
    with serving(pages) as (host, _):
        about = {
            "uci_id": 2,
            "name": "Made",
            "data_url": f"{host}/data.csv",
            "target_col": ["y", "n"],
            "index_col": ["id"],
        }
        pages["/api/dataset?id=2"] = json.dumps({"status": 200, "data": about}).encode()
        pages["/api/dataset?id=3"] = json.dumps({"status": 200, "data": about | {"data_url": None}}).encode()
        dataset = get("uci", tmp_path, id=2, api=f"{host}/api")
        assert (dataset.name, dataset.schema.target, dataset.schema.names) == ("uci_2", "y", ["city", "n", "y"])
        assert any("UCI 2: Made" in note for note in dataset.notes)
        with pytest.raises(TabOrderError, match="is not offered as one file"):
            get("uci", tmp_path, id=3, api=f"{host}/api")
        with pytest.raises(TabOrderError, match=r"could not be downloaded \(HTTP status 404\)"):
            get("uci", tmp_path, id=4, api=f"{host}/api")


def test_hub_and_addresses(tmp_path: Path) -> None:
    with serving({"/datasets/me/it/resolve/main/d/a.parquet": parquet(), "/a.csv": CSV, "/b.csv": CSV}) as (host, _):
        hub = get("hf", tmp_path, name="me/it", file="d/a.parquet", host=host, target="y", drop_columns=["id"])
        plain = get("url", tmp_path, train=f"{host}/a.csv", target="y", drop_columns=["id"])
        assert hub.checksum == plain.checksum
        assert (hub.name, plain.name) == ("hf_me_it", "url_a")
        assert len(get("url", tmp_path, train=f"{host}/a.csv", test=f"{host}/b.csv").test) == 40


def test_a_changed_file_is_refused_until_its_pin_goes(tmp_path: Path) -> None:
    pages: dict[str, Any] = {"/a.csv": CSV}
    lock = tmp_path / "datasets.lock.json"
    with serving(pages) as (host, _):
        load("url", train=f"{host}/a.csv", cache_dir=str(tmp_path / "one"), lock=str(lock))
        pages["/a.csv"] = CSV + b"41,Lyon,41,a\n"
        load(
            "url", train=f"{host}/a.csv", cache_dir=str(tmp_path / "one"), lock=str(lock)
        )  # the cache has what was pinned
        with pytest.raises(
            TabOrderError, match=r"is not the file that was pinned in .*delete that line to accept"
        ) as error:
            load("url", train=f"{host}/a.csv", cache_dir=str(tmp_path / "two"), lock=str(lock))
        assert "\n" not in str(error.value)
        assert not list((tmp_path / "two" / "by_address").glob("*.csv"))
        (cached,) = (tmp_path / "one" / "by_address").glob("*.csv")
        cached.write_bytes(b"tampered")
        with pytest.raises(TabOrderError, match="is not the file that was pinned"):
            load("url", train=f"{host}/a.csv", cache_dir=str(tmp_path / "one"), lock=str(lock))
        lock.write_text("{}")
        assert len(load("url", train=f"{host}/a.csv", cache_dir=str(tmp_path / "two"), lock=str(lock)).train) == 33
        lock.write_text("[1")
        with pytest.raises(TabOrderError, match="is not a JSON object of SHA-256"):
            load("url", train=f"{host}/a.csv", cache_dir=str(tmp_path / "three"), lock=str(lock))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ((CSV, len(CSV) + 9), "could not be downloaded"),
        ((CSV, 10**12), "is longer than max_bytes"),
        ((CSV * 40, None), "is longer than max_bytes=2000"),
        (500, "HTTP status 500"),
        (403, "HTTP status 403"),
        (b"<!DOCTYPE html><p>log in", "is a web page"),
        (b"", "is empty"),
    ],
)
def test_servers_that_lie_or_break_are_one_sentence(page: Any, words: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("harness.datasets.locked.time.sleep", lambda seconds: None)
    with serving({"/a.csv": page}) as (host, _), pytest.raises(TabOrderError, match=words) as error:
        get("url", tmp_path, train=f"{host}/a.csv", max_bytes=2000)
    assert "\n" not in str(error.value)


def test_descriptions_that_are_none(tmp_path: Path) -> None:
    pages: dict[str, Any] = {
        "/json/data/1": b"<html>",
        "/json/data/2": b"[]",
        "/json/task/3": b'{"task": {"input": []}}',
    }
    with serving(pages) as (host, _):
        pages["/json/data/4"] = openml(url=f"{host}/x.arff", md5_checksum="0" * 32)
        pages["/x.arff"] = ARFF
        for options, words in (
            ({"id": 1}, "something else than JSON"),
            ({"id": 2}, "describes no table"),
            ({"task_id": 3}, "describes no task with a table"),
            ({"id": 4}, "is not the file that OpenML describes"),
            ({}, "needs one id"),
            ({"id": 1, "task_id": 1}, "needs one id"),
        ):
            with pytest.raises(TabOrderError, match=words):
                get("openml", tmp_path, api=f"{host}/json", **options)
        pages["/json/data/1"] = openml(parquet_url=f"{host}/x.pq")  # what was no JSON was not pinned
        pages["/x.pq"] = parquet()
        assert get("openml", tmp_path, api=f"{host}/json", id=1).schema.target == "y"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("url", {}, "needs an address"),
        ("url", {"train": "ftp://x/a.csv"}, "is no address that is read"),
        ("url", {"train": "https://user:secret@x/a.csv"}, "is no address that is read"),
        ("hf", {"name": "me/it"}, "needs a repository and a file"),
        ("uci", {}, "needs an id"),
        ("sklearn", {"name": "irsi"}, "unknown table of scikit-learn 'irsi'.*Did you mean 'iris'"),
        ("package", {}, "needs a package"),
        ("package", {"name": "no_such_package"}, "no_such_package is not installed"),
        ("package", {"name": "sklearn", "file": "iris.csv"}, "unknown file of the package sklearn 'iris.csv'"),
        ("uci", {"id": 1, "train": "a.csv"}, "could not be downloaded|comes from its id"),
    ],
)
def test_mistakes_are_sentences(name: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    if name == "uci" and options:
        options = options | {"api": "http://127.0.0.1:9"}
    with pytest.raises(TabOrderError, match=words) as error:
        get(name, tmp_path, **options)
    assert "secret" not in str(error.value)


def test_scikit_learns_own_and_files_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    iris = get("sklearn", tmp_path, name="iris")
    assert (iris.name, iris.schema.target, iris.schema.task) == ("sklearn_iris", "target", "classification")
    assert set(iris.train["target"]) == {"setosa", "versicolor", "virginica"}
    assert get("sklearn", tmp_path, name="diabetes").schema.task == "regression"
    folder = tmp_path / "a_package_with_tables" / "data"
    folder.mkdir(parents=True)
    (folder / "t.csv").write_bytes(CSV)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = get("package", tmp_path, name="a-package-with-tables", file="data/t.csv", target="y")
    assert (found.name, found.schema.target) == ("package_a_package_with_tables", "y")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"a,b\n1,2\n", "names no attributes"), (b"@attribute a real\n@data\n", "has no rows"),
     (b"@attribute a real\n@data\n1,2\n", "line 3: 2 cells"), (b"@attribute a real\n@data\n{0 1}\n", "sparse ARFF")],
)  # fmt: skip
def test_arff_that_is_none(data: bytes, words: str) -> None:
    with pytest.raises(TabOrderError, match=words):
        read_arff(data, "x.arff")
