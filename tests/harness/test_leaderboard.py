import csv
import json
import subprocess
import sys

import pytest

from harness.errors import TabOrderError
from harness.leaderboard import main
from harness.ranking.families import place
from harness.ranking.load import build
from harness.ranking.policy import Policy
from harness.ranking.remarks import in_short, notes
from harness.ranking.runs import runs
from harness.records.store import ResultStore
from harness.report.leaderboard_files import write
from harness.report.tables import safe_cell
from tests.factories import FD, grid, make_record, make_score, make_store

# A hand-computed 3×3 matrix, one seed, full precision; overall level by dataset and generator:
#
#            a     b     c   mean   ranks      mean rank
#   ctgan   .2    .4    .6    .4    3 2 1        2
#   tvae    .4    .2    .3    .3    2 3 3        8/3
#   llm     .9    .8    .4    .7    1 1 2        4/3
LEVELS = {
    "a": {"ctgan": [0.2], "tvae": [0.4], "llm": [0.9]},
    "b": {"ctgan": [0.4], "tvae": [0.2], "llm": [0.8]},
    "c": {"ctgan": [0.6], "tvae": [0.3], "llm": [0.4]},
}
MORE = {"d": {"ctgan": [0.5], "tvae": [0.1], "llm": [0.3]}}
"""A fourth dataset: ranks 1 3 2."""


def rows_by_label(standings):
    return {row.label: row for row in standings.rows}


def test_averages_and_ranks_of_the_hand_computed_matrix():
    standings = build(grid(LEVELS))
    rows = rows_by_label(standings)
    assert [row.label for row in standings.rows] == ["llm", "ctgan", "tvae"]
    assert {k: row.overall.value for k, row in rows.items()} == pytest.approx({"ctgan": 0.4, "tvae": 0.3, "llm": 0.7})
    assert {k: row.mean_rank.value for k, row in rows.items()} == pytest.approx(
        {"ctgan": 2, "tvae": 8 / 3, "llm": 4 / 3}
    )
    # FD violation of a level is .9·(1 − level): mean for llm .9·(1 − .7) = .27
    assert rows["llm"].fd_violation.value == pytest.approx(0.27)
    # every llm run beats every ctgan run on a and b, loses on c: 2/3
    pair = next(pair for pair in standings.pairs if (pair.first, pair.second) == ("llm", "ctgan"))
    assert pair.improvement.value == pytest.approx(2 / 3)
    assert pair.difference.value == pytest.approx(0.3)
    assert pair.posterior is None  # three tables are too few
    # differences .7 .4 −.2: standard error .2646, t(.995, 2) = 9.925; p of t = 1.134 is .374, times 5 more than 1
    assert pair.difference.high - pair.difference.low == pytest.approx(2 * 9.92484 * 0.264575, rel=1e-5)
    assert pair.p_adjusted == 1.0


def test_intervals_contain_the_value_and_shrink_with_agreement():
    rows = rows_by_label(build(grid(LEVELS)))
    for row in rows.values():
        assert row.overall.low <= row.overall.value <= row.overall.high
    same = build(grid({name: {"ctgan": [0.5, 0.5]} for name in "abc"}))
    assert same.rows[0].overall.low is None


def test_normalisation_is_anchored_clipped_and_undefined_without_gap():
    assert place(make_score(FD, 0.45)).value == pytest.approx(0.5)  # (.45 − .9)/(0 − .9)
    assert place(make_score("distribution.pair_trends", 0.5)).value == 0.0  # below the floor .8
    assert place(make_score(FD, 0.0, floor=0.005)).value is None
    assert place(make_score(FD, None)).reason == "the metric could not be computed."
    # worst bound of a share to keep low is 1: (.75 − 1)/(.5 − 1)
    assert place(make_score("privacy.dcr_share", 0.75), zero="bound").value == pytest.approx(0.5)
    assert place(make_score("coverage.missing_categories", 3.0, bounds=(0.0, None)), zero="bound").value is None


