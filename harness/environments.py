"""Virtual environments for generators whose dependencies conflict with ours: made once, kept, shared.

A generator's YAML asks for one::

    _target_: baselines.arf.ARF
    environment:
      name: arf
      requirements: [arfpy==0.1.1, numpy==2.3.5, pandas==2.3.3, pyarrow==23.0.0]

It lives under ``<cache_dir>/environments/<name>-<hash>``; ``python -m harness.environments NAME …`` makes those of
``conf/generator/NAME.yaml`` beforehand, for machines that have no network later.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.commands import Command, say
from harness.errors import TabOrderError, choices
from harness.execution.environments import EnvironmentFailed, cache_folder, configured, ensure, packages_of

COMMAND = Command(
    "harness.environments",
    "List the environments of generators that need one of their own; with generators' names: make theirs now, for later runs.",
    {},
    examples=("python -m harness.environments", "python -m harness.environments tabular_argn arf"),
    names="[GENERATOR …]",
)


def _act(words: Sequence[str]) -> int:
    known = configured()
    for word in words:
        if word not in known:
            raise TabOrderError(choices(word, known, "generator with an environment of its own"))
    try:
        for word in words:
            print(ensure(known[word], lambda line: print(line, flush=True)))
    except EnvironmentFailed as error:
        return say(str(error), 1)
    if not words:
        for name, environment in known.items():
            folder = cache_folder() / environment.folder_name
            print(f"{name}: {'ready' if packages_of(folder) else 'not made'} ({folder})")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """``python -m harness.environments``: list the environments; with generators' names: make theirs."""
    return COMMAND.run(_act, words)


if __name__ == "__main__":
    raise SystemExit(main())
