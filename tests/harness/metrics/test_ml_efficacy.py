"""ML efficacy: measures by hand, the floor, and tables that would crash a careless implementation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from harness.errors import TabOrderError
from harness.metrics.base import NotComputable
from harness.metrics.ml_efficacy import MLEfficacy, _classification, _regression, require_fitted, require_learnt
from harness.metrics.ml_headline import MLHeadline

from .metric_inputs import inputs, numbers, values

MODELS = ("hgb", "random_forest", "linear", "mlp")
KINDS = {"x": "float", "c": "categorical", "y": "categorical"}
REGRESSION = {"x": "float", "c": "categorical", "y": "float"}


def table(rows: int, seed: int = 0, flip: float = 0.0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows).round(2)
    c = np.where(generator.random(rows) < 0.5, "u", "v")
    y = np.where((x > 0) ^ (generator.random(rows) < flip), "yes", "no")
    return {"x": list(x), "c": list(c), "y": list(y)}


def numeric(rows: int, seed: int = 0):
    cells = table(rows, seed)
    return {**cells, "y": [round(3 * x + (c == "u"), 2) + 20 for x, c in zip(cells["x"], cells["c"], strict=True)]}


def classify(model, synthetic, train=None, test=None, recipe="standard"):
    data = inputs(KINDS, train or table(200), test or table(100, 1), synthetic, target="y", task="classification")
    return numbers(MLEfficacy(model, recipe), data)


def test_classification_measures_by_hand() -> None:
    labels = np.array([0, 0, 0, 1])
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    found = _classification(labels, chances)
    # Answers 0 0 1 1: three of four right. F1 of class 0: precision 1, recall 2/3 → .8; of class 1: precision 1/2, recall 1 → 2/3.
    assert found["accuracy"] == 3 / 4
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    # Class 1's single row scores .7: above two of the three others. The same from class 0's side.
    assert found["roc_auc"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, [0, 0, 1, 1], average="macro"))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(labels, chances[:, 1]))


@pytest.mark.parametrize("model", MODELS)
def test_train_on_synthetic_test_on_real_by_hand(model: str) -> None:
    # Synthetic rows say: u is yes, v is no. Real test rows u yes, u yes, v no, v yes get yes, yes, no, no: three of four right.
    # F1 of yes: precision 1, recall 2/3 → .8; of no: precision 1/2, recall 1 → 2/3. Of the three pairs (yes, no) two are ranked
    # rightly and v, v ties: AUC (2 + 1/2)/3.
    kinds = {"c": "categorical", "y": "categorical"}
    made, test = {"c": ["u", "v"] * 60, "y": ["yes", "no"] * 60}, {"c": list("uuvv"), "y": ["yes", "yes", "no", "yes"]}
    data = inputs(kinds, {"c": ["v", "u"], "y": ["yes", "no"]}, test, made, target="y", task="classification")
    assert numbers(MLEfficacy(model), data) == {  # type: ignore[arg-type]
        f"ml_efficacy.{model}.accuracy": 3 / 4,
        f"ml_efficacy.{model}.macro_f1": pytest.approx((0.8 + 2 / 3) / 2),
        f"ml_efficacy.{model}.roc_auc": pytest.approx(2.5 / 3),
    }


def test_regression_measures_by_hand() -> None:
    found = _regression(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    # Errors 0, 1, −2. Mean 7/3: Σ(y − mean)² = 16/9 + 1/9 + 25/9 = 42/9. R² = 1 − 5/(42/9).
    assert found["mae"] == pytest.approx(1.0)
    assert found["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert found["mape"] == pytest.approx((0 + 1 / 2 + 2 / 4) / 3)
    assert found["r2"] == pytest.approx(1 - 5 / (42 / 9))


def test_measures_that_cannot_be_computed_say_why() -> None:
    assert _regression(np.array([0.0, 1.0]), np.array([0.0, 1.0]))["mape"] == "1 test rows have target 0."
    assert "same target value" in str(_regression(np.array([1.0, 1.0]), np.array([0.0, 1.0]))["r2"])
    assert "same label" in str(_classification(np.array([0, 0]), np.array([[1.0, 0.0]] * 2))["roc_auc"])


@pytest.mark.parametrize("model", MODELS)
def test_floor_is_the_majority_or_the_median_of_real_training_rows(model: str) -> None:
    train = {"x": [0.0] * 5, "c": ["u"] * 5, "y": ["no", "no", "no", "yes", "yes"]}
    test = {"x": [0.0] * 4, "c": ["u"] * 4, "y": ["no", "yes", "yes", "yes"]}
    data = inputs(KINDS, train, test, train, target="y", task="classification")
    floor = {value.name: value.value for value in MLEfficacy(model).floor(data)}  # type: ignore[arg-type]
    # Always "no": one of four right; F1 of no: precision 1/4, recall 1 → .4; of yes 0.
    assert floor == {
        f"ml_efficacy.{model}.accuracy": 0.25,
        f"ml_efficacy.{model}.macro_f1": pytest.approx(0.2),
        f"ml_efficacy.{model}.roc_auc": 0.5,
    }
    train, test = {**train, "y": [1, 2, 3, 4, 100]}, {**test, "y": [1, 3, 3, 5]}
    data = inputs(REGRESSION, train, test, train, target="y", task="regression")
    floor = {value.name: value.value for value in MLEfficacy(model).floor(data)}  # type: ignore[arg-type]
    assert floor[f"ml_efficacy.{model}.mae"] == 1.0  # always 3: errors 2, 0, 0, 2
    assert floor[f"ml_efficacy.{model}.r2"] == 0.0  # the median is the test mean


@pytest.mark.parametrize("model", MODELS)
def test_learns_what_is_there_and_loses_it_with_the_labels_shuffled(model: str) -> None:
    found = classify(model, table(400, 2))
    assert found[f"ml_efficacy.{model}.accuracy"] > 0.9
    shuffled = table(400, 2)
    np.random.default_rng(0).shuffle(shuffled["y"])
    assert classify(model, shuffled)[f"ml_efficacy.{model}.accuracy"] < 0.75


@pytest.mark.parametrize("model", MODELS)
def test_regression_learns(model: str) -> None:
    data = inputs(REGRESSION, numeric(200), numeric(100, 1), numeric(400, 2), target="y", task="regression")
    assert numbers(MLEfficacy(model), data)[f"ml_efficacy.{model}.r2"] > 0.9  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
def test_one_label_gives_a_constant_answer(model: str) -> None:
    test = {"x": [0.0, 1.0, 2.0, 3.0], "c": ["u"] * 4, "y": ["no", "no", "no", "yes"]}
    found = classify(model, {"x": [1.0, 2.0], "c": ["u", "v"], "y": ["no", "no"]}, test=test)
    assert found[f"ml_efficacy.{model}.accuracy"] == 0.75
    assert found[f"ml_efficacy.{model}.roc_auc"] == 0.5


UGLY = {
    "one row": {"x": [1.0], "c": ["u"], "y": ["yes"]},
    "two rows": {"x": [1.0, -1.0], "c": ["u", "v"], "y": ["yes", "no"]},
    "unseen categories": {"x": [1.0, -1.0, 2.0], "c": ["new", "newer", "newest"], "y": ["yes", "no", "no"]},
    "missing cells": {"x": [None, -1.0, 2.0], "c": [None, "v", None], "y": ["yes", "no", "yes"]},
    "all missing": {"x": [None] * 3, "c": [None] * 3, "y": ["yes", "no", "yes"]},
    "constant": {"x": [1.0] * 3, "c": ["u"] * 3, "y": ["yes", "no", "yes"]},
    "a label once": {"x": [1.0, 2.0, 3.0], "c": ["u"] * 3, "y": ["yes", "yes", "no"]},
    "labels real rows lack": {"x": [1.0, 2.0, 3.0], "c": ["u"] * 3, "y": ["maybe", "perhaps", "no"]},
    "missing labels": {"x": [1.0, 2.0, 3.0], "c": ["u"] * 3, "y": [None, "yes", "no"]},
    "unique text": {"x": [1.0] * 300, "c": [f"id{i}" for i in range(300)], "y": ["yes", "no", "no"] * 100},
}


@pytest.mark.parametrize("ugly", UGLY)
@pytest.mark.parametrize("model", MODELS)
def test_ugly_tables_get_a_score(model: str, ugly: str) -> None:
    found = classify(model, UGLY[ugly])
    assert all(value is not None and 0 <= value <= 1 for value in found.values())


@pytest.mark.parametrize("model", ["random_forest", "linear", "mlp"])
def test_paper_recipe_has_its_own_name_and_runs(model: str) -> None:
    found = classify(model, {**table(60, 2), "x": [None, *table(60, 2)["x"][1:]]}, recipe="paper_compatible")
    assert set(found) == {f"ml_efficacy.paper_{model}.{m}" for m in ("accuracy", "macro_f1", "roc_auc")}
    assert found[f"ml_efficacy.paper_{model}.accuracy"] > 0.5


def test_labels_real_rows_lack_are_wrong_answers_not_dropped_rows() -> None:
    # Half of the rows of class "no" carry a label that does not exist: a forest must answer it for some test rows.
    made = table(400, 2)
    made["y"] = ["nope" if y == "no" and i % 4 else y for i, y in enumerate(made["y"])]
    assert classify("random_forest", made)["ml_efficacy.random_forest.accuracy"] < 0.7


def test_several_classes_and_integer_labels() -> None:
    generator = np.random.default_rng(0)
    kinds = {"x": "float", "y": "integer"}

    def rows(n):
        y = generator.integers(0, 4, n)
        return {"x": list((y + generator.normal(scale=0.1, size=n)).round(2)), "y": [int(v) for v in y]}

    data = inputs(kinds, rows(200), rows(80), rows(200), target="y", task="classification")
    assert numbers(MLEfficacy("hgb"), data)["ml_efficacy.hgb.accuracy"] > 0.9


def test_without_target_features_or_labels_it_says_so() -> None:
    with pytest.raises(NotComputable, match="'toy' has no target"):
        MLEfficacy("hgb")(inputs(KINDS, table(9), table(9), table(9)))
    alone = {"y": ["a", "b", "a"]}
    with pytest.raises(NotComputable, match="no column but the target 'y'"):
        MLEfficacy("hgb")(inputs({"y": "categorical"}, alone, alone, alone, target="y", task="classification"))
    none = {**table(3), "y": [None] * 3}
    with pytest.raises(NotComputable, match="no row trained on has a label"):
        MLEfficacy("hgb")(inputs(KINDS, table(9), table(9), none, target="y", task="classification"))


def test_wrong_choices_are_listed() -> None:
    with pytest.raises(TabOrderError, match="hgb, linear, mlp, random_forest"):
        MLEfficacy("forest")  # type: ignore[arg-type]
    with pytest.raises(TabOrderError, match="paper_compatible, standard"):
        MLEfficacy("mlp", "paper")  # type: ignore[arg-type]
    with pytest.raises(TabOrderError, match="no model 'hgb'"):
        MLEfficacy("hgb", "paper_compatible")


def test_more_label_noise_never_helps() -> None:
    scores = [classify("hgb", table(600, 2, flip=f))["ml_efficacy.hgb.roc_auc"] for f in (0.0, 0.25, 0.45)]
    assert scores[0] > scores[1] > scores[2]


def test_values_carry_direction_and_bounds() -> None:
    data = inputs(REGRESSION, numeric(60), numeric(60, 1), numeric(60, 2), target="y", task="regression")
    found = values(MLEfficacy("linear"), data)
    assert (found["ml_efficacy.linear.r2"].goal, found["ml_efficacy.linear.r2"].bounds) == ("max", (None, 1.0))
    assert (found["ml_efficacy.linear.mape"].goal, found["ml_efficacy.linear.mape"].bounds) == ("min", (0.0, None))


@pytest.mark.parametrize("model", MODELS)
def test_numbers_out_of_all_proportion_do_not_stop_a_model(model: str) -> None:
    cells = numeric(60, 2)
    cells["x"][0], cells["y"][1] = 1e300, -1e300
    data = inputs(REGRESSION, numeric(60), numeric(60, 1), cells, target="y", task="regression")
    found = numbers(MLEfficacy(model), data)  # type: ignore[arg-type]
    assert found[f"ml_efficacy.{model}.mae"] > 0


def blurred(rows: int, seed: int, rare: int = 4, blur: float = 0.15):
    """A TVAE's table: six classes that two columns tell, blurred, and a few rows each of classes that have nearly vanished."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 6, rows)
    y[: 4 * rare] = np.repeat(np.arange(6, 6 + rare), 4)
    x = np.round(y * 3 + generator.normal(size=rows) * (1 + blur), 1)
    c = np.where(generator.random(rows) < blur, generator.integers(0, 6 + rare, rows), y)
    return {"x": list(x), "c": [f"c{v}" for v in c], "y": [f"y{v}" for v in y]}


