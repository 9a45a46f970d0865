"""Observations and pairs against plain loops; repeats of a scan never become visits."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_jax.evaluators.pairs import (
    Observations,
    coarse_pairs,
    describe_no_pairs,
    fine_pairs,
    group_means,
    group_starts,
    observe,
)


def by_hand(s: dict[str, np.ndarray]) -> dict[tuple[int, int], tuple[np.ndarray, float]]:
    """Embedding and score of each (patient, visit) by dictionaries and means."""
    out = {}
    for key in sorted({(int(p), int(v)) for p, v in zip(s["patient"], s["visit"], strict=True)}):
        mine = (s["patient"] == key[0]) & (s["visit"] == key[1])
        views = [s["u"][mine & (s["view"] == view)].astype(float).mean(0) for view in np.unique(s["view"][mine])]
        known = s["score"][mine][~np.isnan(s["score"][mine])].astype(float)
        out[key] = np.mean(views, axis=0), known.mean() if known.size else np.nan
    return out


def test_means_of_groups_hold_no_float64_copy_of_all():
    rng = np.random.default_rng(0)
    group = np.sort(rng.integers(0, 5000, 30_000))
    values = rng.normal(size=(30_000, 64)).astype(np.float32)
    starts = group_starts(group)
    tracemalloc.start()
    means, sizes = group_means(values, starts)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < means.nbytes + values.nbytes
    names, count = np.unique(group, return_counts=True)
    np.testing.assert_array_equal(sizes, count)
    np.testing.assert_allclose(means, [values[group == one].mean(0, dtype=float) for one in names], rtol=1e-12)


@pytest.mark.parametrize("unlabeled", [0.0, 0.6])
def test_visits_average_views_not_scans(scans, unlabeled):
    s = scans(patients=5, visits=3, views=3, clips=2, unlabeled=unlabeled)
    keep = np.random.default_rng(1).random(len(s["row"])) < 0.7  # so that views hold 1 or 2 clips
    s = {name: array[keep] for name, array in s.items()}
    o = observe(**s, mode="visits")
    expected = by_hand(s)
    assert list(zip(o.patient.tolist(), o.visit.tolist(), strict=True)) == list(expected)
    np.testing.assert_allclose(o.u, [u for u, _ in expected.values()], rtol=1e-6)
    np.testing.assert_allclose(o.score, [score for _, score in expected.values()], rtol=1e-6)
    assert np.all(o.view == -1)
    for i, rows in enumerate(o.rows):
        assert set(rows) == set(s["row"][(s["patient"] == o.patient[i]) & (s["visit"] == o.visit[i])])


@pytest.mark.parametrize("mode", ["visits", "scans"])
def test_any_order_of_scans_gives_the_same_bits(scans, mode):
    s = scans(patients=4, views=3, clips=2, unlabeled=0.3)
    mixed = np.random.default_rng(0).permutation(len(s["row"]))
    a, b = observe(**s, mode=mode), observe(**{k: v[mixed] for k, v in s.items()}, mode=mode)
    assert a.rows == b.rows
    for name in ("u", "score", "patient", "visit", "time_days", "view"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    reversed_ = a.take(np.arange(len(a))[::-1])
    assert reversed_.sorted().rows == a.rows


def test_two_scans_of_one_visit_never_become_a_pair(scans):
    o = observe(**scans(patients=6, visits=1, views=2, clips=3), mode="visits")
    assert len(fine_pairs(o, "visits", "all")) == 0
    assert describe_no_pairs(o) == "no fine pairs: 6 patients, 1 visit each"


@settings(max_examples=40, deadline=None)
@given(
    visits=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), max_size=16),
    mode=st.sampled_from(["visits", "scans"]),
    order=st.sampled_from(["all", "consecutive"]),
    seed=st.integers(0, 99),
)
def test_pairs_are_those_of_a_double_loop(visits, mode, order, seed):
    if mode == "visits":
        visits = list({(p, v): (p, v, known) for p, v, known in visits}.values())
    m = len(visits)
    patient, visit = (np.array([x[i] for x in visits], np.int32) for i in (0, 1))
    rows = np.random.default_rng(seed).permutation(m)
    o = Observations(
        u=np.zeros((m, 1), np.float32), score=np.array([1.0 if x[2] else np.nan for x in visits], np.float32),
        patient=patient, visit=visit, time_days=visit.astype(np.float32), view=np.zeros(m, np.int32),
        rows=tuple((int(r),) for r in rows),
    )  # fmt: skip
    expected = set()
    for i, j in itertools.permutations(range(m), 2):
        if not (visits[i][2] and visits[j][2]) or patient[i] != patient[j]:
            continue
        if mode == "scans":
            if visit[i] == visit[j] and rows[i] < rows[j]:
                expected.add((i, j))
        elif visit[i] < visit[j]:
            between = any(p == patient[i] and visit[i] < v < visit[j] and known for p, v, known in visits)
            if order == "all" or not between:
                expected.add((i, j))
    found = fine_pairs(o, mode, order)
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.patient, patient[found.first])
    # the same pairs, in the same order, when the observations come in another
    mixed = np.random.default_rng(seed + 1).permutation(m)
    again = fine_pairs(o.take(mixed), mode, order)
    assert [rows[mixed[i]] for i in again.first] == [rows[i] for i in found.first]


@pytest.mark.parametrize(
    ("patient", "visit", "score", "mode", "sentence"),
    [
        ([0, 1], [0, 0], [1, 2], "visits", "no fine pairs: 2 patients, 1 visit each"),
        ([0], [0], [1], "visits", "no fine pairs: 1 patient, 1 visit"),
        ([0, 0, 1], [0, 1, 0], [1, np.nan, 2], "visits", "no fine pairs: 2 patients, 1–2 visits each, 2 of 3 labeled"),
        ([0, 0, 1], [0, 1, 0], [1, 2, 3], "scans", "no fine pairs: 2 patients, 1 scan per visit"),
        ([0, 0, 1], [0, 0, 0], [1, np.nan, 3], "scans",
         "no fine pairs: 2 patients, 1–2 scans per visit, 2 of 3 labeled"),
        ([], [], [], "visits", "no fine pairs: no patients"),
    ],
)  # fmt: skip
def test_sentence_without_pairs(patient, visit, score, mode, sentence):
    m = len(patient)
    o = Observations(
        np.zeros((m, 2), np.float32), np.array(score, np.float32), np.array(patient, int), np.array(visit, int),
        np.zeros(m, np.float32), np.zeros(m, int), tuple((i,) for i in range(m)),
    )  # fmt: skip
    assert len(fine_pairs(o, mode, "all")) == 0
    assert describe_no_pairs(o, mode) == sentence


def test_unknown_words_and_no_scans(scans):
    s = {name: array[:0] for name, array in scans().items()}
    assert len(observe(**s, mode="visits")) == 0
    with pytest.raises(ValueError, match="mode is 'weeks'; it is one of visits, scans"):
        observe(**s, mode="weeks")
    with pytest.raises(ValueError, match="order is 'some'"):
        fine_pairs(observe(**s, mode="visits"), "visits", "some")


def test_coarse_pairs_are_drawn_evenly_and_without_repeats():
    patient = np.repeat(np.arange(6), [1, 5, 1, 2, 9, 3])
    first, second = coarse_pairs(patient, 4096)
    possible = {(i, j) for j in range(21) for i in range(j) if patient[i] != patient[j]}
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == possible
    assert len(first) == len(possible)
    many = np.arange(3000) // 2
    first, second = coarse_pairs(many, 4096)
    assert len(first) == len({*zip(first.tolist(), second.tolist(), strict=True)}) == 4096
    assert (first < second).all()
    assert (many[first] != many[second]).all()
    share = np.histogram(np.concatenate([first, second]), 10, (0, 3000))[0] / 8192
    np.testing.assert_allclose(share, 0.1, atol=0.015)
    assert len(coarse_pairs(np.zeros(5, int), 4096)[0]) == 0


def test_as_many_coarse_pairs_are_drawn_as_asked_for_if_there_are_so_many():
    """30 patients with 3 each have 3,915 pairs: enumerated if 979 or more are asked for, else 3 times as many drawn."""
    patient = np.repeat(np.arange(30), 3)
    for most in (1, 50, 900, 979, 3000, 3914):
        first, second = coarse_pairs(patient, most)
        assert len(first) == len({*zip(first.tolist(), second.tolist(), strict=True)}) == most
        assert (first < second).all()
        assert (patient[first] != patient[second]).all()
    assert len(coarse_pairs(patient, 3915)[0]) == len(coarse_pairs(patient, 10**6)[0]) == 3915
