import csv
import io
import json
import xml.etree.ElementTree as ET

import pytest

from harness.cli.conclude import conclude
from harness.cli.outcomes import JobOutcome, Plan
from harness.errors import TabOrderError
from harness.experiments import OUTPUTS, write
from harness.experiments.__main__ import main
from harness.experiments.contrasts import by_table, contrast, gather, numbers, same, tally, verdict
from harness.experiments.study import Study, order_of, order_questions
from harness.ranking.load import build
from harness.ranking.statistics import Estimate
from harness.records.store import ResultStore
from harness.report.tables import Table, file_name
from tests.factories import FD, HOSTILE, make_dataset, make_full_store, make_record, make_store
from tests.harness.report.figure_texts import watch


def order_contrast(study, metric):
    """fd against random over all tables."""
    (found,) = order_questions(study, [metric])
    return found.overall


def arm(dataset, order, seed, rate, **changes):
    """A language model's record of one order: both orders share every other parameter."""
    cell = {"params": {"order": order, "epochs": 3, "llm": {"layers": 2, "width": 64}}, **changes.pop("cell", {})}
    name = "permutation_aware_llm" if order == "fd" else "random_order_llm"
    given = {"generator_info": {"parameters": 1000}, **changes}
    return make_record(dataset, name, seed, scores={FD: rate}, cell=cell, **given)


# violation rates, two seeds each:            fd          random      differences fd − random
#   a                                      .1   .2       .5   .4      −.4  −.2   mean −.3
#   b                                      .0   .0       .1   .3      −.1  −.3   mean −.2
#   mean over datasets −.25; lower in 4 of 4 pairs
RATES = {("a", "fd"): (0.1, 0.2), ("a", "random"): (0.5, 0.4), ("b", "fd"): (0.0, 0.0), ("b", "random"): (0.1, 0.3)}


def records():
    return [arm(d, order, seed, rate) for (d, order), found in RATES.items() for seed, rate in enumerate(found)]


def test_order_contrast_is_paired_and_hand_computed():
    found = order_contrast(Study(build(records()), ResultStore("nowhere")), FD)
    assert found is not None
    assert found.difference.value == pytest.approx(-0.25)
    assert (found.blocks, found.runs, found.negative) == (2, 4, 1.0)
    assert found.difference.low is None  # two tables say nothing of others
    assert found.doubt == "with 2 training seeds in a block, where 3 are needed"


def test_pairs_without_a_difference_are_no_win_for_either():
    """Differences −.1, 0, 0, .1: lower in one of four, higher in one, equal in two."""
    rates = {"fd": (0.4, 0.5, 0.5, 0.6), "random": (0.5, 0.5, 0.5, 0.5)}
    made = [arm("a", order, seed, rate) for order, found in rates.items() for seed, rate in enumerate(found)]
    found = order_contrast(Study(build(made), ResultStore("nowhere")), FD)
    assert (found.negative, found.equal) == (0.25, 0.5)
    for lower in (True, False):
        assert numbers(found, lower).endswith("better in 25%, equal in 50%)")


def test_two_contrasts_of_the_same_runs_are_known_either_way_round():
    values = {"x": {(("a", ""), 0): 0.1, (("a", ""), 1): 0.2}, "y": {(("a", ""), 0): 0.4, (("a", ""), 1): 0.3}}
    one, other = (contrast(values, *pair) for pair in (("x", "y"), ("y", "x")))
    assert same(one, other)
    assert not same(one, None)


def three_tables(*gaps):
    """Three seeds a table; fd at .5 + gap ± .01, random at .5: the paired difference is the gap ± .01."""
    return [
        arm(f"t{number}", order, seed, 0.5 + (gap + 0.01 * (seed - 1) if order == "fd" else 0.0))
        for number, gap in enumerate(gaps)
        for order in ("fd", "random")
        for seed in (0, 1, 2)
    ]


