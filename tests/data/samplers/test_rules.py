"""Every sampler on random cohorts: pure, within the pool, true to its rule, and covering what its rule allows."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learner_jax.config import Config, SamplerConfig
from learner_jax.data.samplers import api, groups, list_samplers
from learner_jax.data.samplers.deal import Planned
from tfds_builders.errors import InputError


def make_pool(seed=0, n_patients=20, visits=(1, 5), views=3, sites=2, repeats=1, distinct=0):
    rng = np.random.default_rng(seed)
    entries = [
        (patient, visit, view)
        for patient in range(n_patients)
        for visit in range(rng.integers(visits[0], visits[1] + 1))
        for view in range(views)
        for _ in range(rng.integers(1, repeats + 1))
        if view == 0 or rng.random() < 0.8
    ]
    patient, visit, view = (np.array(column, np.int32) for column in zip(*entries, strict=True))
    score = rng.normal(size=len(patient))
    score = np.round(score * distinct) / distinct if distinct else score
    site = rng.integers(0, sites, n_patients)[patient].astype(np.int32)
    row = np.sort(rng.permutation(3 * len(patient))[: len(patient)])
    return api.Pool(row, patient, visit, view, site, score.astype(np.float32))


def create(name, pool, batch_size=8, steps=100, **fields):
    config = Config(batch_size=batch_size, steps=steps, sampler=SamplerConfig(name=name, **fields))
    return api.samplers.get(name)(config, pool)


def places(pool, rows):
    """Entries of the pool that rows of the cohort table are."""
    at = np.searchsorted(pool.row, rows)
    assert (pool.row[at] == rows).all(), "only labeled training scans are drawn"
    return at


def an_epoch(sampler, seed=0, number=0):
    n = sampler._batches
    return np.stack([sampler.rows(seed, step) for step in range(number * n, (number + 1) * n)])


@pytest.mark.parametrize("name", list_samplers())
def test_the_stream_is_a_pure_function_of_seed_and_step(name):
    pool = make_pool(n_patients=40, visits=(2, 5))
    steps = list(range(60))
    forward = [create(name, pool).rows(3, step) for step in steps]
    sampler = create(name, pool)
    backward = [sampler.rows(3, step) for step in reversed(steps)][::-1]
    with ThreadPoolExecutor(4) as threads:
        threaded = list(threads.map(lambda step: sampler.rows(3, step), steps))
    np.testing.assert_array_equal(forward, backward)
    np.testing.assert_array_equal(forward, threaded)
    assert all(rows.shape == (8,) and rows.dtype == np.int64 for rows in forward)
    assert not np.array_equal(forward, [sampler.rows(4, step) for step in steps])
    places(pool, np.concatenate(forward))


@pytest.mark.parametrize("name", list_samplers())
def test_the_order_does_not_move_with_the_version_of_numpy(name):
    # written down once; resuming after an upgrade relies on it
    i = np.arange(240, dtype=np.int32)
    pool = api.Pool(3 * i.astype(np.int64), i // 6, i // 2 % 3, i % 2, i // 60, (i * 37 % 101 / 10).astype(np.float32))
    assert create(name, pool).rows(1, 17).tolist() == GOLDEN[name]


def test_threads_that_come_to_an_epoch_wait_for_one_plan():
    made = []

    def plan(seed, epoch):
        made.append(epoch)
        time.sleep(0.1)
        return np.arange(8).reshape(4, 2)

    sampler = Planned(plan, 4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda step: sampler.rows(0, step), range(8)))
    assert made == [0, 1]


@pytest.mark.parametrize(("name", "orders"), [("shuffled", 1), ("site_balanced", 40)])
def test_orders_are_made_once_an_epoch_however_many_sites_there_are(name, orders, monkeypatch):
    made = []
    permutation = api.permutation
    monkeypatch.setattr(api, "permutation", lambda *given: made.append(given) or permutation(*given))
    sampler = create(name, make_pool(n_patients=400, sites=40), batch_size=40)
    for step in range(6):
        sampler.rows(0, step)
    assert len(made) == orders


@given(st.integers(0, 50), st.integers(9, 25), st.integers(1, 3))
def test_inter_patient_batches_hold_different_patients_and_an_epoch_every_scan(seed, n_patients, repeats):
    pool = make_pool(seed, n_patients, repeats=repeats)
    sampler = create("inter_patient", pool)
    table = places(pool, an_epoch(sampler, seed, number=seed % 3))
    for batch in pool.patient[table]:
        assert len(set(batch.tolist())) == len(batch)
    allowed = np.minimum(np.bincount(pool.patient), len(table))
    seen = np.unique(table)
    np.testing.assert_array_equal(np.bincount(pool.patient[seen], minlength=n_patients) >= allowed, True)
    if (np.bincount(pool.patient) <= len(table)).all():
        assert len(seen) == len(pool)
        assert table.size - len(pool) < table.shape[1], "less than a batch of scans comes twice"


def test_a_patient_with_more_scans_than_batches_shows_others_in_the_next_epoch():
    patient = np.concatenate([np.arange(1, 10), np.zeros(40)]).astype(np.int32)
    zero = np.zeros(49, np.int32)
    pool = api.Pool(np.arange(49), patient, np.arange(49, dtype=np.int32), zero, zero, zero.astype(np.float32))
    sampler = create("inter_patient", pool)
    per_epoch = [set(an_epoch(sampler, 0, k).ravel().tolist()) - set(range(9)) for k in range(6)]
    assert all(len(shown) == sampler._batches for shown in per_epoch)
    assert len(set().union(*per_epoch)) == 40


@given(st.integers(0, 50), st.integers(2, 3), st.integers(1, 3))
def test_groups_are_k_visits_of_one_patient(seed, k, repeats):
    pool = make_pool(seed, 30, visits=(1, 6), repeats=repeats)
    sampler = create("patients_by_visits", pool, batch_size=4 * k, visits=k)
    table = places(pool, an_epoch(sampler, seed)).reshape(-1, 4, k)
    for batch in table:
        patients = pool.patient[batch]
        assert (patients == patients[:, :1]).all()
        assert len(set(patients[:, 0].tolist())) == 4
        for group in batch:
            assert len(set(pool.visit[group].tolist())) == k
    visits = {p: len(set(pool.visit[pool.patient == p].tolist())) for p in range(30)}
    eligible = [p for p in range(30) if visits[p] >= k]
    assert set(np.unique(pool.patient[table]).tolist()) <= set(eligible)
    left = 30 - len(eligible)
    sentence = f"{left} of 30 training patients have fewer than {k} visits and are in no group"
    assert sampler.note == (sentence if left else "")
    if (np.bincount(pool.patient)[eligible] <= len(table)).all():
        assert set(np.flatnonzero(np.isin(pool.patient, eligible)).tolist()) == set(table.ravel().tolist())


def test_groups_are_of_one_view_where_the_patient_has_it_often_enough():
    pool = make_pool(0, 20, visits=(4, 4), views=3)
    pool = pool.take(pool.view >= 0)
    table = places(pool, an_epoch(create("patients_by_visits", pool, visits=2))).reshape(-1, 2)
    same = pool.view[table[:, 0]] == pool.view[table[:, 1]]
    for first, _ in table[~same]:
        others = (pool.patient == pool.patient[first]) & (pool.view == pool.view[first])
        assert len(set(pool.visit[others].tolist())) < 2, "this view had no second visit"
    assert same.mean() > 0.9


@pytest.mark.parametrize("most", [groups._MOST_CANDIDATES, 7])
@pytest.mark.parametrize("seed", range(4))
def test_a_short_group_is_filled_from_visits_that_it_lacks_its_own_view_first(seed, most, monkeypatch):
    monkeypatch.setattr(groups, "_MOST_CANDIDATES", most)
    pool = make_pool(seed, 30, visits=(3, 6), repeats=1 + seed % 2)
    rng = np.random.default_rng(seed)
    key, table = rng.permutation(len(pool)).astype(np.uint64), np.full((40, 3), -1)
    for group in table:
        first = int(rng.integers(len(pool)))
        others = np.flatnonzero((pool.patient == pool.patient[first]) & (pool.visit != pool.visit[first]))
        held = [first, int(rng.choice(others))][: rng.integers(1, 3)]
        group[: len(held)] = held
    wanted = table.copy()
    for group in wanted:
        mine = [int(i) for i in np.flatnonzero(pool.patient == pool.patient[group[0]])]
        mine.sort(key=lambda i: (pool.view[i] != pool.view[group[0]], key[i]))
        for scan in mine:
            if (group < 0).any() and pool.visit[scan] not in pool.visit[group[group >= 0]]:
                group[(group >= 0).sum()] = scan
    groups._fill(pool, table, key)
    np.testing.assert_array_equal(table, wanted)


@given(st.integers(0, 50), st.sampled_from([0.25, 0.5, 0.75]))
def test_mixed_batches_hold_groups_and_single_scans_of_other_patients(seed, mix):
    pool = make_pool(seed, 30, visits=(2, 5))
    sampler = create("mixed", pool, mix=mix)
    table = places(pool, an_epoch(sampler, seed))
    n_groups = int(mix * 8) // 2
    singles = table[:, 2 * n_groups :]
    for batch in table:
        groups = batch[: 2 * n_groups].reshape(-1, 2)
        patients = pool.patient[groups]
        assert (patients[:, 0] == patients[:, 1]).all()
        assert (pool.visit[groups[:, 0]] != pool.visit[groups[:, 1]]).all()
        assert len({*patients[:, 0].tolist(), *pool.patient[batch[2 * n_groups :]].tolist()}) == 8 - n_groups
    if (np.bincount(pool.patient) <= len(table)).all():
        assert set(singles.ravel().tolist()) == set(range(len(pool)))


@given(st.integers(0, 50), st.integers(3, 25))
def test_batches_of_one_view(seed, n_patients):
    pool = make_pool(seed, n_patients, visits=(3, 6))
    sampler = create("same_view", pool)
    table = places(pool, an_epoch(sampler, seed))
    assert (pool.view[table] == pool.view[table][:, :1]).all()
    for batch in table:
        of_view = pool.patient[pool.view == pool.view[batch[0]]]
        assert len(set(pool.patient[batch].tolist())) >= min(8, len(set(of_view.tolist()))) - 2
        if len(set(of_view.tolist())) >= 8:
            assert len(set(pool.patient[batch].tolist())) == 8
        assert len(set(batch.tolist())) == 8
    wide = [view for view in range(3) if (pool.view == view).sum() >= 8]
    if all((np.bincount(pool.patient[pool.view == v]) <= -(-(pool.view == v).sum() // 8)).all() for v in wide):
        assert set(table.ravel().tolist()) == set(np.flatnonzero(np.isin(pool.view, wide)).tolist())


@pytest.mark.parametrize("distinct", [0, 2])
def test_pairs_differ_by_as_much_as_was_drawn_and_evenly_so(distinct):
    pool = make_pool(1, 300, distinct=distinct)
    sampler = create("score_balanced", pool, batch_size=32)
    pairs = places(pool, np.stack([sampler.rows(0, step) for step in range(200)])).reshape(-1, 2)
    assert (pool.patient[pairs[:, 0]] != pool.patient[pairs[:, 1]]).all()
    difference = np.abs(np.diff(pool.score[pairs], axis=1))[:, 0]
    largest = pool.score.max() - pool.score.min()
    if not distinct:
        assert stats.kstest(difference / largest, "uniform").statistic < 0.03
    steps = -(-2 * len(pool) // 32)
    firsts = pairs.reshape(200, 16, 2)[:steps, :, 0]
    assert len(np.unique(firsts)) > 0.5 * len(pool), "most scans come once in an epoch"
    shuffled = create("shuffled", pool, batch_size=32)
    plain = places(pool, np.stack([shuffled.rows(0, step) for step in range(200)])).reshape(-1, 2)
    usual = np.abs(np.diff(pool.score[plain], axis=1))
    assert (difference > 0.6 * largest).mean() > 10 * (usual > 0.6 * largest).mean()


def test_the_curriculum_goes_from_far_to_near():
    pool = make_pool(1, 300)
    sampler = create("curriculum", pool, batch_size=32, steps=100, curriculum_start=0.5, curriculum_share=0.8)
    largest = pool.score.max() - pool.score.min()

    def smallest(step):
        pairs = places(pool, sampler.rows(0, step)).reshape(-1, 2)
        return np.abs(np.diff(pool.score[pairs], axis=1)).min() / largest

    assert smallest(0) > 0.45
    assert smallest(40) == pytest.approx(0.25, abs=0.08)
    assert smallest(80) < 0.1
    assert smallest(99) < 0.1


@given(st.integers(0, 50), st.integers(1, 5))
def test_sites_come_in_equal_parts(seed, sites):
    pool = make_pool(seed, 25, sites=sites)
    sampler = create("site_balanced", pool)
    n_sites, codes = len(np.unique(pool.site)), np.unique(pool.site)
    stream = [places(pool, sampler.rows(seed, step)) for step in range(60)]
    for batch in stream:
        count = np.bincount(pool.site[batch], minlength=sites)[codes]
        assert count.max() - count.min() <= 1
    total = np.bincount(pool.site[np.concatenate(stream)], minlength=sites)[codes]
    assert total.max() - total.min() <= 1, "the remainder goes round"
    for code in codes:
        mine = np.concatenate([batch[pool.site[batch] == code] for batch in stream])
        n = (pool.site == code).sum()
        assert sorted(mine[:n].tolist()) == np.flatnonzero(pool.site == code).tolist()[: len(mine[:n])] or len(mine) < n
    assert n_sites >= 1


@pytest.mark.parametrize(
    ("name", "pool", "fields", "sentence"),
    [
        ("inter_patient", {"n_patients": 5}, {}, r"needs 8 patients, .* has 5\. Set --config.batch_size=5"),
        ("patients_by_visits", {}, {"batch_size": 7}, r"2 visits .* do not fill; set --config.batch_size=6 or 8"),
        ("patients_by_visits", {"visits": (1, 1)}, {}, r"of 20 training patients 0 have them \(most .* of one: 1\)"),
        ("mixed", {}, {"mix": 0.1}, r"makes 0 groups of 2 visits and 8 single scans, and mixed needs both"),
        ("mixed", {"n_patients": 4, "visits": (2, 3)}, {}, r"needs 6 patients, and the training split has 4"),
        ("same_view", {"n_patients": 3, "visits": (1, 1)}, {}, r"fullest of 3 views has 3 labeled training scans"),
        ("score_balanced", {"n_patients": 1}, {}, r"pairs scans of two patients, and the training split has 1"),
        ("score_balanced", {}, {"batch_size": 5}, r"makes pairs; set --config.batch_size=6"),
        ("curriculum", {}, {"batch_size": 5}, r"curriculum makes pairs"),
        ("site_balanced", {"sites": 12, "n_patients": 80}, {}, r"each of the 12 sites .*batch_size=12 or more"),
        ("shufled", {}, {}, r"no sampler is called 'shufled'; did you mean 'shuffled'\?"),
    ],
)
def test_a_batch_that_cannot_be_made_says_why(name, pool, fields, sentence):
    with pytest.raises(InputError, match=sentence):
        create(name, make_pool(**pool), **fields)


GOLDEN = {
    "curriculum": [354, 24, 330, 318, 0, 654, 627, 501],
    "inter_patient": [678, 603, 630, 615, 84, 324, 345, 516],
    "mixed": [705, 717, 93, 99, 408, 555, 687, 441],
    "patients_by_visits": [168, 162, 96, 90, 366, 372, 378, 384],
    "same_view": [57, 129, 495, 711, 189, 483, 201, 285],
    "score_balanced": [354, 162, 330, 480, 0, 678, 627, 528],
    "shuffled": [381, 297, 567, 273, 327, 396, 492, 600],
    "site_balanced": [165, 99, 198, 342, 510, 378, 606, 651],
}
