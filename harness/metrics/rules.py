"""Rules: rows that break the dataset's declared domain rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from harness.datasets.rules import Mask, Rule, parse_rules
from harness.errors import TabOrderError
from harness.metrics.base import Declared, EvalInput, Goal, Known, NotComputable, RealAnchor, Value, with_mean
from harness.metrics.encoding import codes
from harness.metrics.overlap import implied_rules


@dataclass(frozen=True)
class RuleViolations(Declared):
    """Rows that break domain rules. All are shares of the synthetic rows; lower is better.

    In the words of Stoian et al. (2024), the mean is the samplewise constraint violation coverage, the last one the violation rate.

    - ``rules.violation_rate``: mean over rules, and ``rules.violation_rate.<rule>`` each;
    - ``rules.violation_rate_own``: mean over the rules that no stated dependency implies (see :func:`harness.metrics.overlap.implied_rules`), so that beside the
      dependencies no measurement counts twice;
    - ``rules.violation_rate_macro.<rule>``: for a rule with keys (states, say), the share within each key of the training rows,
      averaged over the keys present; ``rules.violation_rate_by_key.<rule>.<key>`` is each, up to ``max_keys`` keys;
    - ``rules.violation_rate_any``: rows that break at least one rule.
    """

    max_keys: int = 100
    name = "rules.violation_rate"
    version = 3
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test"
    reads: ClassVar[tuple[Known, ...]] = ("rules", "resources", "fds")

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Apply every rule to the synthetic rows."""
        if not data.dataset.rules:
            raise NotComputable(f"dataset '{data.dataset.name}' states no domain rules (rules).")
        rules = parse_rules(data.dataset.rules, data.schema, data.dataset.resources)
        masks: dict[str, Mask] = {}
        each, detail = [], []
        for rule in rules:
            name = f"{self.name}.{rule.name}"
            try:
                masks[rule.name] = rule.violations(data.synthetic)
            except TabOrderError as mistake:
                each.append(Value(name, None, "min", error=str(mistake)))
                continue
            each.append(Value(name, float(masks[rule.name].mean()), "min"))
            detail += self._by_key(data, rule, masks[rule.name])
        lacking = [rule.name for rule in rules if rule.name not in masks]
        whole = None if lacking else float(np.logical_or.reduce(list(masks.values())).mean())
        error = f"these rules could not be applied: {', '.join(lacking)}." if lacking else None
        beyond = self._beyond_dependencies(data, each)
        return [*with_mean(self.name, each), Value(f"{self.name}_any", whole, "min", error=error), beyond, *detail]

    def _beyond_dependencies(self, data: EvalInput, each: Sequence[Value]) -> Value:
        twice = {f"{self.name}.{name}" for name in implied_rules(data.dataset)}
        own = [value for value in each if value.name not in twice]
        if not own:
            said = "every rule follows from the stated dependencies, which measure it already."
            return Value(f"{self.name}_own", None, "min", error=said)
        return replace(with_mean(self.name, own)[0], name=f"{self.name}_own")

    def _by_key(self, data: EvalInput, rule: Rule, mask: Mask) -> list[Value]:
        if rule.key is None:
            return []
        coded = codes(data, rule.key)
        present = coded.synthetic >= 0
        rates = pd.Series(mask[present]).groupby(coded.synthetic[present]).mean()
        known = np.unique(coded.train[coded.train >= 0])
        values = []
        for code in known:
            name = f"{self.name}_by_key.{rule.name}.{coded.labels[code]}"
            absent = "no synthetic row has this key."
            found = code in rates.index
            values.append(Value(name, float(rates[code]), "min") if found else Value(name, None, "min", error=absent))
        numbers = [value.value for value in values if value.value is not None]
        reason = None if numbers else "no synthetic row has a key of the training rows."
        mean = float(np.mean(numbers)) if numbers else None
        macro = Value(f"{self.name}_macro.{rule.name}", mean, "min", error=reason)
        return [macro, *(values if len(known) <= self.max_keys else [])]