@pytest.mark.parametrize(
    ("gaps", "beginning", "ending"),
    [
        # mean (−.19 − .2 − .21)/3 = −.2, standard error .01/√3, t(.995, 2) = 9.925 → ± .0573
        ((-0.19, -0.2, -0.21), "order fd is better than order random on x: difference -0.2 [-0.257, -0.143] over 3 blocks (", "(9 pairs of runs, better in 100%)."),
        ((0.19, 0.2, 0.21), "order fd is worse than order random on x: difference 0.2 [0.143, 0.257] over 3 blocks (", "(9 pairs of runs, better in 0%)."),
        # three tables with −.1, −.2, −.3 are not enough: ± .573
        ((-0.1, -0.2, -0.3), "Not shown at this scale: order fd against order random on x, difference -0.2 [-0.773, 0.373]", "; the interval includes 0."),
        # −.1, −.1, +.2: mean 0
        ((-0.1, -0.1, 0.2), "Not shown at this scale: order fd against order random on x, difference", "; the interval includes 0."),
        ((-0.1, -0.1), "Not shown at this scale: order fd", "; with 2 tables, where 3 are needed to speak of several."),
        # one table: mean −.1, standard error .01/√3, t(.975, 2) = 4.303 → ± .0248
        ((-0.1,), "order fd is better than order random on x: difference -0.1 [-0.125, -0.0752] over 1 block", "better in 100%)."),
        ((-0.02,), "Not shown at this scale: order fd against order random on x, difference -0.02 [-0.0448, 0.00484]", "; the interval includes 0."),
    ],
)  # fmt: skip
def test_a_verdict_follows_the_stated_rule(gaps, beginning, ending):
    found = order_contrast(Study(build(three_tables(*gaps)), ResultStore("nowhere")), FD)
    assert verdict(found, "x").startswith(beginning)
    assert verdict(found, "x").endswith(ending)


def test_tables_are_counted_one_by_one():
    values = gather(build(three_tables(-0.1, 0.1, 0.0)).runs, order_of, FD, ["order"])
    assert tally(by_table(values, "fd", "random")) == (
        "Taken alone, of 3 tables: better in 1 (t0); worse in 1 (t1); not shown in 1 (t2)."
    )
    assert tally(by_table(gather(build(three_tables(-0.1)).runs, order_of, FD, ["order"]), "fd", "random")) == ""


def test_runs_that_differ_in_more_than_the_order_are_not_paired():
    other = [
        arm(
            "a", "random", 0, 0.9, cell={"params": {"order": "random", "epochs": 99, "llm": {"layers": 2, "width": 64}}}
        )
    ]
    found = order_contrast(Study(build([*records()[:2], *other]), ResultStore("nowhere")), FD)
    assert found is None
    assert verdict(found, "x").startswith("Not shown at this scale")


def test_runs_of_two_versions_of_a_generator_are_not_paired():
    def params(order):
        return {"params": {"order": order, "epochs": 3, "llm": {"layers": 2, "width": 64}}, "version": f"of {order}"}

    made = [arm("a", order, 0, 0.5, cell=params(order)) for order in ("fd", "random")]
    assert order_contrast(Study(build(made), ResultStore("nowhere")), FD) is None


def test_a_single_dataset_gets_a_t_interval_over_seeds():
    values = gather(build(records()[:4]).runs, order_of, FD, ["order"])
    found = contrast(values, "fd", "random")
    # differences −.4, −.2: mean −.3, standard error .1414/√2 = .1, t(.975, 1) = 12.706 → ± 1.27
    assert (found.difference.low, found.difference.high) == pytest.approx((-0.3 - 1.2706, -0.3 + 1.2706), abs=1e-3)
    assert not found.shown
    assert verdict(found, "x").startswith("Not shown at this scale: fd against random")


def test_table_formats_escape_and_keep_intervals():
    table = Table("t", "50 % of A_1", ["name", "rate"], [["=x|y&z", Estimate(0.5, 0.25, 0.75)], ["A_1", None]])
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows == [["name", "rate", "rate_low", "rate_high"], ["'=x|y&z", "0.5", "0.25", "0.75"], ["A_1", "", "", ""]]
    assert "| =x\\|y&z | 0.5 [0.25, 0.75] |" in table.to_markdown()
    assert r"=x|y\&z & 0.5 [0.25, 0.75] \\" in table.to_latex()
    assert r"\caption{50 \% of A\_1}" in table.to_latex()
    assert r"\begin{tabular}{llr}" in Table("t", "", ["a", "b", "c"], [["x", "y", 1.0], ["x", "z", None]]).to_latex()


def test_file_names_cannot_leave_their_folder():
    assert file_name("a", "../../x y/[b=1]") == "a_x_y_b_1"
    assert file_name("", "..") == "_"