def test_many_classes_some_rare_do_not_make_boosting_diverge() -> None:
    made, test = blurred(3000, 0), blurred(800, 1, rare=0, blur=0)
    data = inputs(KINDS, test, test, made, target="y", task="classification")
    assert numbers(MLEfficacy("hgb"), data)["ml_efficacy.hgb.roc_auc"] > 0.99
    # The same boosting without a penalty does diverge on this table, so the test can fail.
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, c, y = (np.array([str(v).strip("cy") for v in made[name]], dtype=float) for name in ("x", "c", "y"))
    loose = HistGradientBoostingClassifier(categorical_features=[False, True], early_stopping=False, random_state=0)
    rows = np.column_stack([x, c])
    assert loose.fit(rows, y).score(rows, y) < 0.9
    with pytest.raises(NotComputable, match="hgb did not learn: on its own training rows its log-loss"):
        require_learnt("hgb", y.astype(int), loose.predict_proba(rows), loose.classes_)


def test_a_model_worse_than_a_constant_on_its_own_rows_is_an_error() -> None:
    labels, classes = np.array([0, 0, 0, 1]), np.array([0, 1])
    require_learnt("m", labels, np.array([[0.75, 0.25]] * 4), classes)  # the shares themselves
    with pytest.raises(NotComputable, match="m did not learn"):
        require_learnt("m", labels, np.array([[0.25, 0.75]] * 4), classes)
    truth = np.array([0.0, 1.0, 2.0])
    require_fitted("m", truth, np.full(3, 1.0))
    with pytest.raises(NotComputable, match=r"its R² is -2, below 0"):
        require_fitted(
            "m", truth, np.array([1.0, 2.0, 3.0]) + np.sqrt(2) - 1
        )  # squared errors 2 against a variance of 2/3


