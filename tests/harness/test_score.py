"""Scoring a table made elsewhere: from frames, CSV and Parquet; clear sentences for mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import score
from harness.errors import TabOrderError
from harness.metrics.external import load_metrics, load_rules, score_tables
from harness.metrics.row_violations import broken_rows, row_violations
from harness.report.score_text import score_table
from tests.factories import make_score


def rows(count: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    city = generator.choice(["Bonn", "Graz", "Oslo"], count)
    country = pd.Series(city).map({"Bonn": "DE", "Graz": "AT", "Oslo": "NO"})
    size = generator.integers(20, 90, count)
    return pd.DataFrame({"city": city, "country": country, "size": size, "price": (size * 3.5).round(1)})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    made = rows(120, 2)
    made.loc[:11, "country"] = made.loc[:11, "country"].map({"DE": "AT", "AT": "NO", "NO": "DE"})
    tables = {"train": rows(200, 0), "test": rows(80, 1), "synthetic": made}
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        table.to_parquet(tmp_path / f"{name}.parquet")
    return {name: str(tmp_path / f"{name}.csv") for name in tables} | {"folder": str(tmp_path)}


def words(files: dict[str, str], *more: str) -> list[str]:
    return [*(f"{name}={files[name]}" for name in ("train", "test", "synthetic")), "evaluation=quick", "jobs=1", *more]


def test_csv_to_json_and_a_table(files, capsys) -> None:
    output = Path(files["folder"]) / "out" / "score.json"
    assert score.main(words(files, "target=city", f"output={output}")) == 0
    printed = capsys.readouterr().out
    content = json.loads(output.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert content["rows"] == {"train": 200, "test": 80, "synthetic": 120}
    found = {one["metric"]: one for one in content["scores"]}
    # 12 of 120 rows got another country; the dependency was not stated but found, both ways.
    assert "city→country" in printed
    assert found["dependencies.fd_violation_rate.city→country"]["value"] == pytest.approx(12 / 120)
    assert found["dependencies.fd_violation_rate"]["real"] == 0
    assert found["ml_efficacy.hgb.accuracy"]["real"] > 0.9
    lines = {
        cells[0]: cells[1:] for line in printed.splitlines() if (cells := [c.strip() for c in line.split("|")[1:-1]])
    }
    # city→country and country→city at .1; size→price and price→size, found too, at 0: the mean of four is .05.
    assert lines["score"] == ["value", "real", "floor", "0–1", "better"]
    assert lines["dependencies.fd_failure_rate"][:2] == ["0.0500", "0.0000"]
    assert lines["dependencies.fd_failure_rate"][-1] == "lower"
    between = found["dependencies.fd_failure_rate"]
    scaled = (between["value"] - between["floor"]) / (between["real"] - between["floor"])
    assert lines["dependencies.fd_failure_rate"][3] == f"{scaled:.2f}"
    assert lines["Dependencies"] == [
        f"{scaled:.2f}",
        "dependencies.fd_failure_rate",
    ]  # the family, as on the leaderboard
    assert "distribution.column_shapes.size" not in lines  # details are in the file only
    assert "rules.violation_rate: dataset 'scored' states no domain rules (rules)." in printed
    assert "120 synthetic rows × 4 columns against 200 train and 80 test rows; target city (classification)." in printed
    assert str(output) in printed
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in table)
    assert any(set(line) <= set("|-:") for line in table)  # Markdown, to be pasted


def test_values_are_placed_between_anchors_only_where_these_tell_good_from_bad() -> None:
    def placed(metric: str, value: float, real: float, floor: float) -> str:
        one = make_score(metric, value, real=real, floor=floor, goal="max", bounds=(0.0, 1.0))
        return score_table([one], {}).splitlines()[-1].split("|")[5].strip()

    assert placed("coverage.range", 0.75, 1.0, 0.5) == "0.50"
    assert placed("coverage.range", 0.75, 0.5, 1.0) == ""  # independent columns span more than the smaller test table
    assert placed("coverage.range", 0.75, 0.5, 0.505) == ""
    assert placed("privacy.nndr", 0.75, 1.0, 0.5) == ""


def test_rows_that_break_something_are_written_with_what_they_break(files, capsys) -> None:
    output = Path(files["folder"]) / "out" / "broken.csv"
    assert score.main(words(files, f"broken={output}")) == 0
    rows = pd.read_csv(output)
    assert list(rows.columns) == ["city", "country", "size", "price", "breaks"]
    assert set(rows["breaks"]) == {"city→country; country→city"}
    made = pd.read_csv(files["synthetic"])
    pd.testing.assert_frame_equal(rows.drop(columns="breaks"), made.iloc[:12])
    assert f"12 rows that break a rule or dependency: {output}" in capsys.readouterr().out


def test_row_level_masks_have_the_rates_as_means(files) -> None:
    rules = [{"name": "low", "type": "range", "column": "size", "max": 60}]
    scored = score_tables(files["train"], files["test"], files["synthetic"], rules=rules, metrics=load_metrics("quick"))
    masks = row_violations(scored.dataset, scored.synthetic)
    found = {one.metric: one.value for one in scored.scores}
    assert masks["low"].mean() == found["rules.violation_rate.low"]
    assert masks["low"].tolist() == (scored.synthetic["size"] > 60).tolist()
    for fd in scored.dataset.fds:
        assert masks[str(fd)].mean() == found[f"dependencies.fd_violation_rate.{fd}"]
    broken = broken_rows(scored.dataset, scored.synthetic)
    assert broken.index.tolist() == np.flatnonzero(masks.any(axis=1)).tolist()


def test_csv_parquet_and_frames_give_the_same_scores(files) -> None:
    def values(*tables):
        found = score.evaluate(*tables, target="city", metrics=load_metrics("quick"))
        return {one.metric: (one.value, one.real, one.floor) for one in found}

    names = ("train", "test", "synthetic")
    csv = values(*(files[name] for name in names))
    assert csv == values(*(files[name].replace(".csv", ".parquet") for name in names))
    frames = [pd.read_csv(files[name]) for name in names]
    assert csv == values(*frames)
    assert csv == values(*(frame[frame.columns[::-1]] if i else frame for i, frame in enumerate(frames)))


def test_frames_of_any_dtype_give_the_same_scores(files) -> None:
    frames = [pd.read_csv(files[name]) for name in ("train", "test", "synthetic")]
    ways = (
        lambda t: t,
        lambda t: t.astype(str),
        lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
        lambda t: t.assign(size=t["size"].astype(float), city=t["city"].astype("category")),
    )
    found = [score.evaluate(*map(way, frames), target="city", metrics=load_metrics("quick")) for way in ways]
    values = [{one.metric: (one.value, one.real, one.floor) for one in scores} for scores in found]
    assert all(other == values[0] for other in values)


def test_rules_file_with_rules_fds_and_condition(files, tmp_path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        """
        rules:
          - {name: size_range, type: range, column: size, min: 20, max: 89}
          - {name: of_city, type: map, columns: [city, country], pairs: {Bonn: DE, Graz: AT, Oslo: "NO"}}
        fds: [{lhs: city, rhs: country}]
        condition: country
        """
    )
    output = tmp_path / "score.json"
    assert score.main(words(files, f"rules={path}", f"output={output}")) == 0
    content = json.loads(output.read_text())
    found = {one["metric"]: one["value"] for one in content["scores"]}
    assert found["rules.violation_rate.size_range"] == 0
    assert found["rules.violation_rate.of_city"] == pytest.approx(12 / 120)
    assert [fd["rhs"] for fd in content["fds"]] == ["country"]
    assert content["condition"] == "country"


def test_a_list_is_a_rules_file_too_and_resources_lie_beside_it(tmp_path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("- {name: a, type: range, column: x, min: 0}\n")
    assert load_rules(str(path))["rules"][0]["name"] == "a"
    path.write_text("resources: {map: shapes/a.shp}\n")
    assert load_rules(str(path))["resources"] == {"map": str(tmp_path / "shapes" / "a.shp")}


def test_cells_that_are_no_values_are_counted(files) -> None:
    made = pd.read_csv(files["synthetic"]).astype(object)
    made.loc[:2, "size"] = "large"
    scored = score_tables(files["train"], files["test"], made, metrics=load_metrics("quick"))
    assert scored.invalid == {"size": 3}


def test_without_target_ml_efficacy_says_so_and_the_rest_is_there(files) -> None:
    found = {
        one.metric: one
        for one in score.evaluate(files["train"], files["test"], files["synthetic"], metrics=load_metrics("quick"))
    }
    assert "no target" in str(found["ml_efficacy.hgb"].error)
    assert found["distribution.column_shapes"].value is not None


def test_missing_spellings_and_anchors_folder(files, tmp_path) -> None:
    table = pd.read_csv(files["synthetic"]).astype(str)
    table.loc[0, "size"] = "NA"
    table.to_csv(files["synthetic"], index=False)
    anchors = tmp_path / "anchors"
    assert score.main(words(files, "missing=NA,?", f"anchors={anchors}", f"output={tmp_path / 's.json'}")) == 0
    assert json.loads((tmp_path / "s.json").read_text())["invalid"] == {}
    assert list(anchors.glob("*.json"))


def broken(files: dict[str, str], name: str, text: str) -> str:
    path = Path(files["folder"]) / f"broken_{name}"
    path.write_text(text)
    return str(path)


MISTAKES = {
    "no words at all but one": (lambda f: ["target=x"], "give train=FILE"),
    "unknown key": (lambda f: words(f, "outputs=x"), "Did you mean 'output'"),
    "no equals sign": (lambda f: words(f, "target"), "has no value: write target=COLUMN"),
    "twice": (lambda f: words(f, "jobs=2"), "jobs is given twice"),
    "no such file": (lambda f: words({**f, "test": "nowhere.csv"}), "nowhere.csv does not exist"),
    "no such target": (lambda f: words(f, "target=cty"), "unknown target column|unknown column 'cty'.*Did you mean 'city'"),
    "no such task": (lambda f: words(f, "target=city", "task=ranking"), "unknown task 'ranking'"),
    "task alone": (lambda f: words(f, "task=regression"), "needs a target"),
    "seed": (lambda f: words(f, "seed=one"), "seed=one is not a whole number"),
    "evaluation": (lambda f: [*words(f)[:3], "evaluation=fast"], "unknown evaluation 'fast': the choices are default"),
    "other columns": (
        lambda f: words({**f, "synthetic": broken(f, "s.csv", "city,land\nBonn,DE\n")}),
        r"synthetic: .*missing \['country', 'size', 'price'\]; unexpected \['land'\]",
    ),
    "rules file": (lambda f: words(f, f"rules={broken(f, 'r.yaml', 'rules: {a: 1}')}"), "'rules' must be a list"),
    "rules key": (lambda f: words(f, f"rules={broken(f, 'r.yaml', 'rule: []')}"), "Did you mean 'rules'"),
    "a rule": (
        lambda f: words(f, f"rules={broken(f, 'r.yaml', '- {name: a, type: range, column: sise, min: 1}')}"),
        "rule 'a': unknown column 'sise'.*Did you mean 'size'",
    ),
    "not yaml": (lambda f: words(f, f"rules={broken(f, 'r.yaml', '[')}"), "is not valid YAML"),
    "output": (lambda f: words(f, "output=/dev/null/score.json"), "cannot write output=/dev/null/score.json"),
    "broken": (lambda f: words(f, "broken=/dev/null/rows.csv"), "cannot write broken=/dev/null/rows.csv"),
    "condition": (lambda f: words(f, "condition=cities"), "unknown column 'cities'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_two(files, capsys, mistake: str) -> None:
    make, sentence = MISTAKES[mistake]
    assert score.main(make(files)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("taborder: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    import re

    assert re.search(sentence, captured.err), captured.err


def test_frames_with_a_cell_of_another_kind_are_refused(files) -> None:
    test = pd.read_csv(files["test"]).astype(object)
    test.loc[0, "size"] = "big"
    with pytest.raises(TabOrderError, match="test, data row 1, column 'size': 'big' is not an integer"):
        score.evaluate(pd.read_csv(files["train"]), test, pd.read_csv(files["synthetic"]))


def test_as_a_command(files) -> None:
    done = subprocess.run([sys.executable, "-m", "harness.score", "--help"], capture_output=True, text=True, check=True)
    assert "synthetic=FILE" in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "harness.score", "train=x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("taborder: give test=FILE")


def test_an_evaluation_has_the_metrics_of_its_defaults() -> None:
    default, full = ([metric.name for metric in load_metrics(name)] for name in ("default", "full"))
    assert full == [*default, "ml_efficacy.mlp", "ml_efficacy.global_utility", "privacy.attribute_inference"]
    assert [metric.name for metric in load_metrics("small")] == default