@pytest.fixture(scope="module")
def full_store(tmp_path_factory):
    """Both orders, two sizes, another generator, references; keys, categories and decoding scores; stored tables."""
    root = tmp_path_factory.mktemp("experiments")
    store = make_full_store(root, [make_dataset("toy")], {"ctgan": 0.4, "copy": 1.0, "independent": 0.0})
    standings = build(store.records()[0])
    checksum = standings.runs[0].record.cell.dataset_checksum
    for width, gap in ((64, 0.3), (256, 0.2)):
        for order in ("fd", "fixed_random", "random"):
            for seed in (0, 1, 2):
                rate = 0.02 * seed + {"fd": 0.01, "fixed_random": 0.05, "random": gap}[order]
                record = make_record(
                    "toy",
                    "permutation_aware_llm" if order == "fd" else "random_order_llm",
                    seed,
                    scores={
                        FD: rate,
                        f"{FD}.state→bird": rate,
                        **{f"rules.violation_rate_by_key.x_in_state.S{i}": min(1.0, rate * i) for i in range(4)},
                        "conditional.distance_by_category.S1": rate,
                    },
                    cell={
                        "dataset_checksum": checksum,
                        "params": {"order": order, "llm": {"layers": 2, "width": width}, "decoding": "template"},
                        "target": "methods.row_llm.RowLLM",
                    },
                    generator_info={
                        "parameters": width * 1000,
                        "column_order": ["state", "bird", "n", "x", "y"],
                        "fds": [{"lhs": ["state"], "rhs": "bird", "g3": 0.0}],
                        "edges": [["state", "bird"]],
                        "components": [["x", "y"]],
                    },
                )
                folder = store.cell_dir(record.cell)
                folder.mkdir(parents=True)
                make_dataset("toy").test.to_parquet(folder / "synthetic.parquet")
                store.write(record)
    return store


EXPECTED = {
    "rq1": ["conditional_distance.csv", "eval_state_geolocation_toy.png", "eval_distribution_partial_toy.svg", "intro_observation_single_class_toy.svg", "intro_vio_state_bar_toy_x_in_state.png"],
    "rq2": ["rules.tex", "rq_violation_rate_by_state_toy_x_in_state.svg"],
    "rq3": ["detection.md", "detector_roc_auc.png"],
    "rq4": ["ml_efficacy.csv", "gap_to_real.csv", "ml_efficacy_roc_auc.png"],
    "rq5": ["order_contrast.csv", "violation_by_size_gaps.csv", "violation_by_size.png"],
    "pretrained": ["cells.csv", "cells.md", "order_contrast.tex"],
    "ablation_order": ["fd_violation_by_order.csv", "intro_observation_order.png", "method_edge_building_toy.svg", "method_graph_search_toy.svg", "method_overview.svg"],
    "order_budget": ["orders.csv", "orders.md"],
    "ablation_decoding": ["yield_and_cost.csv", "violation_by_decoding_toy.png"],
    "ablation_model_size": ["ablation_model_size.svg"],
    "difficulty_context": ["rq_context_difficulty.csv"],
    "difficulty_statistic": ["rq_statistic_difficulty.csv"],
}  # fmt: skip


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_each_output_writes_its_files_and_an_answer(name, full_store, tmp_path, monkeypatch):
    faults = watch(monkeypatch)
    answer = write(name, full_store, tmp_path)
    for file in EXPECTED[name]:
        assert (tmp_path / name / file).stat().st_size > 0, file
    assert not {figure: found for figure, found in faults.items() if found}
    for drawing in (tmp_path / name).glob("*.svg"):
        ET.parse(drawing)
    assert (tmp_path / name / "answer.md").read_text() == answer
    assert answer.startswith(f"# {name}: ")
    assert "Evidence: 1 dataset" in answer


