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


def test_critical_difference_is_demsars():
    # Demšar 2006, table 5: q.05 for 4 classifiers is 2.569; CD for N = 14: 2.569·√(4·5/(6·14)) = 1.25 (his section 3.2.4)
    assert st.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


@pytest.mark.parametrize("count", [2, 3, 10, 50])
def test_studentized_range_equals_scipys(count):
    from scipy.stats import studentized_range

    assert st.studentized_range(0.95, count) == pytest.approx(studentized_range.ppf(0.95, count, np.inf), rel=1e-6)


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
