"""The ``information`` column order: what columns tell about each other, where exact dependencies are few or accidental.

*Objective.* By the chain rule a perfect model finds every order equally easy; one that learns from few rows profits
when each column follows close behind one that tells much about it. So the order is that of a tree over the columns:

1. The share of Y's entropy that X removes is corrected for chance, F(X→Y) = (I − I₀) / (H(Y) − I₀), where I is the
   mutual information and I₀ the greatest that :data:`SHUFFLES` random orders of Y reach (the correction of the adjusted
   mutual information; Vinh, Epps and Bailey, 2010). F is 1 for an exact dependency, below it for an approximate one,
   and 0 when nothing is told beyond chance, as by a key. Numbers of more than :data:`BINS` values are cut into as many
   classes of equal frequency; as determinants they are tried both ways. A missing cell is a value.
2. Among all forests the one is taken whose edges tell most, an edge telling F(X→Y)·H(Y) bits in its better direction
   (Chow and Liu, 1968): edges enter from the strongest to the weakest, and one that would close a cycle is left out, so
   cycles are broken by weight. Of equal edges the one with the greater sum of F in both directions enters first (of
   A→B→C, A–B and B–C, not A–C).
3. Each tree is directed away from the root that makes the sum of F over its edges greatest: determinants before
   dependents.
4. Columns are written root first, then, of those whose parent is written, the one with the greatest F. Trees that tell
   more come first, columns without an edge last. All ties go by table position.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from harness.dependencies import Codes, Encoder, IntArray, count_pairs
from harness.seeding import rng
from harness.table import Schema

BINS = 16
SHUFFLES = 5
ROWS = 20_000
"""At most so many rows, drawn once with a fixed seed, are looked at."""
LEAST_ROOM = 0.1
"""Where chance alone leaves less than this share of the entropy to tell, nothing can be said and F is 0."""

Edge = tuple[int, int]


def information_order(frame: pd.DataFrame, schema: Schema) -> tuple[list[str], list[tuple[str, str, float]]]:
    """Order the columns of a canonical table (see the module's docstring).

    Args:
        frame: the rows trained on; not changed.
        schema: its columns.

    Returns:
        The names in order, and the trees' edges ``(earlier, later, F)`` as they are written.
    """
    names = schema.names
    chosen = np.sort(rng(0, "information order rows").permutation(len(frame))[:ROWS])
    share, entropy = _shares(frame.iloc[chosen].reset_index(drop=True), schema)
    forest = _forest(share, entropy)
    trees = [_direct(forest.subgraph(part), share) for part in nx.connected_components(forest)]
    trees.sort(key=lambda tree: (-sum(forest[a][b]["bits"] for a, b in tree[1]), tree[0]))
    order: list[int] = []
    written: list[Edge] = []
    for root, edges in trees:
        written += _write(root, edges, share)
        order += [root, *(later for _, later in written[len(written) - len(edges) :])]
    return [names[i] for i in order], [(names[a], names[b], float(share[a, b])) for a, b in written]


def _shares(frame: pd.DataFrame, schema: Schema) -> tuple[np.ndarray[Any, Any], list[float]]:
    """F(row → column) for all pairs of columns, and each column's entropy in bits."""
    encoder = Encoder(schema, frame)
    fine = [encoder.codes((name,)) for name in schema.names]
    coarse = [
        _classes(codes, frame[column.name].isna().to_numpy()) if column.numeric and codes.size > BINS else codes
        for column, codes in zip(schema.columns, fine, strict=True)
    ]
    shuffles = [rng(0, "information order", i).permutation(len(frame)) for i in range(SHUFFLES)]
    entropy = [_entropy(np.bincount(codes.values)) for codes in coarse]
    share = np.zeros((len(fine), len(fine)))
    for x in range(len(fine)):
        ways = [coarse[x]] if fine[x] is coarse[x] or fine[x].size > len(frame) / 2 else [coarse[x], fine[x]]
        for y in range(len(fine)):
            if x != y and entropy[y] > 0:
                share[x, y] = max(_share(way, coarse[y], entropy[y], shuffles) for way in ways)
    return share, entropy


def _classes(codes: Codes, missing: np.ndarray[Any, Any]) -> Codes:
    """Ordered codes in classes of equal frequency, missing cells in one of their own."""
    present = codes.values[~missing]
    cuts = np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf"))
    classes = np.where(missing, BINS, np.searchsorted(cuts, codes.values, side="left"))
    return Codes(classes.astype(np.int64), BINS + 1)


def _entropy(counts: IntArray) -> float:
    """Entropy in bits of the distribution that counts describe."""
    p = counts[counts > 0] / max(1, counts.sum())
    return float(-(p * np.log2(p)).sum())


def _share(x: Codes, y: Codes, y_entropy: float, shuffles: list[IntArray]) -> float:
    """F(x → y) of the module's docstring."""

    def told(values: IntArray) -> float:
        joint = _entropy(count_pairs(x.values, values, x.size, y.size)[1])
        return _entropy(np.bincount(x.values)) + y_entropy - joint

    by_chance = max(told(y.values[shuffle]) for shuffle in shuffles)
    room = y_entropy - by_chance
    return max(0.0, (told(y.values) - by_chance) / room) if room > LEAST_ROOM * y_entropy else 0.0


def _forest(share: np.ndarray[Any, Any], entropy: list[float]) -> Any:
    """The spanning forest of greatest weight, as an undirected graph with ``bits`` on its edges."""
    columns = range(len(entropy))
    weighted = []
    for a, b in combinations(columns, 2):
        bits = max(share[a, b] * entropy[b], share[b, a] * entropy[a])
        if bits > 0:
            weighted.append((round(-bits, 9), -share[a, b] - share[b, a], a, b))
    forest = nx.Graph()
    forest.add_nodes_from(columns)
    joined = nx.utils.UnionFind(columns)
    for minus_bits, _, a, b in sorted(weighted):
        if joined[a] != joined[b]:
            joined.union(a, b)
            forest.add_edge(a, b, bits=-minus_bits)
    return forest


def _direct(tree: Any, share: np.ndarray[Any, Any]) -> tuple[int, list[Edge]]:
    """The root with the greatest sum of F, and the edges pointing away from it."""
    directed = [(root, list(nx.bfs_edges(tree, root, sort_neighbors=sorted))) for root in sorted(tree)]
    totals = [round(float(sum(share[edge] for edge in edges)), 9) for _, edges in directed]
    return directed[totals.index(max(totals))]


def _write(root: int, edges: list[Edge], share: np.ndarray[Any, Any]) -> list[Edge]:
    """A tree's edges in the order in which their later columns are written."""
    written = {root}
    left = list(edges)
    result = []
    while left:
        chosen = max((edge for edge in left if edge[0] in written), key=lambda edge: (share[edge], -edge[1]))
        written.add(chosen[1])
        left.remove(chosen)
        result.append(chosen)
    return result