def test_answers_follow_the_numbers(full_store, tmp_path):
    # fd − random is −.29 in the small model and −.19 in the large one, equal at every seed: no interval, so nothing is shown
    answer = write("rq5", full_store, tmp_path)
    assert "-0.19 (no interval" in answer
    assert "Not shown at this scale" in answer
    assert (
        "A change of the gap between the orders is not shown at this scale: fd − random (2 layers × 256) less "
        in answer
    )
    assert "2 layers × 64): 0.1 (no interval" in answer
    assert "used as it is was not run" in answer
    with (tmp_path / "rq5" / "violation_by_size_gaps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["difference"]) for row in rows] == pytest.approx([-0.29, -0.19, 0.1])
    assert [row["first"] for row in rows[:2]] == ["order fd (2 layers × 64)", "order fd (2 layers × 256)"]


def test_equal_stores_give_equal_bytes(full_store, tmp_path):
    for place in ("one", "two"):
        write("ablation_order", full_store, tmp_path / place)
    files = sorted((tmp_path / "one" / "ablation_order").iterdir())
    assert len(files) > 10
    for file in files:
        assert file.read_bytes() == (tmp_path / "two" / "ablation_order" / file.name).read_bytes(), file.name


def chain(base, context, order, seed, rate):
    params = {"base": base, "context_columns": context}
    return arm(f"chain{base}_{context}", order, seed, rate, cell={"dataset_params": params})


def test_the_change_of_the_gap_with_difficulty_is_hand_computed(tmp_path):
    # fd at .1 everywhere; random at .2 + .01·seed at b = 1 and .5 + .03·seed at b = 5
    #   gaps: b = 1: −.10 −.11 −.12; b = 5: −.40 −.43 −.46; change by seed: −.30 −.32 −.34, mean −.32, standard deviation .02
    #   t(.975, 2)·.02/√3 = .0497
    made = [
        chain(b, 0, order, seed, 0.1 if order == "fd" else start + step * seed)
        for b, start, step in ((1, 0.2, 0.01), (5, 0.5, 0.03))
        for order in ("fd", "random")
        for seed in (0, 1, 2)
    ]
    answer = write("difficulty_statistic", make_store(tmp_path / "s", made, tables=False), tmp_path / "o")
    assert "order fd (b = 1) is better than order random (b = 1)" in answer
    assert (
        "The gap between the orders widens: fd − random (b = 5) less fd − random (b = 1): -0.32 [-0.37, -0.27] over 3 pairs of gaps."
        in answer
    )
    assert (tmp_path / "o" / "difficulty_statistic" / "rq_statistic_difficulty.png").exists()
    with (tmp_path / "o" / "difficulty_statistic" / "rq_statistic_difficulty.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["order"], float(row["FD violation rate"])) for row in rows] == [
        ("fd", pytest.approx(0.1)), ("fd", pytest.approx(0.1)), ("random", pytest.approx(0.21)), ("random", pytest.approx(0.53)),
    ]  # fmt: skip


def test_context_columns_are_compared_within_each_number_of_values(tmp_path):
    # the gap is −.1 without and −.1 with context columns, but for ± .01 over seeds: no change is shown
    made = [
        chain(b, k, order, seed, 0.1 if order == "fd" else 0.2 + (0.01 * (seed - 1) if k else 0.0))
        for b in (5, 15, 20)
        for k in (0, 4)
        for order in ("fd", "random")
        for seed in (0, 1, 2)
    ]
    answer = write("difficulty_context", make_store(tmp_path / "s", made, tables=False), tmp_path / "o")
    assert (
        "A change of the gap between the orders is not shown at this scale: fd − random (4 context columns) less"
        in answer
    )
    text = (tmp_path / "o" / "difficulty_context" / "rq_context_difficulty.csv").read_text()
    assert {line.split(",")[0] for line in text.splitlines()[1:]} == {"b = 5", "b = 15", "b = 20"}


def as_is(seed, rate, **changes):
    cell = {"params": {"model": "org/Tiny-1B", "order": "original"}, "target": "methods.in_context.InContextLLM"}
    return make_record("a", "in_context_llm", seed, scores=None if rate is None else {FD: rate}, cell=cell, **changes)


def test_models_used_as_they_are_stand_beside_the_trained_ones(tmp_path):
    # mean .4, standard deviation .1: t(.975, 2)·.1/√3 = .248
    made = [*records(), *(as_is(seed, 0.3 + 0.1 * seed) for seed in (0, 1, 2))]
    answer = write("rq5", make_store(tmp_path / "s", made, tables=False), tmp_path / "o")
    assert "Tiny-1B used as it is breaks dependencies on a at a rate of 0.4 [0.152, 0.648]." in answer
    failed = [*records(), as_is(0, None, status="failed")]
    answer = write("rq5", make_store(tmp_path / "f", failed, tables=False), tmp_path / "o")
    assert "Tiny-1B used as it is gave no table on a (failed: it went wrong.)." in answer


def test_order_budget_compares_equal_budgets(tmp_path):
    def made(order, seed, epochs, rate, decoding="template", **params):
        params = {"order": order, "epochs": epochs, "decoding": decoding, "max_train_seconds": None, **params}
        scores = {FD: rate, "distribution.column_shapes": 0.9}
        return make_record("toy", "permutation_aware_llm", seed, scores=scores, cell={"params": params})

    records = [
        made(order, seed, epochs, (rate + 0.01 * seed) / epochs)
        for epochs in (1, 10)
        for order, rate in (("fd", 0.01), ("fixed_random", 0.1), ("random", 0.19))
        for seed in (0, 1, 2)
    ]
    records += [made("fd", seed, 10, 0.0, "fd_constrained") for seed in (0, 1, 2)]
    records += [made("fd", 0, None, 0.5, max_train_seconds=60.0)]
    answer = write("order_budget", make_store(tmp_path / "s", records, tables=False), tmp_path / "o")
    with (tmp_path / "o" / "order_budget" / "orders.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epochs"], row["decoding"], row["order"], row["seeds"]) for row in rows] == [
        *((str(e), "template", o, "3") for e in (1.0, 10.0) for o in ("fd", "fixed_random", "random")),
        ("10.0", "fd_constrained", "fd", "3"),
    ]
    assert [float(row["FD violation"]) for row in rows] == pytest.approx([0.02, 0.11, 0.2, 0.002, 0.011, 0.02, 0])
    assert [row["share of random's"][:4] for row in rows] == ["0.1", "0.55", "1.0", "0.1", "0.55", "1.0", ""]
    # t(.975, 2)·.01/√3 = .0248
    assert float(rows[1]["FD violation_high"]) == pytest.approx(0.1348, abs=1e-4)
    assert float(rows[1]["column shapes"]) == 0.9
    assert "toy, 10 epochs, template: fd 0.002 [0, 0.00448], random 0.02 [0.0175, 0.0225]" in answer
    assert "10.0% of random's. Not shown at this scale: paired difference -0.018 (no interval" in answer
    assert "1 run with a budget in seconds left out." in answer
    assert (tmp_path / "o" / "order_budget" / "violation_by_budget_toy.svg").stat().st_size > 0


