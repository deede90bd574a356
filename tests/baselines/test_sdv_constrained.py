import numpy as np
import pandas as pd
import pytest

from baselines.sdv import CTGAN
from baselines.sdv_constrained import ConstrainedCTGAN, join_dependencies
from harness.dependencies import Encoder, FunctionalDependency, violations
from harness.errors import TabOrderError
from harness.table import Column, Schema, conform
from harness.targets import check


def places(rows=300):
    """zip → city → state, zip a number, some cities missing; noise beside."""
    random = np.random.default_rng(0)
    number = random.integers(0, 12, rows)
    city = number // 2
    schema = Schema(
        (
            Column("zip", "integer"),
            Column("noise", "float", 2),
            Column("city", "categorical"),
            Column("s", "categorical"),
        )
    )
    cities = np.array([None, "b", "c", "d", "e", "f"], dtype=object)[city]
    frame = pd.DataFrame({"zip": number, "noise": random.normal(size=rows), "city": cities, "s": city // 3})
    return conform(frame, schema)[0], schema


def fds(*texts):
    return [FunctionalDependency(tuple(text[:-2].split(",")), text[-1]) for text in texts]


def test_no_row_breaks_a_joined_dependency_and_the_record_names_them():
    frame, schema = places()
    generator = ConstrainedCTGAN(epochs=1, batch_size=20)
    generator.fit(frame, schema, seed=0)
    made, invalid = conform(generator.sample(200, seed=1).frame, schema)
    assert invalid == {}
    assert generator.describe()["fixed_combinations"] == [["zip", "city", "s"]]
    mined = [FunctionalDependency.from_json(fd) for fd in generator.describe()["fds"]]
    assert {str(fd) for fd in mined} == {"zip→city", "zip→s", "city→s"}
    assert all(violations(fd, frame, made, schema).rate == 0 for fd in mined)
    assert made.city.isna().any()
    plain = CTGAN(epochs=1, batch_size=20)
    plain.fit(frame, schema, seed=0)
    loose = conform(plain.sample(200, seed=1).frame, schema)[0]
    assert violations(mined[0], frame, loose, schema).rate > 0.2


def test_a_dependency_of_too_many_combinations_is_left_and_named():
    frame, schema = places()
    generator = ConstrainedCTGAN(epochs=1, batch_size=20, max_combinations=6)
    generator.fit(frame, schema, seed=0)
    assert generator.describe()["fixed_combinations"] == [["city", "s"]]
    (note,) = [note for note in generator.describe()["notes"] if "left to the GAN" in note]
    assert note.endswith("max_combinations=6 combinations: zip→city, zip→s.")


def test_without_dependencies_it_is_ctgan_and_says_so():
    frame, schema = places()
    alone = Schema((schema["noise"], schema["s"]))
    tables = []
    for generator in (CTGAN(epochs=1, batch_size=20), ConstrainedCTGAN(epochs=1, batch_size=20)):
        generator.fit(frame[alone.names], alone, seed=0)
        tables.append(generator.sample(50, seed=1).frame)
    assert tables[0].equals(tables[1])
    assert "no dependency to fix was found in train: this is CTGAN as it is." in generator.describe()["notes"]


def test_groups_join_where_they_share_columns_and_fit():
    schema = Schema(tuple(Column(name, "categorical") for name in "abcde"))
    frame = pd.DataFrame(
        {"a": list("xyzw"), "b": list("ppqq"), "c": list("rrrr"), "d": list("stst"), "e": list("uvuv")}
    )
    encoder = Encoder(schema, frame)

    def joined(most, *texts):
        return join_dependencies(fds(*texts), schema.names, encoder, most)

    assert joined(9, "a→b", "b→c", "d→e") == ([["a", "b", "c"], ["d", "e"]], [])
    assert joined(9, "a→b", "d→e", "b,d→a") == ([["a", "b", "d", "e"]], [])
    assert joined(2, "a→b", "d→e", "b→c") == ([["b", "c"], ["d", "e"]], fds("a→b"))


def test_mistakes_are_told_without_building():
    with pytest.raises(TabOrderError, match="Did you mean 'epochs'"):
        check({"_target_": "baselines.sdv_constrained.ConstrainedCTGAN", "epoch": 1})
    with pytest.raises(TabOrderError, match="max_combinations is 0"):
        ConstrainedCTGAN(max_combinations=0)