def test_anchors_the_wrong_way_round_or_within_their_noise_place_nothing():
    upside_down = make_score(FD, 0.5, real=0.3, floor=0.1)
    found = place(upside_down)
    assert found.value is None
    assert "real rows (0.3) are not better than independent columns (0.1)" in found.reason
    # .5 against .6 of 100 test and 400 train rows: √(.25/100 + .24/400) = .0557, three times that is .167
    close = make_score("ml_efficacy.hgb.roc_auc", 0.55, real=0.6, floor=0.5)
    assert place(close).value == pytest.approx(0.5)
    assert place(close, {"train": 400, "test": 100}).value is None
    assert "by more than 0.17" in place(close, {"train": 400, "test": 100}).reason
    assert place(close, {"train": 40_000, "test": 10_000}).value == pytest.approx(0.5)


def test_one_good_row_repeated_satisfies_no_family():
    repeated = {"coverage.duplicate_rows": 0.99, FD: 0.0, "rules.violation_rate": 0.0}
    (run,) = runs([make_record("a", "constant", level=0.0, scores=repeated)])
    # of 100 rows one is distinct, of train's (duplicate share 0) all, of a resample of train 63.2
    assert run.families["dependencies"] == pytest.approx(0.01 / 0.632121)
    assert run.families["rules"] == pytest.approx(0.01 / 0.632121)


def test_one_generator_with_two_parameter_sets_gets_two_labels():
    records = [
        make_record("a", "llm", seed, cell={"params": {"order": order, "llm": {"layers": 2}}})
        for order in ("fd", "fd_reversed")
        for seed in (0, 1)
    ]
    records += [
        make_record("b", "llm", 0, cell={"params": {"order": "fd", "llm": {"layers": 2}}}),
        make_record("b", "ctgan"),
    ]
    assert [run.generator for run in runs(records)] == [
        "llm [order=fd]",
        "llm [order=fd]",
        "llm [order=fd_reversed]",
        "llm [order=fd_reversed]",
        "llm [order=fd]",
        "ctgan",
    ]


def test_parameters_that_differ_only_between_datasets_do_not_split_a_generator():
    records = [make_record(name, "llm", cell={"params": {"epochs": epochs}}) for name, epochs in (("a", 1), ("b", 9))]
    assert {run.generator for run in runs(records)} == {"llm"}


def test_one_dataset_name_with_two_tables_gets_two_labels():
    def of(rows, checksum):
        return make_record("a", cell={"dataset_params": {"max_train_rows": rows}, "dataset_checksum": checksum})

    assert [run.dataset for run in runs([of(10, "f00"), of(20, "ba2")])] == [
        "a [max_train_rows=10]",
        "a [max_train_rows=20]",
    ]
    unknown = [make_record("a", cell={"dataset_checksum": c * 64}) for c in "ab"]
    assert [run.dataset for run in runs(unknown)] == ["a [checksum=aaaaaaaa]", "a [checksum=bbbbbbbb]"]


def with_failure():
    records = [r for r in grid(LEVELS) if (r.cell.dataset, r.cell.generator) != ("c", "tvae")]
    return [*records, make_record("c", "tvae", status="timeout")]


def test_drop_leaves_the_incomplete_dataset_out_for_all():
    standings = build(with_failure(), Policy(missing="drop"))
    rows = rows_by_label(standings)
    assert standings.kept == ["a", "b"]
    assert standings.missing == [("c", "tvae")]
    # over a and b only: ctgan (.2 + .4)/2, tvae (.4 + .2)/2, llm (.9 + .8)/2
    assert {k: r.overall.value for k, r in rows.items()} == pytest.approx({"ctgan": 0.3, "tvae": 0.3, "llm": 0.85})
    assert rows["tvae"].failures == {"timeout": 1}


@pytest.mark.parametrize("policy", [Policy(), Policy(missing="floor"), Policy(missing="worst")])
def test_a_failed_cell_counts_as_the_floor_unless_asked_to_drop_its_dataset(policy):
    rows = rows_by_label(build(with_failure(), policy))
    # tvae (.4 + .2 + 0)/3 = .2, the others keep three datasets
    assert {k: r.overall.value for k, r in rows.items()} == pytest.approx({"ctgan": 0.4, "tvae": 0.2, "llm": 0.7})
    assert rows["tvae"].mean_rank.value == pytest.approx((2 + 3 + 3) / 3)
    assert rows["tvae"].fd_violation.value == pytest.approx(0.9 * (1 - 0.3))  # raw columns are never imputed