def test_experiments_run_together_are_written_from_their_own_cells(tmp_path):
    made = [chain(b, 0, order, seed, 0.1) for b in (1, 5) for order in ("fd", "random") for seed in (0, 1, 2)]
    store = make_store(tmp_path / "s", [*made, *records()], tables=False)
    outcomes = {i: JobOutcome("x", "ok", "computed", None, one.cell.path) for i, one in enumerate(made)}
    parts = {"difficulty_statistic": frozenset(range(12)), "rq2": frozenset(range(6))}
    said = list(conclude(Plan(((),) * 12, parts), outcomes, store, tmp_path / "o"))
    assert [one.partition(":")[0] for one in said] == ["# difficulty_statistic", "# rq2"]
    assert "12 cells of which 0 did not end ok" in said[0]
    assert "6 cells of which 0 did not end ok" in said[1]
    standings = json.loads((tmp_path / "o" / "rq2" / "leaderboard.json").read_text())
    assert {row["dataset"] for row in standings["by_dataset"]} == {"chain1_0"}
    # alone, an experiment's files lie in the folder itself, under its leaderboard; without a single cell, a sentence says so
    said = list(conclude(Plan(((),) * 6, {"rq2": frozenset(range(6))}), outcomes, store, tmp_path / "alone"))
    assert len(said) == 2
    assert (tmp_path / "alone" / "rules.csv").exists()
    (said,) = conclude(Plan(((),), {"rq2": frozenset([0])}), {}, store, tmp_path / "none")
    assert said.startswith("rq2: the store at")


def test_hostile_names_stay_inside_the_folder_and_are_drawn(tmp_path):
    store = make_full_store(tmp_path / "s", [make_dataset("toy", hostile=True)], {"ctgan": 0.4, "tvae": 0.2})
    write("rq1", store, tmp_path / "out" / "deep")
    assert {path.name for path in tmp_path.rglob("*") if path.parent == tmp_path} == {"s", "out"}
    for drawing in (tmp_path / "out").rglob("*.svg"):
        assert HOSTILE not in drawing.read_text()


def test_mistakes_are_one_sentence(tmp_path, capsys, full_store):
    with pytest.raises(TabOrderError, match="unknown experiment output 'rq9'"):
        write("rq9", full_store, tmp_path)
    with pytest.raises(TabOrderError, match="has no record for the experiment output 'rq2'"):
        write("rq2", full_store, tmp_path, keep=lambda record: False)
    assert main(["store.root=x", "output=y"]) == 2
    assert "give outputs=" in capsys.readouterr().err
    assert main([f"store.root={full_store.root}", f"output={tmp_path}", "outputs=rq2"]) == 0
    assert "# rq2" in capsys.readouterr().out