NOISY = {"c": "categorical", "d": "categorical", "x": "float", "y": "integer"}


def noisy(rows: int, seed: int):
    generator = np.random.default_rng(seed)
    c, d, x = generator.integers(0, 6, rows), generator.integers(0, 6, rows), generator.normal(size=rows).round(2)
    y = ((c > 2) * 0.8 + x * 0.5 + generator.normal(size=rows) * 1.5 > 0.4).astype(int)
    return {"c": [f"c{v}" for v in c], "d": [f"d{v}" for v in d], "x": list(x), "y": [int(v) for v in y]}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("code", [{0: 1, 1: 0}, {0: 7, 1: -3}])
def test_how_classes_are_numbered_does_not_matter(model: str, code: dict[int, int]) -> None:
    tables = [noisy(rows, seed) for seed, rows in enumerate((300, 200, 400))]
    turned = [{**table, "y": [code[v] for v in table["y"]]} for table in tables]
    found, other = (
        numbers(MLEfficacy(model), inputs(NOISY, *t, target="y", task="classification"))  # type: ignore[arg-type]
        for t in (tables, turned)
    )
    assert found == other


def test_boosting_is_symmetric_itself_not_by_the_numbering_alone() -> None:
    from harness.metrics.models import SymmetricBoosting

    table = noisy(500, 3)
    rows = np.column_stack([[float(v[1]) for v in table["c"]], [float(v[1]) for v in table["d"]], table["x"]])
    labels, mask = np.array(table["y"]), np.array([True, True, False])
    chances = [SymmetricBoosting(mask, 0).fit(rows, y).predict_proba(rows) for y in (labels, 1 - labels)]
    assert chances[0] == pytest.approx(chances[1][:, ::-1], abs=1e-12)


