"""The only resolver of ``_target_``: locate it, check its arguments, build it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from harness.errors import TabOrderError, choices


def locate(target: str) -> Any:
    """Import ``package.module.Name``.

    Raises:
        TabOrderError: when there is no such thing.
    """
    module, _, name = target.rpartition(".")
    if not module:
        raise TabOrderError(f"_target_ '{target}' is not a dotted path: write it as package.module.Class.")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise TabOrderError(
            f"cannot import _target_ '{target}' ({error}): check its spelling, and that its package is installed or on PYTHONPATH."
        ) from None


def check(spec: Mapping[str, Any]) -> None:
    """Refuse a spec whose ``_target_`` cannot be imported or does not take its arguments; nothing is called.

    Raises:
        TabOrderError: naming the argument and the legal ones.
    """
    if not isinstance(spec, Mapping) or not isinstance(spec.get("_target_"), str):
        raise TabOrderError(f"{spec!r} names nothing to build: give a mapping with _target_=package.module.Class.")
    target = spec["_target_"]
    made = locate(target)
    arguments = arguments_of(spec)
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):  # no signature to look at
        return
    known = {
        name for name, one in signature.parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    unknown = [name for name in arguments if name not in known]
    takes_any = any(one.kind == one.VAR_KEYWORD for one in signature.parameters.values())
    if unknown and not takes_any:
        raise TabOrderError(
            choices(unknown[0], known, f"argument of {target}")
            if known
            else f"{target} takes no argument '{unknown[0]}'."
        )
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise TabOrderError(f"{target} cannot be called: {error}; give it a value.") from None


def arguments_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a spec: what is neither its target nor about how it is run."""
    return {key: value for key, value in spec.items() if key not in ("_target_", "_convert_", "environment")}


def build(spec: Mapping[str, Any]) -> Any:
    """Call the class or function named by ``_target_`` with the other keys.

    Raises:
        TabOrderError: when it cannot be imported, or does not take these arguments.
    """
    check(spec)
    return locate(spec["_target_"])(**arguments_of(spec))
