"""Compose a configuration from words outside Hydra's own entry point: for scripts and notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf

from harness.cli.mistakes import CONF, checked, explain
from harness.errors import TabOrderError


@contextmanager
def composed(words: Sequence[str]) -> Iterator[DictConfig]:
    """The configuration of ``python -m harness WORDS``; within the block :class:`hydra.core.hydra_config.HydraConfig` is set too.

    Raises:
        TabOrderError: for any mistake in the words, also one that shows when a value is read in the block.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    before = HydraConfig.instance().cfg
    words = checked(words)
    try:
        with warnings.catch_warnings(), initialize_config_dir(str(CONF), version_base="1.3"):
            # hydra/launcher/*.yaml stand where the plug-ins have configurations of the same names.
            warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against")
            whole = compose("config", overrides=list(words), return_hydra_config=True)
            HydraConfig.instance().set_config(whole)
            yield OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    except (HydraException, OmegaConfBaseException) as error:
        raise TabOrderError(explain(error, words)) from None
    finally:
        HydraConfig.instance().cfg = before


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as words of the command line: ``{"n_rows": 5}`` is ``n_rows=5``.

    Args:
        settings: by key of the configuration. What a mapping holds is set key by key, and added where the configuration lacks it.

    Raises:
        TabOrderError: for a value that has no such form.
    """
    return [word for key, value in settings.items() for word in _words(key, value)]


def _words(key: str, value: Any, sign: str = "") -> list[str]:
    if isinstance(value, Mapping) and value:
        return [word for name, one in value.items() for word in _words(f"{key}.{name}", one, "++")]
    return [f"{sign}{key}={_written(value)}"]


def _written(value: object) -> str:
    """A Python value as Hydra's grammar writes it.

    Raises:
        TabOrderError: for a value that has no such form.
    """
    from hydra.core.override_parser.types import Quote, QuotedString

    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if value == {}:
        return "{}"
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    raise TabOrderError(
        f"{value!r} is a {type(value).__name__}: give None, a truth value, a number, a text, or a list or a mapping of these."
    )
