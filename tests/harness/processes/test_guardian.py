"""The guardian in a process of its own: what it sends, and that nothing below it is left."""

import json
import multiprocessing
import os

import pytest

from harness.processes.guardian import guarded
from tests.processes import ends

FUNCTIONS = "tests.harness.processes.isolated_functions"


def messages(function, payload):
    """Every message of a guarded call, until the guardian has closed its end."""
    context = multiprocessing.get_context("spawn")
    events, events_child = context.Pipe(duplex=False)
    output, output_child = context.Pipe(duplex=False)
    process = context.Process(
        target=guarded, args=(f"{FUNCTIONS}:{function}", json.dumps(payload), events_child, output_child)
    )
    process.start()
    events_child.close()
    output_child.close()
    found = []
    try:
        while events.poll(60):
            found.append(json.loads(events.recv_bytes()))
    except EOFError:
        pass
    process.join(30)
    return found, process.exitcode, output


def test_begin_events_result_and_exit_code_come_in_this_order():
    found, code, _ = messages("add", {"a": 1, "b": 2})
    assert found == [{"begun": True}, {"event": {"stage": "adding"}}, {"result": {"sum": 3}}, {"exit": 0}]
    assert code == 0


def test_an_exception_is_described_with_its_bases_and_its_traceback_goes_to_the_output():
    found, _, output = messages("add", {"a": 1})
    raised = found[-2]
    assert (raised["exception"], raised["error"]) == ("KeyError", "'b'")
    assert raised["bases"][:2] == ["KeyError", "LookupError"]
    assert "Traceback" in os.read(output.fileno(), 1 << 16).decode()


def test_a_function_that_does_not_exist_is_an_exception_too():
    found, _, _ = messages("nothing", {})
    assert found[-2]["exception"] == "AttributeError"


@pytest.mark.skipif(not os.path.exists("/proc"), reason="orphans are adopted on Linux")
def test_a_daemon_is_ended_with_its_worker(tmp_path):
    path = tmp_path / "pid"
    found, _, _ = messages("leave_daemon", {"path": str(path)})
    assert found[-1] == {"exit": 0}
    assert ends(int(path.read_text()))
