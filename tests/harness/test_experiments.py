import csv
import io
import xml.etree.ElementTree as ET

import pytest

from harness.errors import TabOrderError
from harness.experiments import OUTPUTS, write
from harness.experiments.__main__ import main
from harness.experiments.study import Study, contrast, gather, order_contrast, order_of, verdict
from harness.experiments.tables import Table, file_name
from harness.leaderboard import build
from harness.standings import Policy
from harness.statistics import Estimate
from harness.store import ResultStore
from tests.factories import FD, HOSTILE, make_dataset, make_full_store, make_record, make_store


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
    assert found.difference.low < -0.25 < found.difference.high < 0
    assert found.shown
    assert verdict(found, "x").startswith("order fd is better than order random on x: difference -0.25 [")


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
    values = gather(build(records()[:4]).units, order_of, FD, ["order"])
    found = contrast(values, "fd", "random", Policy())
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


def test_file_names_cannot_leave_their_folder():
    assert file_name("a", "../../x y/[b=1]") == "a_x_y_b_1"
    assert file_name("", "..") == "_"


@pytest.fixture(scope="module")
def full_store(tmp_path_factory):
    """Both orders, two sizes, another generator, references; keys, categories and decoding scores; stored tables."""
    root = tmp_path_factory.mktemp("experiments")
    store = make_full_store(root, [make_dataset("toy")], {"ctgan": 0.4, "copy": 1.0, "independent": 0.0})
    board = build(store.records()[0])
    checksum = board.units[0].record.cell.dataset_checksum
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
    "rq3": ["detection.md", "sniff_test.png"],
    "rq4": ["ml_efficacy.csv", "gap_to_real.csv", "ml_efficacy_roc_auc.png"],
    "rq5": ["order_contrast_by_model.csv", "violation_by_size_toy.png"],
    "ablation_order": ["fd_violation_by_order.csv", "intro_observation_order.png", "method_edge_building_toy.svg", "method_graph_search_toy.svg", "method_overview.svg"],
    "order_budget": ["orders.csv", "orders.md"],
    "ablation_decoding": ["yield_and_cost.csv", "violation_by_decoding.png"],
    "ablation_model_size": ["ablation_model_size_toy.svg"],
    "difficulty_context": ["violation.csv"],
    "difficulty_statistic": ["violation.csv"],
}  # fmt: skip


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_each_output_writes_its_files_and_an_answer(name, full_store, tmp_path):
    answer = write(name, full_store, tmp_path)
    for file in EXPECTED[name]:
        assert (tmp_path / name / file).stat().st_size > 0, file
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
    with (tmp_path / "rq5" / "order_contrast_by_model.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["difference"]) for row in rows] == pytest.approx([-0.29, -0.19])
    assert [row["first"] for row in rows] == ["order fd (2 layers × 64)", "order fd (2 layers × 256)"]


def test_equal_stores_give_equal_bytes(full_store, tmp_path):
    for place in ("one", "two"):
        write("ablation_order", full_store, tmp_path / place)
    files = sorted((tmp_path / "one" / "ablation_order").iterdir())
    assert len(files) > 10
    for file in files:
        assert file.read_bytes() == (tmp_path / "two" / "ablation_order" / file.name).read_bytes(), file.name


def test_difficulty_reads_the_dataset_parameter(tmp_path):
    made = [
        arm(f"base{b}", order, seed, min(1.0, rate * b + 0.01 * seed), cell={"dataset_params": {"base": b}})
        for b in (1, 5)
        for order, rate in (("fd", 0.0), ("random", 0.1))
        for seed in (0, 1, 2)
    ]
    store = make_store(tmp_path / "s", made, tables=False)
    answer = write("difficulty_statistic", store, tmp_path / "o")
    # random: .11 ± .025 at 1 and .51 ± .025 at 5 (t(.975, 2)·.01/√3 = .0248), far apart; fd does not move
    assert (
        "random order: from 0.11 [0.0852, 0.135] at 1 to 0.51 [0.485, 0.535] at 5, a change of +0.4; the intervals are apart."
        in answer
    )
    assert "fd order: from 0.01 [0, 0.0348] at 1 to 0.01 [0, 0.0348] at 5" in answer
    assert (tmp_path / "o" / "difficulty_statistic" / "rq_statistic_difficulty.png").exists()


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
    assert "10.0% of random's" in answer
    assert "1 run with a budget in seconds left out." in answer
    assert (tmp_path / "o" / "order_budget" / "violation_by_budget_toy.svg").stat().st_size > 0


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
