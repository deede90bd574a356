"""Mistakes on the command line of ``python -m harness``, worded for people: one sentence with the nearest legal choice."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf

from harness.errors import TabOrderError, choices
from harness.records.redaction import Redactor

CONF = Path(__file__).resolve().parents[2] / "conf"
OTHER_COMMANDS = ("archive", "leaderboard", "score", "sync", "experiments", "environments")


def checked(words: Sequence[str]) -> list[str]:
    """The words as Hydra can read them: options may stand anywhere, and what its parsers answer with jargon is refused.

    Raises:
        TabOrderError: for an unknown option, a word that is no ``key=value``, or a value that needs quotes.
    """
    from hydra._internal.utils import get_args_parser
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from harness.datasets.advice import arrows_quoted

    words = [arrows_quoted(word) for word in words]
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    given, unknown = parser.parse_known_args(list(words))
    if late := [word for word in unknown if not word.startswith("-")]:  # Hydra reads no key after an option
        words = [*late, *(word for word in words if word not in late)]
        given, unknown = parser.parse_known_args(words)
    if unknown:
        name, _, value = unknown[0].lstrip("-").partition("=")
        raise TabOrderError(
            f"unknown option '{unknown[0]}': keys are written without dashes, {name}={value or 'VALUE'}; --help lists them."
        )
    if given.help or given.hydra_help or given.shell_completion:
        return list(words)
    reader = OverridesParser.create()
    for word in given.overrides:
        if "=" not in word and not word.startswith("~"):
            raise TabOrderError(f"'{word}' is not key=value: {_meant(word)}")
        try:
            reader.parse_override(word)
        except HydraException:
            key, _, value = word.partition("=")
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            raise TabOrderError(
                f"""cannot read '{word}': a value with special characters needs quotes, "{key}='{quoted}'"."""
            ) from None
    return list(words)


def _refuse(message: str) -> NoReturn:
    raise TabOrderError(f"{message}; --help explains the options.")


def _meant(word: str) -> str:
    if word in OTHER_COMMANDS:
        return f"did you mean python -m harness.{word}?"
    if word == "help":
        return "did you mean --help?"
    groups = [path.parent.name for path in sorted(CONF.glob(f"*/{word}.yaml"))] if re.fullmatch(r"\w+", word) else []
    return f"did you mean {groups[0]}={word}?" if groups else f"write {word}=VALUE, or --help for the keys."


def explain(error: BaseException, words: Sequence[str] | None = None) -> str:
    """Word an error of the configuration system as one sentence, with the legal choices where they can be found.

    Args:
        error: what the configuration system raised.
        words: what was asked for; by default the command line.
    """
    return Redactor().text(_worded(error, sys.argv[1:] if words is None else words))


def _worded(error: BaseException, words: Sequence[str]) -> str:
    if isinstance(error, TabOrderError):
        return str(error)
    parts = [str(error)]
    cause = error.__cause__
    if cause is not None and str(cause) not in parts[0]:
        parts.append(str(cause))
    text = " ".join(re.sub(r"\s+", " ", part).strip() for part in parts if part)
    if unknown := re.search(r"Key '([^']+)' is not in struct full_key: (\S+)", text):
        return _unknown_key(unknown[1], unknown[2], words)
    if absent := re.search(
        r"Could not find '(\w[\w/]*)/([^']*)' Available options in '[^']+': (.+?)(?: Config search path|$)", text
    ):
        said = choices(absent[2], absent[3].rstrip(".").split(), absent[1])
        if absent[1] == "dataset" and absent[2].endswith((".csv", ".parquet")):
            return f"{said.partition(' Did you mean')[0]} For a file of your own write dataset=csv dataset.train='{absent[2]}'."
        return f"{said} Choose one with {absent[1]}=NAME."
    if foreign := re.search(r"Could not override '(\S+)'.*?Key '(\S+)' not in '(\w+)'", text):
        return _unknown_setting(foreign[1], foreign[3], words)
    if mandatory := re.search(r"Missing mandatory value: \S+ full_key: (\S+)", text):
        return f"{mandatory[1]} has no value: give it one with {mandatory[1]}=VALUE."
    if several := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.+?)'(?: 1\.| requires)", text):
        return f"{several[1]} gives several values: add -m to run each of them (or quote the value: \"key='a,b'\")."
    if merged := re.search(r"Error merging override (\S+) (.*?)\.?(?: full_key:.*)?$", text):
        reason = merged[2].replace("Cannot merge DictConfig with ListConfig", "a mapping belongs there, not a list")
        return f"{merged[1]} does not fit the configuration: {reason}; --cfg job prints it."
    text = re.sub(r" ?(Config search path:|See https?://\S+|Set the environment variable| full_key:).*$", "", text)
    return text if text.endswith((".", "?")) else text + "."


def _unknown_key(key: str, full_key: str, words: Sequence[str]) -> str:
    """List the keys that stand beside the unknown one, and those of its name elsewhere."""
    parent = full_key.rpartition(".")[0]
    adding = f"To add a key that the configuration does not have, write +{full_key}=VALUE."
    try:
        config, chosen = _without_key(full_key, parent, words)
        node = OmegaConf.select(config, parent) if parent else config
        known = [str(name) for name in node if name != "_target_"]
        said = choices(key, known, f"key of {chosen or parent or 'the configuration'}")
        if chosen:
            return f"{said} Run {chosen} apart. {adding}"
        elsewhere = [name for name in _leaves(config) if key.replace("/", ".") in (name, name.rpartition(".")[2])]
        if "Did you mean" not in said and elsewhere:
            said += f" Did you mean '{elsewhere[0]}'?"
        return f"{said} {adding}"
    except Exception:  # the sentence must not be lost to a second mistake on the same command line
        return f"unknown key '{full_key}'. {adding}"


def _without_key(full_key: str, parent: str, words: Sequence[str]) -> tuple[DictConfig, str]:
    """The configuration that lacks a key, and, when several options of the key's group are swept, the option that lacks it."""
    group = parent.partition(".")[0]
    swept = next((word for word in words if group and word.startswith(f"{group}=") and "," in word), "")
    for option in swept.partition("=")[2].split(","):
        if option:
            config = _composed(full_key, words, also=[f"{group}={option.strip()}"])
            if full_key.rpartition(".")[2] not in (OmegaConf.select(config, parent) or ()):
                return config, f"{group}={option.strip()}"
    return _composed(full_key, words), ""


