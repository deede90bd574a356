import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from harness.ranking import statistics as st

NAN = np.nan
# Three datasets (rows) × three generators (columns), the seeds' mean, higher is better:
#
#          x     y     z    ranks
#   a     .9    .5    .5    1  2.5 2.5     (y and z tie for 2 and 3)
#   b     .8    .9    .1    2  1   3
#   c     .7    .6    .2    1  2   3
#   mean ranks              4/3 5.5/3 8.5/3
MEANS = np.array([[0.9, 0.5, 0.5], [0.8, 0.9, 0.1], [0.7, 0.6, 0.2]])


def test_ranks_share_ties():
    assert st.ranks(MEANS).tolist() == [[1, 2.5, 2.5], [2, 1, 3], [1, 2, 3]]
    assert st.ranks(MEANS).mean(axis=0) == pytest.approx([4 / 3, 5.5 / 3, 8.5 / 3])


def test_wins_count_datasets_and_half_ties():
    # x beats y on a and c; y and z tie on a, y wins b and c
    won = st.wins(MEANS)
    assert won[0, 1] == 2
    assert won[1, 0] == 1
    assert won[1, 2] == 2.5
    assert won[2, 1] == 0.5
    assert (won + won.T)[np.triu_indices(3, 1)].tolist() == [3, 3, 3]


def test_seed_means_ignore_absent_seeds():
    values = np.array([[[1.0, 3.0], [5.0, NAN], [NAN, NAN]]])
    assert st.seed_means(values)[0, :2].tolist() == [2, 5]
    assert np.isnan(st.seed_means(values)[0, 2])
    assert st.present(values).tolist() == [[True, True, False]]


def test_iqm_of_unequally_many_runs():
    # four runs .1 .2 .6 .9: one goes at each end, (.2 + .6)/2; three runs: none goes, (.1 + .2 + .6)/3
    found = st.iqm(np.array([[0.9, 0.1, 0.6, 0.2], [0.1, NAN, 0.2, 0.6], [NAN] * 4]))
    assert found[:2] == pytest.approx([0.4, 0.3])
    assert np.isnan(found[2])


def test_iqm_is_the_mean_of_the_middle_half():
    # eight values: floor(8/4) = 2 go at each end, (2 + 3 + 4 + 5)/4 = 3.5
    assert st.iqm(np.array([100, 1, 2, 3, 4, 5, 6, -50])) == pytest.approx(3.5)
    from scipy.stats import trim_mean

    values = np.random.default_rng(0).normal(size=23)
    assert st.iqm(values) == pytest.approx(trim_mean(values, 0.25))
    assert st.iqm(np.stack([values, -values]))[1] == pytest.approx(-trim_mean(values, 0.25))


def test_improvement_counts_pairs_of_seeds():
    # dataset a: seeds {2, 4} against {1, 3}: 2>1, 2<3, 4>1, 4>3 → 3/4; dataset b: {1} against {1}: a tie → 1/2; c: absent
    first = np.array([[2.0, 4.0], [1.0, NAN], [NAN, NAN]])
    second = np.array([[1.0, 3.0], [1.0, NAN], [1.0, 2.0]])
    found = st.improvement_by_dataset(first, second)
    assert found[:2].tolist() == [0.75, 0.5]
    assert np.isnan(found[2])


def test_bootstrap_resamples_datasets_jointly_and_seeds_within():
    # values encode dataset and generator, so a draw can be traced: 100·dataset + 10·generator + seed
    values = np.array([[[100.0 * d + 10 * g + s for s in range(2)] for g in range(3)] for d in range(4)])
    values[2, 1, 1] = NAN
    drawn = st.hierarchical_bootstrap(values, 500, np.random.default_rng(1))
    assert drawn.shape == (500, 4, 3)
    datasets = np.floor(drawn / 100)
    assert (datasets == datasets[:, :, :1]).all()  # the same dataset for all generators of a draw
    within = drawn - 100 * datasets - 10 * np.arange(3)
    assert within.min() == 0
    assert within.max() == 1
    assert set(np.unique(within)) == {0.0, 0.5, 1.0}
    assert np.unique(within[:, :, 1][datasets[:, :, 1] == 2]).tolist() == [0.0]  # the single seed there
    runs = np.concatenate(list(st.resampled_runs(values, 500, np.random.default_rng(1))))
    assert st.seed_means(runs) == pytest.approx(drawn)
    twice = st.hierarchical_bootstrap(np.stack([values, values + 0.5], axis=3), 500, np.random.default_rng(1))
    assert twice[..., 0] == pytest.approx(drawn)  # values of one run are drawn together
    assert twice[..., 1] == pytest.approx(drawn + 0.5)
    assert set(np.unique(datasets)) == {0, 1, 2, 3}


def test_bootstrap_interval_of_one_dataset_is_over_its_seeds():
    # two seeds 0 and 1: the mean of two drawn seeds is 0, ½, 1 with probability ¼, ½, ¼
    drawn = st.hierarchical_bootstrap(np.array([[[0.0, 1.0]]]), 20_000, np.random.default_rng(0))[:, 0, 0]
    assert [np.mean(drawn == v) for v in (0, 0.5, 1)] == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert st.interval(drawn) == (0.0, 1.0)
    assert st.interval(np.full(10, 0.3)) is None
    assert st.interval(np.array([NAN, NAN])) is None


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        data = rng.normal(size=(30, 1)) + 0.3 * rng.normal(size=(30, 5))
        low, high = st.interval(st.hierarchical_bootstrap(data[:, None, :], 400, rng).mean(axis=(1, 2)))
        covered += low <= 0 <= high
    assert 0.87 <= covered / 200 <= 1.0  # percentile intervals run a little short of 95 %


