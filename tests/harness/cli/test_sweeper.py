import pytest

from harness.cli.sweeper import expand, plan
from harness.errors import TabOrderError

ARMS = {"dataset": "a,b", "generator": "x,y", "seed": "0,1"}
ORDERS = {"dataset": "a", "generator": "y", "generator.order": "p,q", "seed": "0"}


def test_a_union_holds_every_product_once_in_order():
    jobs = expand({"arms": ARMS, "orders": ORDERS, "again": dict(reversed(ARMS.items()))})
    assert len(jobs) == 8 + 2
    assert jobs[0] == ("dataset=a", "generator=x", "seed=0")
    assert jobs[8:] == [
        ("dataset=a", "generator=y", "generator.order=p", "seed=0"),
        ("dataset=a", "generator=y", "generator.order=q", "seed=0"),
    ]


def test_mappings_are_values_like_any_other():
    jobs = expand({"sizes": {"generator.llm": "{layers:1,width:32},{layers:2,width:64}"}})
    assert jobs == [("generator.llm={layers:1,width:32}",), ("generator.llm={layers:2,width:64}",)]


def test_the_command_line_replaces_values_in_every_grid():
    jobs = expand({"arms": ARMS, "orders": ORDERS}, ["seed=7", "dataset=b", "scale=small"])
    assert jobs == [
        ("dataset=b", "generator=x", "seed=7", "scale=small"),
        ("dataset=b", "generator=y", "seed=7", "scale=small"),
        ("dataset=b", "generator=y", "generator.order=p", "seed=7", "scale=small"),
        ("dataset=b", "generator=y", "generator.order=q", "seed=7", "scale=small"),
    ]


def test_a_grid_without_values_at_this_scale_is_left_out():
    assert expand({"none": {"dataset": "a", "generator.model": None}, "one": {"seed": 3}}) == [("seed=3",)]
    with pytest.raises(TabOrderError, match="no grid of none has values"):
        expand({"none": {"generator.model": None}})


def test_experiments_run_together_share_equal_jobs():
    made = plan({"rq": {"arms": ARMS}, "ablation": {"arms": {**ARMS, "dataset": "b"}, "orders": ORDERS}})
    assert len(made.jobs) == 10
    assert made.parts["rq"] == frozenset(range(8))
    assert made.parts["ablation"] == {4, 5, 6, 7, 8, 9}
    assert [made.jobs[number][0] for number in sorted(made.parts["ablation"])] == ["dataset=b"] * 4 + ["dataset=a"] * 2