def test_a_generator_that_never_worked_is_shown_but_drops_no_dataset():
    records = [*grid(LEVELS), *(make_record(name, "bad", status="failed") for name in "ab")]
    standings = build(records, Policy(missing="drop"))
    rows = rows_by_label(standings)
    assert standings.kept == ["a", "b", "c"]
    assert [row.label for row in standings.rows] == ["llm", "ctgan", "tvae", "bad"]
    assert (rows["bad"].overall, rows["bad"].mean_rank, rows["bad"].reference) == (None, None, False)
    assert rows["bad"].failures == {"failed": 2}
    assert rows["llm"].mean_rank.value == pytest.approx(4 / 3)
    assert standings.missing == [("a", "bad"), ("b", "bad"), ("c", "bad")]
    assert any("not ranked, dropping no dataset: bad" in sentence for sentence in notes(standings))
    # otherwise it is the fourth of four on each dataset
    worst = rows_by_label(build(records, Policy(missing="worst")))
    assert (worst["bad"].overall.value, worst["bad"].mean_rank.value) == (0.0, 4.0)


def test_nothing_is_ranked_when_no_dataset_is_complete():
    standings = build([make_record("a", "ctgan"), make_record("b", "tvae")], Policy(missing="drop"))
    assert standings.kept == []
    assert all(row.mean_rank is None and not row.pareto for row in standings.rows)
    assert in_short(standings) == []


def test_references_are_shown_but_not_ranked_and_anchor_elo():
    levels = {name: {**row, "independent": [0.0], "copy": [1.0]} for name, row in (LEVELS | MORE).items()}
    standings = build(grid(levels))
    rows = rows_by_label(standings)
    assert [row.label for row in standings.rows[-2:]] == ["copy", "independent"]
    assert rows["copy"].mean_rank is None
    assert rows["llm"].mean_rank.value == pytest.approx(3 / 2)
    assert standings.elo_anchor == "independent"
    assert rows["independent"].elo.value == pytest.approx(1000)
    ratings = [rows[name].elo for name in ("llm", "ctgan", "tvae")]
    assert [rating.value for rating in ratings] == sorted((rating.value for rating in ratings), reverse=True)
    assert all(rating.low < rating.value < rating.high for rating in ratings)


def test_a_cell_lacking_a_metric_of_the_others_has_no_overall():
    records = [make_record("a", "ctgan"), make_record("a", "tvae", scores={"ml_efficacy.hgb.roc_auc": None})]
    standings = build(records, Policy(missing="worst"))
    rows = rows_by_label(standings)
    assert rows["tvae"].overall.value == 0.0
    assert rows["tvae"].families["dependencies"].value == pytest.approx(0.5)
    assert rows["tvae"].families["ml_efficacy"].value == 0.0


def test_pareto_front_of_cost_and_quality():
    from harness.records.record import Cost

    def cell(name, level, seconds):
        return make_record("a", name, level=level, cost=Cost(seconds, 1.0, 1.0, 1))

    rows = rows_by_label(build([cell("slow", 0.9, 100), cell("fast", 0.5, 1), cell("bad", 0.4, 50)]))
    assert {k: row.pareto for k, row in rows.items()} == {"slow": True, "fast": True, "bad": False}


def test_files_are_strict_deterministic_and_the_table_fits(tmp_path):
    records = [
        *with_failure(),
        make_record("a", "a_generator_with_quite_a_long_name_that_goes_on", environment={"scale": "smoke"}),
    ]
    store = make_store(tmp_path / "store", records)
    text = write(store, tmp_path / "one", Policy(missing="worst"))
    write(store, tmp_path / "two", Policy(missing="worst"))
    assert max(map(len, text.splitlines()[:-1])) <= 120
    assert "Budgets: full, smoke — a demonstration, not a ranking." in text
    assert "tvae timeout ×1" in text
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [
        "index.html",
        "leaderboard.csv",
        "leaderboard.json",
        "leaderboard.tex",
        "leaderboard_by_dataset.csv",
        "leaderboard_pairs.csv",
        "scores.csv",
    ]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    data = json.loads((tmp_path / "one" / "leaderboard.json").read_text(), parse_constant=pytest.fail)
    assert data["policy"]["missing"] == "worst"
    assert {"dataset": "c", "generator": "tvae"} in data["missing"]
    assert data["failures"][0]["error"] == "timeout: it went wrong."
    with (tmp_path / "one" / "leaderboard.csv").open() as file:
        table = {row["generator"]: row for row in csv.DictReader(file)}
    assert float(table["llm"]["overall"]) == pytest.approx(0.7)
    assert table["tvae"]["failures"] == "timeout=1"


