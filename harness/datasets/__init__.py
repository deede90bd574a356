"""Datasets: tables made by code, the paper's (downloaded or mirrored), tables inside packages, and the user's own files."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any

from harness.datasets.base import Dataset
from harness.errors import TabOrderError, choices

__all__ = ["Dataset", "available", "load"]

DEFAULT_CACHE = "~/.cache/taborder"


def available() -> list[str]:
    """Names of the configured datasets (the files of ``conf/dataset``)."""
    folder = resources.files("conf") / "dataset"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(dataset: str, /, **overrides: Any) -> Dataset:
    """Build a configured dataset outside the command line.

    Args:
        dataset: a file of ``conf/dataset``, without its ending.
        overrides: keys of that file with other values, e.g. ``max_train_rows=500``. ``mirror`` and ``cache_dir`` default to
            the environment variables TABORDER_MIRROR and TABORDER_CACHE, as on the command line.

    Raises:
        TabOrderError: for an unknown dataset or key, and whatever the dataset itself refuses.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    if dataset not in available():
        raise TabOrderError(choices(dataset, available(), "dataset"))
    places = {
        "mirror": os.environ.get("TABORDER_MIRROR"),
        "cache_dir": os.environ.get("TABORDER_CACHE", DEFAULT_CACHE),
    }
    config = OmegaConf.create({**places, "dataset": _configured(dataset)})
    for key, value in overrides.items():
        if key not in config.dataset:
            raise TabOrderError(choices(key, map(str, config.dataset), f"key of dataset '{dataset}'"))
        config.dataset[key] = value
    try:
        built = instantiate(config.dataset, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, TabOrderError):
            raise error.__cause__ from None
        raise
    if not isinstance(built, Dataset):
        raise TabOrderError(f"dataset '{dataset}' builds a {type(built).__name__}, not a Dataset.")
    return built


def _configured(dataset: str) -> Any:
    """A file of ``conf/dataset`` over the ones that its defaults list names, as Hydra composes them."""
    from omegaconf import DictConfig, OmegaConf

    own = OmegaConf.create((resources.files("conf") / "dataset" / f"{dataset}.yaml").read_text(encoding="utf-8"))
    assert isinstance(own, DictConfig)
    below = [str(name) for name in own.pop("defaults", []) if name != "_self_"]
    return OmegaConf.merge(*map(_configured, below), own) if below else own