def _unknown_setting(full_key: str, owner: str, words: Sequence[str]) -> str:
    """A key that one of Hydra's own typed parts does not have."""
    if full_key == "hydra.launcher.n_jobs" and owner == "BasicLauncherConf":
        return "hydra.launcher.n_jobs belongs to hydra/launcher=joblib: give both (without it, cells run one after the other)."
    parent, _, key = full_key.rpartition(".")
    try:
        node = OmegaConf.select(_composed(full_key, words, whole=True), parent)
        return choices(key, [str(name) for name in node if name != "_target_"], f"key of {parent}")
    except Exception:
        return f"unknown key '{full_key}'."


def _composed(without: str, words: Sequence[str], whole: bool = False, also: Sequence[str] = ()) -> DictConfig:
    """The configuration as composed without the word that is wrong and ``also`` others; ``whole`` with Hydra's own part."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    words = [
        word for word in words if "=" in word and not word.startswith(("-", without, *([] if whole else ["hydra"])))
    ]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        single = [word for word in words if "," not in word]
        return compose("config", overrides=[*single, *also], return_hydra_config=whole)


def _leaves(node: Any, prefix: str = "") -> Iterator[str]:
    """Full names of a configuration's leaves, nearest to the root first within each group."""
    if not isinstance(node, DictConfig):
        return
    for name in node:
        yield f"{prefix}{name!s}"
        if isinstance(name, str) and not (OmegaConf.is_missing(node, name) or OmegaConf.is_interpolation(node, name)):
            yield from _leaves(node[name], f"{prefix}{name}.")
