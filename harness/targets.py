"""The only resolver of ``_target_``: locate it, check its arguments, build it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
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
    for part in arguments.values():
        if is_spec(part):
            check(part)
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


def is_spec(value: Any) -> bool:
    """Whether a value is a mapping that names something to build."""
    return isinstance(value, Mapping) and "_target_" in value


def targets_of(spec: Mapping[str, Any]) -> Iterator[str]:
    """The target of a spec and of the specs among its arguments, from the outside in."""
    yield str(spec["_target_"])
    for part in arguments_of(spec).values():
        if is_spec(part):
            yield from targets_of(part)


def wrapped(spec: Mapping[str, Any], wrappers: Mapping[str, Any], key: str = "repair") -> dict[str, Any]:
    """A spec without ``key``, put into the wrapper that ``key`` names, if it names one.

    The wrapper gets the spec as its argument ``of``; an ``environment`` is the wrapper's, for both live in one process.

    Args:
        spec: as configured.
        wrappers: specs by name.
        key: whose value is one of these names, or ``None``.

    Raises:
        TabOrderError: for an unknown name.
    """
    inner = {name: value for name, value in spec.items() if name != key}
    chosen = spec.get(key)
    if chosen is None:
        return inner
    if chosen not in wrappers:
        raise TabOrderError(choices(chosen, wrappers, f"value of generator.{key}"))
    around = {name: inner.pop(name) for name in ("environment",) if inner.get(name)}
    return {**wrappers[chosen], "of": inner, **around}


def accepts(target: str, argument: str) -> bool:
    """Whether what ``target`` names takes an argument of this name."""
    try:
        parameters = inspect.signature(locate(target)).parameters.values()
    except (TypeError, ValueError):  # no signature to look at
        return False
    return any(one.name == argument or one.kind == one.VAR_KEYWORD for one in parameters)


def with_argument(spec: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The spec with an argument set wherever it is taken: by the target itself, or by the specs among its arguments."""
    inner = {key: with_argument(part, name, value) if is_spec(part) else part for key, part in spec.items()}
    return {**inner, name: value} if accepts(str(spec["_target_"]), name) else inner


def arguments_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a spec: what is neither its target nor about how it is run, nor an unused ``repair: null``."""
    about = {"_target_", "_convert_", "environment", *(["repair"] if spec.get("repair") is None else [])}
    return {key: value for key, value in spec.items() if key not in about}


def build(spec: Mapping[str, Any]) -> Any:
    """Call the class or function named by ``_target_`` with the other keys; those that are specs are built first.

    Raises:
        TabOrderError: when it cannot be imported, or does not take these arguments.
    """
    check(spec)
    return locate(spec["_target_"])(**built(arguments_of(spec)))


def built(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with their specs built."""
    return {name: build(value) if is_spec(value) else value for name, value in arguments.items()}