def test_what_is_printed_holds_standing_cost_and_the_leaders_pairs(tmp_path):
    store = make_store(tmp_path / "s", grid({**LEVELS, "a": {**LEVELS["a"], "independent": [0.0]}}))
    text = write(store, tmp_path / "o")
    # mean ranks 4/3, 2, 8/3 of the matrix above; 10 s of fit, 2 s of sample, 1 GiB, 100 of 110 rows; equal costs, so only
    # the best generator is on the front
    row = next(line for line in text.splitlines() if line.startswith("llm") and "◆" in line)
    # ranks 1 1 2 are 0 0 ½ of the way from 1 to 3: Clopper–Pearson of ½ of 3, [.00014, .7976] (scipy's beta)
    assert row.split()[1:4] == ["1.3", "[1.0,", "2.6]"]
    assert row.split()[-6:] == ["10", "2", "1", "–", ".91", "◆"]
    assert text.count("◆") == 2  # here and in the sentence about the front
    # llm − ctgan: .7 .4 −.2, mean .3; a run of llm beats one of ctgan on two of three datasets
    against = text[text.index("llm against") :]
    pair = next(line for line in against.splitlines() if line.startswith("ctgan"))
    assert pair.split()[1] == ".30"
    assert pair.split()[4:6] == ["1.000", ".67"]
    assert pair.split()[-3:] == ["–", "–", "–"]
    joined = " ".join(text.split())
    assert (
        "Best overall: llm, .70 [.00, 1.00]; next is ctgan, .30 [-2.33, 2.93] behind, over 3 datasets × 1 training seed: that it is "
        "better is not shown (p = 1.000, Holm over 3 pairs)." in joined
    )
    assert "P(better), P(equal) and P(worse) are left out below 10 datasets" in joined
    # FD violation is .9·(1 − level): llm .27, tvae .63
    assert "llm breaks them in fewest rows, 27\u202f%" in text
    assert (
        "Pareto front (◆: no other is both better and cheaper; seconds of fit and sample per cell): llm (12 s)."
        in joined
    )
    with (tmp_path / "o" / "leaderboard_pairs.csv").open() as file:
        first = next(csv.DictReader(file))
    assert (first["first"], first["second"], float(first["difference"])) == ("llm", "ctgan", pytest.approx(0.3))
    assert float(first["p_improvement"]) == pytest.approx(2 / 3, abs=1e-6)


def test_a_difference_is_called_shown_only_when_its_p_is_small():
    sure = {name: {"x": [0.9, 0.8], "y": [0.3, 0.4 + 0.01 * i]} for i, name in enumerate("abcdefgh")}
    (said, *_) = in_short(build(grid(sure)))
    assert "over 8 datasets × 2 training seeds: better on tables like these (p = .000" in said
    unsure = {name: {"x": [0.5 + 0.1 * (-1) ** i], "y": [0.49]} for i, name in enumerate("abcdefgh")}
    (said, *_) = in_short(build(grid(unsure)))
    assert "that it is better is not shown" in said
    (said, *_) = in_short(build(grid({"a": {"x": [0.9], "y": [0.3]}})))
    assert (
        "on one dataset (1 dataset × 1 training seed); that it is better is not shown; other tables may order" in said
    )
    assert in_short(build(grid({"a": {"x": [0.9]}}))) == []  # alone, nothing is best and no front says anything
    (said, *_) = in_short(build(grid({"a": {"x": [0.9], "y": [0.3]}, "b": {"x": [0.8], "y": [0.4]}})))
    assert said == (
        "Best overall: x, .85; next is y, .50 behind, over 2 datasets × 1 training seed, too few to say what holds for other tables."
    )


