"""Out of sight: while a generator works, test rows and other cells' results are not where its process could come upon them.

Linux gives a process a view of the file system of its own (a mount namespace; as an ordinary user, inside a user namespace). What is
named to :func:`hide` is covered there by an empty, read-only folder or file; nothing changes for any other process. This keeps honest
code from reading what it must not, and a careless one from finding it; it is no sandbox against code that sets out to escape.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
PRIVATE_VARIABLES = ("TABORDER_MIRROR", "TABORDER_PROGRESS", "OLDPWD", "PWD")
"""Environment variables that say where data or results are."""


def hide(paths: Sequence[str], kept: Path) -> str | None:
    """Cover ``paths`` with nothing, for this process and what it starts.

    Args:
        paths: files and folders; those that do not exist are passed over.
        kept: a folder below one of them that stays in sight, at its place.

    Returns:
        ``None``, or one sentence why the system does not allow it (then nothing is covered).
    """
    for name in PRIVATE_VARIABLES:
        os.environ.pop(name, None)
    found = sorted({path for path in map(os.path.realpath, paths) if os.path.exists(path)})
    outermost = [
        path for path in found if not any(Path(path).is_relative_to(other) for other in found if other != path)
    ]
    try:
        _rehearse()
        _own_view()
        handle = os.open(kept, os.O_PATH | os.O_DIRECTORY)
        try:
            for path in outermost:
                _cover(path)
                _keep(path, Path(os.path.realpath(kept)), handle)
        finally:
            os.close(handle)
    except (OSError, AttributeError) as error:
        return f"the real test rows could have been read by the generator: this system hides no files from a process ({error})."
    return None


def _rehearse() -> None:
    """Try in a child: a process that came half-way would have lost its user, and could not go back."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _own_view()
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number != 0:
        raise OSError(abs(number), os.strerror(abs(number)))


def _own_view() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        user, group = os.geteuid(), os.getegid()
        _check(libc.unshare(CLONE_NEWNS | CLONE_NEWUSER), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)


def _cover(path: str) -> None:
    if os.path.isdir(path):
        _mount("none", path, "tmpfs", 0, "mode=755")
    else:
        _mount("/dev/null", path, None, MS_BIND)


def _keep(path: str, kept: Path, handle: int) -> None:
    """Bring ``kept`` back if it lay below ``path``; then nothing can be written beside it."""
    if not os.path.isdir(path):
        return
    if kept.is_relative_to(path):
        kept.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{handle}", str(kept), None, MS_BIND)
    _mount("none", path, "tmpfs", MS_REMOUNT | MS_RDONLY, "mode=755")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    _check(libc.mount(*words, ctypes.c_ulong(flags), None if options is None else options.encode()), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