def signed_rank(differences, rope, draws=20_000):
    differences = np.array(differences)
    return st.bayesian_signed_rank(
        differences, rope, st.posterior_weights(len(differences), np.random.default_rng(1), draws)
    )


def test_signed_rank_is_certain_split_or_equal():
    assert signed_rank([0.2] * 10, 0.01).first > 0.99
    assert signed_rank([0.001] * 10, 0.01).equal == pytest.approx(1.0)
    split = signed_rank([0.2, -0.2, 0.3, -0.3], 0.01)
    assert split.first == pytest.approx(split.second, abs=0.06)
    assert split.first + split.equal + split.second == pytest.approx(1.0)
    assert 0.5 < signed_rank([0.2], 0.01).first < 0.99  # one dataset proves nothing


# By baycomp 1.0.3, SignedRankTest.probs(first, second, rope, nsamples=50000): left, rope, right
@pytest.mark.parametrize(
    ("differences", "rope", "expected"),
    [
        ([0.7, 0.4, -0.2], 0.01, (0.877, 0.016, 0.107)),  # llm − ctgan of the 3×3 matrix in test_leaderboard.py
        ([0.7, 0.4], 0.01, (0.964, 0.036, 0.0)),
        ([0.7, 0.4, -0.2], 0.0, (0.889, 0.0, 0.111)),  # without a region, ties count half for either side
    ],
)
def test_signed_rank_agrees_with_baycomp_on_three_datasets(differences, rope, expected):
    found = signed_rank(differences, rope, 50_000)
    assert (found.first, found.equal, found.second) == pytest.approx(expected, abs=0.006)


def test_critical_difference_is_demsars():
    # Demšar 2006, table 5: q.05 for 4 classifiers is 2.569; CD for N = 14: 2.569·√(4·5/(6·14)) = 1.25 (his section 3.2.4)
    assert st.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


@pytest.mark.parametrize("count", [2, 3, 10, 50])
def test_studentized_range_equals_scipys(count):
    from scipy.stats import studentized_range

    assert st.studentized_range(0.95, count) == pytest.approx(studentized_range.ppf(0.95, count, np.inf), rel=1e-6)


def test_signed_rank_agrees_with_baycomp():
    # baycomp 1.0.3's SignedRankTest.probs(a, b, rope=0.01) on this data, 50,000 draws: left, rope, right = .908, .066, .025
    source = np.random.default_rng(0)
    source.normal(0.6, 0.1, 6), source.normal(0.02, 0.05, 6)
    first = source.normal(0.6, 0.1, 12)
    second = first - source.normal(0.02, 0.05, 12)
    found = signed_rank(first - second, 0.01)
    assert (found.first, found.equal, found.second) == pytest.approx((0.908, 0.066, 0.025), abs=0.01)


def test_cliques_are_maximal():
    # distance 1: {1, 1.5, 2} and {2, 3} but not the inner {1.5, 2}
    assert st.cliques([1.0, 1.5, 2.0, 3.0, 5.0], 1.0) == [(0, 2), (2, 3)]


def test_elo_of_the_hand_computed_matrix_agrees_with_choix():
    # choix 0.4.1, ilsr_pairwise_dense of the wins of MEANS plus a virtual tie per pair, on the Elo scale, mean at 1000
    assert st.elo(st.wins(MEANS), anchor=None) == pytest.approx([1137.70, 1035.26, 827.04], abs=0.02)


def test_nemenyis_distance_agrees_with_scikit_posthocs():
    # scikit-posthocs 0.17.1, posthoc_nemenyi_friedman of a table of 10 datasets × 4 generators with ranks that always agree:
    # mean ranks 1 2 3 4, p = .307 at a distance of 1, .003 at 2. So the 5 % distance is between 1 and 2:
    distance = st.critical_difference(4, 10)
    assert 1 < distance < 2
    assert st.cliques([1.0, 2.0, 3.0, 4.0], distance) == [(0, 1), (1, 2), (2, 3)]


def test_elo_of_two_players_is_their_log_odds():
    # 8 wins to 2, plus a virtual tie: odds 8.5/2.5; 400·log10(3.4) = 212.6
    rating = st.elo(np.array([[0.0, 8.0], [2.0, 0.0]]), anchor=1)
    assert rating[1] == 1000
    assert rating[0] == pytest.approx(1000 + 400 * np.log10(8.5 / 2.5))


def test_elo_follows_wins_stays_finite_and_centres_without_anchor():
    rating = st.elo(st.wins(MEANS), anchor=None)
    assert rating[0] > rating[1] > rating[2]
    assert rating.mean() == pytest.approx(1000)
    always = st.elo(np.array([[0.0, 50.0], [0.0, 0.0]]), anchor=1)
    assert np.isfinite(always).all()
    stacked = st.elo(np.stack([st.wins(MEANS)] * 3), anchor=2)
    assert stacked.shape == (3, 3)
    assert stacked[:, 2].tolist() == [1000] * 3


def test_pareto_keeps_what_nothing_beats_in_both():
    assert st.pareto([1, 2, 3, None, 1], [0.5, 0.4, 0.9, 1.0, 0.5]) == [True, False, True, False, True]


@given(some.lists(some.lists(some.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_ranks_of_a_dataset_always_sum_to_the_same(rows):
    assert st.ranks(np.array(rows)).sum(axis=1) == pytest.approx([6.0] * len(rows))
