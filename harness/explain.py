"""Errors of the configuration system, worded for people."""

from __future__ import annotations

import re
import sys

from omegaconf import OmegaConf

from harness.errors import TabOrderError, choices


def explain(error: BaseException) -> str:
    """Word an error of the configuration system as one sentence, with the legal choices where they can be found."""
    if isinstance(error, TabOrderError):
        return str(error)
    parts = [str(error)]
    cause = error.__cause__
    if cause is not None and str(cause) not in parts[0]:
        parts.append(str(cause))
    text = " ".join(re.sub(r"\s+", " ", part).strip() for part in parts if part)
    unknown = re.search(r"Key '([^']+)' is not in struct full_key: (\S+)", text)
    if unknown:
        return f"{_unknown_key(unknown[1], unknown[2])} To add a key that the configuration does not have, write +{unknown[2]}=VALUE."
    absent = re.search(
        r"Could not find '(\w[\w/]*)/([^']+)' Available options in '[^']+': (.+?)(?: Config search path|$)", text
    )
    if absent:
        return f"{choices(absent[2], absent[3].split(), absent[1])} Choose one with {absent[1]}=NAME."
    mandatory = re.search(r"Missing mandatory value: \S+ full_key: (\S+)", text)
    if mandatory:
        return f"{mandatory[1]} has no value: give it one with {mandatory[1]}=VALUE."
    text = re.sub(r" ?(Config search path:|See https?://\S+|Set the environment variable).*$", "", text)
    return text if text.endswith(".") else text + "."


def _unknown_key(key: str, full_key: str) -> str:
    """List the keys that stand beside the unknown one, from the configuration as composed without it."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from harness.__main__ import CONF

    parent = full_key.rpartition(".")[0]
    words = [word for word in sys.argv[1:] if "=" in word and not word.startswith(("-", full_key, "hydra"))]
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", overrides=[word for word in words if "," not in word])
        node = OmegaConf.select(config, parent) if parent else config
        return choices(
            key, [str(name) for name in node if name != "_target_"], f"key of {parent or 'the configuration'}"
        )
    except Exception:  # the sentence must not be lost to a second mistake on the same command line
        return f"unknown key '{full_key}'."
