"""Generators that look for the test rows wherever honest code, or code that is only a little curious, might come upon them."""

import os
from pathlib import Path

MARK = b"only-in-the-test-rows"
MOST_BYTES = 1 << 22


def _holds(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size < MOST_BYTES and MARK in path.read_bytes()
    except OSError:
        return False


def _below(folder: Path, depth: int = 8) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        if len(Path(place).parts) - len(folder.parts) >= depth:
            folders.clear()
        found += [Path(place) / name for name in names]
    return found


class Snoop:
    """Hands out its training rows, and says where it has found the others."""

    version = "1"

    def __init__(self, roof: str) -> None:
        self._roof = Path(roof)  # no higher than this: the machine's other folders are none of this test's business

    def fit(self, train, schema, *, seed):
        self._train = train
        seen = {}
        folder = Path.cwd()
        while folder.is_relative_to(self._roof):
            seen |= {str(path): "above the working folder" for path in _below(folder) if _holds(path)}
            folder = folder.parent
        for name, value in os.environ.items():
            for part in value.split(os.pathsep):
                place = Path(part)
                if part.startswith("/") and place.is_relative_to(self._roof):
                    found = _below(place) if place.is_dir() else [place]
                    seen |= {str(path): f"named by {name}" for path in found if _holds(path)}
        for handle in Path("/proc/self/fd").iterdir():
            place = Path(os.path.realpath(handle))
            if place.is_relative_to(self._roof):
                found = _below(place) if place.is_dir() else [place]
                seen |= {str(path): "an open file" for path in found if _holds(path)}
        self._seen = seen

    def sample(self, n, *, seed):
        return self._train.sample(n, replace=True, random_state=seed, ignore_index=True)

    def describe(self):
        return {"seen": self._seen}
