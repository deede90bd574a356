"""Words for what a script asks of the configuration."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from harness.cli.composition import composed, words_of
from harness.errors import TabOrderError

VALUES = [None, True, 1, -2.5, 1e-9, "a'b", "a\\'b", "a\\", "", "x, y", "${a}", "null", "1", [1, "b, c", None], {}, []]


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back_as_hydra_reads_them(value):
    (word,) = words_of({"k": value})
    read = OverridesParser.create().parse_override(word).value()
    assert read == value
    assert type(read) is type(value) or isinstance(value, str)


def test_mappings_are_set_key_by_key_and_the_rest_keeps_its_values():
    words = words_of({"generator.llm": {"layers": 7}, "generator.mining": {"max_lhs": 1}})
    with composed(["generator=permutation_aware_llm", *words]) as config:
        assert (config.generator.llm.layers, config.generator.llm.heads) == (7, 2)
        assert config.generator.mining == {"max_lhs": 1}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"generator.epocs": 3}, "unknown key of generator 'epocs'"),
        ({"sede": 1}, "Did you mean 'seed'"),
        ({"dataset": "nowhere"}, "unknown dataset 'nowhere'"),
        ({"seed": object()}, "is a object"),
    ],
)
def test_mistakes_are_one_sentence(settings, words):
    with pytest.raises(TabOrderError, match=words), composed(["generator=ctgan", *words_of(settings)]):
        pass
