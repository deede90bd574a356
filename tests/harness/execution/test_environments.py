"""Making environments, without network: what is installed is a wheel written here."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import psutil
import pytest

from harness import environments
from harness.errors import TabOrderError
from harness.execution.environments import Environment, EnvironmentFailed, ensure, packages_of, python_of


def write_wheel(folder, name):
    """A minimal wheel, as a requirement."""
    files = {
        f"{name}.py": b"VALUE = 7\n",
        f"{name}_data/lib{name}.so": bytes(range(256)) * 1024,  # stands for a large library
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{name}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digest = {
        path: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        for path, data in files.items()
    }
    record = "".join(f"{path},sha256={digest[path]},{len(data)}\n" for path, data in files.items())
    record += f"{name}-1.0.dist-info/RECORD,,\n"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, data in {**files, f"{name}-1.0.dist-info/RECORD": record.encode()}.items():
            archive.writestr(inside, data)
    return f"{name} @ {path.as_uri()}"


@pytest.fixture
def wheel(tmp_path):
    return write_wheel(tmp_path, "tiny")


def test_made_once_and_reused(wheel, tmp_path):
    said = []
    environment = Environment("small", (wheel,))
    folder = ensure(environment, said.append, tmp_path / "cache")
    done = subprocess.run(
        [python_of(folder), "-c", "import tiny, sys; print(tiny.VALUE, sys.prefix)"], capture_output=True, text=True
    )
    assert done.stdout.split() == ["7", str(folder)]
    assert packages_of(folder)["tiny"] == "1.0"
    assert any("ready" in line for line in said)
    made = os.stat(folder).st_mtime_ns
    said.clear()
    assert ensure(environment, said.append, tmp_path / "cache") == folder
    assert said == []
    assert os.stat(folder).st_mtime_ns == made
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")] == []


def test_environments_share_what_is_large_and_equal(wheel, tmp_path):
    said = []
    folders = [ensure(Environment(name, (wheel,)), said.append, tmp_path / "cache") for name in ("one", "two")]
    sources, libraries = (
        [next(folder.glob(f"lib/python*/site-packages/{name}")) for folder in folders]
        for name in ("tiny.py", "tiny_data/libtiny.so")
    )
    assert libraries[0].samefile(libraries[1])
    assert not sources[0].samefile(sources[1])
    assert libraries[1].read_bytes() == bytes(range(256)) * 1024
    assert "ready" in said[-1]
    assert folders[0].stat().st_mode & 0o777 == 0o755


def test_unwanted_packages_are_removed(wheel, tmp_path):
    asked = Environment("small", (wheel, write_wheel(tmp_path, "broken")), remove=("broken",))
    folder = ensure(asked, lambda _: None, tmp_path / "cache")
    assert packages_of(folder) == {"tiny": "1.0"}


MAKE = """
import sys
from pathlib import Path
from harness.execution.environments import Environment, ensure
print(ensure(Environment("small", (sys.argv[1],)), lambda line: print(line, flush=True), Path(sys.argv[2])), flush=True)
"""


def start(wheel, cache):
    command = [sys.executable, "-c", MAKE, wheel, str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def stray(cache):
    return [p for p in psutil.process_iter(["cmdline"]) if str(cache) in " ".join(p.info["cmdline"] or [])]


def test_a_killed_making_leaves_nothing_in_its_place_and_is_made_up_for(wheel, tmp_path):
    cache = tmp_path / "cache"
    folder = cache / Environment("small", (wheel,)).folder_name
    for pause in (0.3, 1.0, 2.0):
        maker = start(wheel, cache)
        maker.stdout.readline()
        time.sleep(pause)
        maker.kill()  # alone: what it started must not live on
        maker.wait()
        assert not folder.exists() or packages_of(folder)
    psutil.wait_procs(stray(cache), timeout=5)
    assert stray(cache) == []
    last = start(wheel, cache)
    out, _ = last.communicate(timeout=120)
    assert out.splitlines()[-1] == str(folder)
    assert packages_of(folder)["tiny"] == "1.0"
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []


def test_an_interrupted_making_leaves_nothing_at_all(wheel, tmp_path):
    maker = start(wheel, tmp_path / "cache")
    maker.stdout.readline()
    time.sleep(1.0)
    maker.send_signal(signal.SIGINT)
    maker.wait(timeout=20)
    assert maker.returncode != 0
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_two_processes_make_one(wheel, tmp_path):
    makers = [start(wheel, tmp_path / "cache") for _ in range(2)]
    outputs = [maker.communicate(timeout=120)[0] for maker in makers]
    assert outputs[0].splitlines()[-1] == outputs[1].splitlines()[-1]
    assert sum("; making " in out or ": making " in out for out in outputs) == 1
    assert sum("waiting for it" in out for out in outputs) == 1


def test_what_cannot_be_installed_is_named_and_leaves_nothing(tmp_path):
    missing = f"tiny @ {(tmp_path / 'nowhere.whl').as_uri()}"
    with pytest.raises(EnvironmentFailed, match=r"environment 'small' could not be made: ERROR.*nowhere\.whl"):
        ensure(Environment("small", (missing,)), lambda _: None, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([".lock"], [])


def test_a_pin_that_does_not_exist_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EnvironmentFailed, match=r"pip finds no tiny==9\.9 for Python 3\.\d+\.\d+: check the pin"):
        ensure(Environment("small", ("tiny==9.9",)), lambda _: None, tmp_path / "cache")


def test_without_a_network_the_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(EnvironmentFailed, match="the package index cannot be reached"):
        ensure(Environment("small", ("tiny==9.9",)), lambda _: None, tmp_path / "cache")


def test_a_folder_that_cannot_be_written_is_named(wheel, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailed, match=r"could not be made in .*file/environments .*cache_dir=DIR"):
        ensure(Environment("small", (wheel,)), lambda _: None, tmp_path / "file" / "environments")


def test_a_python_that_is_not_here_is_named(wheel, tmp_path):
    with pytest.raises(EnvironmentFailed, match=r"needs Python 9\.9, which is not on the PATH"):
        ensure(Environment("small", (wheel,), python="9.9"), lambda _: None, tmp_path / "cache")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"name": "x", "requirements": ["pandas"]}, r"\['pandas'\] must be pinned"),
        ({"name": "x", "requirements": []}, "must be pinned"),
        ({"name": "x"}, "needs a name and a list of requirements"),
        ({"name": "../x", "requirements": ["a==1"]}, "cannot be a folder name"),
        ({"name": "x", "requirements": ["a==1"], "python": 3.1}, "write python in quotes"),
        ({"name": "x", "requirements": ["a==1"], "requirement": []}, "Did you mean 'requirements'"),
    ],
)
def test_mistakes_are_named(data, sentence):
    with pytest.raises(TabOrderError, match=sentence):
        Environment.from_config(data)


def test_equal_requirements_share_a_folder_and_others_do_not():
    one = Environment("x", ("a==1", "b==2"))
    assert one.folder_name == Environment("x", ("b==2", "a==1")).folder_name
    others = [
        Environment("x", ("a==1",)),
        Environment("x", one.requirements, remove=("c",)),
        Environment("y", one.requirements),
    ]
    assert len({one.folder_name, *(other.folder_name for other in others)}) == 4


def test_every_configured_environment_is_well_described_and_can_carry_tables():
    known = environments.configured()
    assert {"arf", "great", "realtabformer", "tabular_argn"} <= set(known)
    for environment in known.values():
        names = {requirement.partition("==")[0] for requirement in environment.requirements}
        assert {"numpy", "pandas", "pyarrow"} <= names


def test_the_command_lists_and_refuses(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TABORDER_CACHE", str(tmp_path))
    assert environments.main([]) == 0
    assert "arf: not made" in capsys.readouterr().out
    assert environments.main(["arff"]) == 2
    assert "Did you mean 'arf'" in capsys.readouterr().err


def test_a_damaged_list_of_packages_means_not_made(tmp_path):
    (tmp_path / "packages.json").write_text("{")
    assert packages_of(tmp_path) == {}
    (tmp_path / "packages.json").write_text(json.dumps({"a": "1"}))
    assert packages_of(tmp_path) == {"a": "1"}
