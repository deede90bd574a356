"""The small commands answer `--help`, mistakes and Ctrl-C alike."""

import importlib

import pytest

from harness.commands import Command
from harness.errors import TabOrderError

MODULES = ("leaderboard", "score", "sync", "experiments.__main__", "environments")


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_has_one_form_and_its_examples_are_legal(module, word, capsys):
    found = importlib.import_module(f"harness.{module}")
    assert found.main(["nonsense", word]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    name = module.removesuffix(".__main__")
    assert first.startswith(f"usage: python -m harness.{name} ")
    assert "Exit codes: 0 done, 1 done in part, 2 a mistake, 130 interrupted." in lines
    examples = [line.split() for line in lines if line.startswith(f"  python -m harness.{name}")]
    assert examples
    for _, _, _, *words in examples:
        if not found.COMMAND.names:
            assert found.COMMAND.parse(words).keys() >= set(found.COMMAND.required)


COMMAND = Command("harness.toy", "A toy.", {"a=FILE": "the table", "b=N": "a number"}, required=("a",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a=FILE: it is required; python -m harness.toy --help explains the keys."),
        (["aa=1"], "unknown key 'aa': the choices are a, b. Did you mean 'a'?"),
        (["--b=1"], "unknown key '--b'"),
        (["a"], "'a' has no value: write a=FILE."),
        (["a=1", "a=2"], "a is given twice: give it once."),
        (["a="], "give a=FILE"),
    ],
)
def test_mistakes_are_one_sentence(words, said, capsys):
    assert COMMAND.run(lambda given: len(COMMAND.parse(given)), words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"taborder: {said}")
    assert captured.err.count("\n") == 1


def test_values_may_hold_equals_signs():
    assert COMMAND.parse(["a=x=1.csv"]) == {"a": "x=1.csv"}


def test_interruptions_end_with_130(capsys):
    def act(_):
        raise KeyboardInterrupt

    assert COMMAND.run(act, []) == 130
    assert capsys.readouterr().err == "taborder: interrupted.\n"


def test_other_errors_are_defects_and_show():
    def act(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        COMMAND.run(act, [])
    assert not issubclass(ZeroDivisionError, TabOrderError)
