"""A child that speaks in JSON lines: answers, ends, is late, is killed."""

import sys
import time

import pytest

from harness.processes.json_lines import Ended, Late, LineProcess
from tests.processes import ends

ECHO = "import sys, json\nfor line in sys.stdin: print('no json', flush=True), print(json.dumps({'got': json.loads(line)}), flush=True)"


def start(code, **options):
    return LineProcess([sys.executable, "-c", code], {"ASKED": "é"}, **options)


def test_requests_are_answered_in_order_and_other_output_is_passed_over():
    child = start(ECHO)
    for number in (1, 2):
        child.send({"n": number, "text": "line\nbreak é"})
    assert [child.wait(time.monotonic() + 30)["got"]["n"] for _ in range(2)] == [1, 2]
    child.close()
    with pytest.raises(Ended, match="ended with code 0") as ended:
        child.wait(time.monotonic() + 30)
    assert ended.value.returncode == 0


def test_variables_and_the_project_are_there():
    child = start(
        "import os, json, harness; print(json.dumps({'asked': os.environ['ASKED'], 'name': harness.__name__}))"
    )
    assert child.wait(time.monotonic() + 30) == {"asked": "é", "name": "harness"}
    child.kill()


def test_silence_is_late_and_does_not_end_it():
    child = start("import time; time.sleep(600)")
    with pytest.raises(Late, match="no answer in time"):
        child.wait(time.monotonic() + 0.1)
    child.kill()
    with pytest.raises(Ended, match="killed by SIGKILL") as ended:
        child.wait(time.monotonic() + 30)
    assert ended.value.returncode == -9


def test_what_is_gone_is_told_its_exit_code():
    child = start("raise SystemExit(7)")
    with pytest.raises(Ended, match="ended with code 7"):
        child.wait(time.monotonic() + 30)
    with pytest.raises(Ended, match="ended with code 7"):
        child.send({"n": 1})


def test_a_group_of_its_own_is_ended_whole():
    code = (
        "import subprocess, sys, json, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(json.dumps({'pid': p.pid}), flush=True); time.sleep(600)"
    )
    child = start(code, own_session=True)
    grandchild = child.wait(time.monotonic() + 30)["pid"]
    child.kill()
    assert ends(grandchild)
