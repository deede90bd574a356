"""sdv's CTGAN and TVAE in an order set by policy."""

from baselines.ordered import Ordered
from baselines.sdv import CTGAN, TVAE


class OrderedCTGAN(Ordered):
    """:class:`baselines.sdv.CTGAN` in an order set by policy."""

    inner = CTGAN


class OrderedTVAE(Ordered):
    """:class:`baselines.sdv.TVAE` in an order set by policy."""

    inner = TVAE