@pytest.mark.parametrize("tables", [1, 2])
def test_nothing_printed_from_one_or_two_tables_looks_certain(tables, tmp_path):
    levels = {name: {"x": [0.9, 0.8], "y": [0.3, 0.4]} for name in "ab"[:tables]}
    standings = build(grid(levels))
    (pair,) = standings.pairs
    assert (pair.improvement, pair.posterior) == (None, None)
    for row in standings.rows:
        assert (row.mean_rank, row.iqm, row.elo) == (None, None, None)
        assert (row.overall.low is None) == (tables == 2)
    text = write(make_store(tmp_path / "s", grid(levels)), tmp_path / "o")
    line = text[text.index("x against") :].splitlines()[3]
    assert line.split()[-4:] == ["–"] * 4


def test_unusable_records_are_named_and_the_rest_aggregates(tmp_path):
    store = make_store(tmp_path / "store", grid(LEVELS))
    torn = store.cell_dir(grid(LEVELS)[0].cell) / "record.json"
    torn.write_text(torn.read_text()[:50])
    later = store.cell_dir(grid(LEVELS)[3].cell) / "record.json"
    later.write_text(later.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    (store.cell_dir(grid(LEVELS)[1].cell) / "synthetic.parquet").unlink()
    outside = tmp_path / "outside" / "x" / "0-00000000"
    outside.mkdir(parents=True)
    (outside / "record.json").write_text(make_record("z", "evil").to_json())
    (store.runs / "z").symlink_to(tmp_path / "outside", target_is_directory=True)
    text = " ".join(write(store, tmp_path / "out").split())
    for said in ("is not valid JSON", "schema version 99", "synthetic.parquet: is missing", "leads out of the store"):
        assert said in text
    assert "evil" not in (tmp_path / "out" / "leaderboard.csv").read_text()
    assert str(tmp_path) not in (tmp_path / "out" / "leaderboard.json").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["stroe.root=x"],
            "unknown key 'stroe.root': the choices are anchor, archive, columns, dataset, family, generator, missing, output, rope, store.root, sweep, without.",
        ),
        (["--force"], "unknown key '--force'"),
        ([], "give store.root=DIR"),
        (["store.root=nowhere"], "there is no result store at nowhere"),
        (
            ["store.root=nowhere", "missing=ignore"],
            "unknown missing policy 'ignore': the choices are drop, floor, worst",
        ),
        (["store.root=nowhere", "rope=wide"], "rope=wide is not a number"),
    ],
)
def test_mistakes_end_with_one_sentence_and_exit_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_records_is_a_clear_mistake(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(TabOrderError, match="holds no usable record"):
        write(ResultStore(tmp_path), tmp_path / "out")


def test_command_line_in_a_fresh_process_loads_no_runner_or_torch(tmp_path):
    make_store(tmp_path / "store", grid(LEVELS))
    code = (
        "import sys; from harness.leaderboard import main; "
        f"assert main(['store.root={tmp_path / 'store'}', 'output={tmp_path / 'out'}']) == 0; "
        "bad = {'torch', 'sdv', 'sdmetrics', 'sklearn', 'hydra', 'wandb', 'harness.execution.cell'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "llm" in done.stdout


def test_text_that_a_spreadsheet_would_run_is_defused():
    assert safe_cell("=1+1") == "'=1+1"
    assert safe_cell("plain") == "plain"
    assert safe_cell(-1.5) == -1.5


def test_one_sweep_of_a_shared_store(tmp_path, capsys):
    store = make_store(tmp_path / "s", [make_record("a", "ctgan", sweep="one"), make_record("a", "tvae", sweep="two")])
    assert main([f"store.root={store.root}", f"output={tmp_path / 'o'}", "sweep=two"]) == 0
    text = capsys.readouterr().out
    assert "tvae" in text
    assert "ctgan" not in text
    assert main([f"store.root={store.root}", "sweep=three"]) == 2
    assert "was asked for: the sweeps in it are one, two." in capsys.readouterr().err
    assert main([f"store.root={store.root}", "anchor=tave"]) == 2
    assert "unknown anchor 'tave': the choices are ctgan, tvae" in capsys.readouterr().err


def test_long_names_get_room_and_columns_give_way(tmp_path):
    store = make_store(tmp_path / "s", grid({"a": {"permutation_aware_llm": [0.9, 0.8], "ctgan": [0.5, 0.4]}}))
    text = write(store, tmp_path / "o")
    assert "permutation_aware_llm " in text
    assert max(map(len, text.splitlines()[:-1])) <= 120


def test_filters_families_and_columns_are_asked_for_by_name(tmp_path, capsys):
    store = make_store(tmp_path / "s", grid(LEVELS))
    words = [f"store.root={store.root}", f"output={tmp_path / 'o'}"]
    assert main([*words, "dataset=a,b", "without=tvae", "family=dependencies,rules", f"columns={FD}"]) == 0
    text = capsys.readouterr().out
    assert "overall = mean of Dependencies (FD), Rules (rules)\n" in text
    assert "Only what was asked for: dataset=a,b without=tvae." in " ".join(text.split())
    assert "tvae" not in text.partition("Only what")[0]
    assert FD in text
    data = json.loads((tmp_path / "o" / "leaderboard.json").read_text())
    assert data["datasets"] == ["a", "b"]
    # FD violation is .9·(1 − level): ctgan on a and b .9·(1 − .3)
    column = {row["label"]: row["columns"][FD]["value"] for row in data["generators"]}
    assert column == {"llm": pytest.approx(0.135), "ctgan": pytest.approx(0.63)}
    assert [row["label"] for row in data["anchors"]] == ["real rows (held out)", "independent columns"]
    assert [row["columns"][FD]["value"] for row in data["anchors"]] == [0.0, pytest.approx(0.9)]
    for mistake, said in (
        ("dataset=aa", "unknown dataset 'aa'"),
        ("without=ctgn", "unknown generator 'ctgn'"),
        ("family=FD", "unknown family 'FD'"),
        ("columns=fd", "unknown score 'fd'"),
    ):
        assert main([*words, mistake]) == 2
        assert said in capsys.readouterr().err


def test_scores_csv_has_a_line_for_every_score_of_every_cell(tmp_path):
    write(make_store(tmp_path / "s", grid({"a": {"x": [0.5], "y": [0.25]}})), tmp_path / "o")
    with (tmp_path / "o" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    (found,) = [row for row in rows if row["generator"] == "y" and row["metric"] == FD]
    # .9·(1 − .25) between 0 and .9
    assert [float(found[key]) for key in ("value", "real", "floor", "normalised")] == pytest.approx(
        [0.675, 0, 0.9, 0.25]
    )
    assert {row["normalised"] for row in rows if row["metric"] == "privacy.dcr_share"} == {""}


def test_several_stores_are_read_as_one_and_a_cell_counts_once(tmp_path, capsys):
    one = make_store(tmp_path / "one", grid({"a": {"x": [0.5]}}))
    two = make_store(tmp_path / "two", grid({"a": {"x": [0.5], "y": [0.25]}}))
    assert main([f"store.root={one.root},{two.root}", f"output={tmp_path / 'o'}"]) == 0
    data = json.loads((tmp_path / "o" / "leaderboard.json").read_text())
    assert [(row["label"], row["n_cells"]) for row in data["generators"]] == [("x", 1), ("y", 1)]
    assert "is in an earlier store too, whose record counts." in str(data["problems"])
    assert not any("is missing" in problem["reason"] for problem in data["problems"])
    assert main([f"store.root={one.root},nowhere"]) == 2
    assert "there is no result store at nowhere" in capsys.readouterr().err


def test_two_definitions_of_one_score_are_refused_by_name():
    def of(generator, digest, dataset="a"):
        entry = {"name": "dependencies.fd", "version": 3, "params": {}, "seed": 0, "reads": {"fds": digest}}
        return make_record(dataset, generator, evaluation=(entry,))

    build([of("x", "1"), of("y", "1"), of("x", "2", "b")])
    with pytest.raises(
        TabOrderError, match=r"'dependencies\.fd' of dataset 'a' have two definitions here, which differ in reads"
    ):
        build([of("x", "1"), of("y", "2")])