def test_permuted_classes_of_three_do_not_matter() -> None:
    kinds = {"x": "float", "y": "integer"}
    generator = np.random.default_rng(0)

    def rows(n):
        y = generator.choice(3, n, p=[0.5, 0.3, 0.2])
        return {"x": list((y + generator.normal(size=n)).round(1)), "y": [int(v) for v in y]}

    tables = [rows(n) for n in (300, 150, 300)]
    turned = [{**t, "y": [{0: 2, 1: 0, 2: 1}[v] for v in t["y"]]} for t in tables]
    found, other = (
        numbers(MLHeadline(), inputs(kinds, *t, target="y", task="classification")) for t in (tables, turned)
    )
    assert found == other


def test_headline_is_the_median_of_its_models_and_survives_one_failure(monkeypatch) -> None:
    data = inputs(KINDS, table(200), table(100, 1), table(200, 2, flip=0.2), target="y", task="classification")
    each = {m: numbers(MLEfficacy(m), data)[f"ml_efficacy.{m}.roc_auc"] for m in ("hgb", "random_forest", "linear")}
    found = numbers(MLHeadline(), data)
    assert found["ml_efficacy.headline.roc_auc"] == np.median(list(each.values()))
    assert set(found) == {f"ml_efficacy.headline.{m}" for m in ("accuracy", "macro_f1", "roc_auc")}

    def fail(self, data):
        raise NotComputable(f"{self.name} did not learn.")

    whole = MLEfficacy._measure
    monkeypatch.setattr(MLEfficacy, "_measure", lambda s, d: fail(s, d) if s.model == "hgb" else whole(s, d))
    again = inputs(KINDS, table(200), table(100, 1), table(200, 2, flip=0.2), target="y", task="classification")
    assert numbers(MLHeadline(), again)["ml_efficacy.headline.roc_auc"] == pytest.approx(
        (each["random_forest"] + each["linear"]) / 2
    )
    monkeypatch.setattr(MLEfficacy, "_measure", lambda s, d: whole(s, d) if s.model == "linear" else fail(s, d))
    again = inputs(KINDS, table(200), table(100, 1), table(200, 2, flip=0.2), target="y", task="classification")
    with pytest.raises(NotComputable, match="only one of 3 models has a value: "):
        MLHeadline()(again)
    with pytest.raises(TabOrderError, match="at least two different models"):
        MLHeadline(("hgb",))


def test_headline_floor_is_its_models_floor() -> None:
    data = inputs(KINDS, table(50), table(40, 1), table(50), target="y", task="classification")
    floors = [[(v.name.split(".")[-1], v.value) for v in m.floor(data)] for m in (MLHeadline(), MLEfficacy("hgb"))]
    assert floors[0] == floors[1]


@pytest.mark.parametrize("metric", [MLEfficacy("hgb"), MLHeadline()], ids=lambda m: m.name)
def test_a_text_target_is_no_regression(metric) -> None:
    data = inputs(KINDS, table(20), table(9, 1), table(20), target="y", task="regression")
    for call in (metric, metric.floor):
        with pytest.raises(NotComputable, match=r"the target 'y' is text.*set task=classification"):
            call(data)
