"""Classes that take another class's arguments beside their own, with a signature that says so."""

from __future__ import annotations

import inspect
from typing import Any


def extended(own: Any, inner: Any) -> inspect.Signature:
    """The signature of a class whose ``**options`` go to ``inner``: the named arguments of both.

    Args:
        own: the class's ``__init__``.
        inner: the class whose arguments ``**options`` are.
    """
    kinds = inspect.Parameter
    mine = [one for one in inspect.signature(own).parameters.values() if one.name != "self"]
    named = [one for one in mine if one.kind != kinds.VAR_KEYWORD]
    known = {one.name for one in named}
    theirs = [one.replace(kind=kinds.KEYWORD_ONLY) for one in inspect.signature(inner).parameters.values()]
    return inspect.Signature([*named, *(one for one in theirs if one.name not in known)])
