"""TabularARGN, autoregressive in one order, set by policy; in TabularARGN's own environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from baselines.ordered import Ordered
from baselines.tabular_argn import TabularARGN
from harness.errors import TabOrderError
from methods.column_order import Policy


class OrderedTabularARGN(Ordered):
    """:class:`baselines.tabular_argn.TabularARGN` in an order set by policy; ``any_order`` is off."""

    inner = TabularARGN

    def __init__(
        self,
        order: Policy = "fd",
        *,
        order_seed: int | None = None,
        given_order: Sequence[str] | None = None,
        mining: Mapping[str, Any] | None = None,
        any_order: bool = False,
        **options: Any,
    ) -> None:
        if any_order:
            raise TabOrderError(
                f"any_order=true trains over all column orders, so order={order} would have no effect: "
                "leave any_order=false, or take generator=tabular_argn."
            )
        super().__init__(
            order, order_seed=order_seed, given_order=given_order, mining=mining, any_order=False, **options
        )
