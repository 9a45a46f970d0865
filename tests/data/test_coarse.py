"""What training may see: few patients, one visit, grades; and that nothing else changes."""

import numpy as np
import pytest

from learner_jax.config import DataConfig
from learner_jax.data import cohort as cohorts
from learner_jax.data.coarse import in_grades, training_rows
from tfds_builders.errors import InputError


@pytest.fixture
def load(tiny_dataset):
    return lambda **fields: cohorts.load(DataConfig(dir=str(tiny_dataset), score="sf_ratio", **fields))


def test_so_many_patients_are_seen_and_all_their_visits(load):
    whole, few = load(), load(train_patients=5)
    seen = np.unique(few.patient[few.train])
    assert len(seen) == 5
    assert set(few.train) == {row for row in whole.train if whole.patient[row] in seen}
    for part in ("val", "test"):
        np.testing.assert_array_equal(getattr(few, part), getattr(whole, part))
    assert few.fingerprints != whole.fingerprints, "a checkpoint of other rows is refused"


def test_another_draw_sees_others_and_the_same_draw_the_same(load):
    draws = [load(train_patients=5, draw=draw, visits_per_patient="one") for draw in (0, 0, 1)]
    rows = [tuple(one.train) for one in draws]
    assert rows[0] == rows[1] != rows[2]
    assert all(len(row) == 5 for row in rows)
    more = load(train_patients=8)
    assert set(load(train_patients=5).train) < set(more.train), "more patients are the same ones and others"


def test_one_visit_of_each_is_a_labeled_one(load):
    one = load(visits_per_patient="one")
    for p in np.unique(one.patient[one.train]):
        assert len(np.unique(one.visit[one.train[one.patient[one.train] == p]])) == 1


def test_one_visit_of_each_patient_is_found_wherever_its_rows_lie():
    n, visits = 400, 5
    patient, visit = np.repeat(np.arange(n, dtype=np.int32), visits), np.tile(np.arange(visits, dtype=np.int32), n)
    order = np.random.default_rng(0).permutation(n * visits)  # a patient's rows need not lie together
    patient, visit = patient[order], visit[order]
    labeled = (visit == patient % visits) | (patient == 7)  # but for one patient a single visit is labeled
    rows = np.arange(n * visits)
    config = DataConfig(visits_per_patient="one")
    seen = training_rows(rows, config, tuple(map(str, range(n))), patient, visit, labeled)
    assert (np.diff(seen) > 0).all()
    assert sorted(patient[seen].tolist()) == list(range(n))
    assert labeled[seen].all()
    assert len(training_rows(rows[:0], config, (), patient, visit, labeled)) == 0


def test_grades_are_means_of_what_is_seen_and_others_keep_their_scores(load):
    whole, graded = load(), load(score_cuts="250,350", visits_per_patient="one")
    for low, high in ((-np.inf, 250), (250, 350), (350, np.inf)):
        mine = graded.train[(whole.score[graded.train] >= low) & (whole.score[graded.train] < high)]
        if mine.size:
            np.testing.assert_allclose(graded.score[mine], whole.score[mine].mean(dtype=float), rtol=1e-6)
    assert len(np.unique(graded.score[graded.train])) <= 3
    for part in ("val", "test"):
        rows = getattr(whole, part)
        np.testing.assert_array_equal(graded.score[rows], whole.score[rows])
    assert graded.score_mean == pytest.approx(graded.score[graded.train].mean(dtype=float))


def test_a_cut_belongs_to_the_grade_above_and_unlabeled_stays_so():
    score = np.array([1, 2, 3, np.nan, 9], np.float32)
    rows = np.arange(4)
    np.testing.assert_array_equal(in_grades(score, "2", rows, rows), np.array([1, 2.5, 2.5, np.nan, 9], np.float32))
    tenths = np.array([0.6, 0.7, 0.8, 4.1, 4.2], np.float32)
    graded = in_grades(tenths, "0.7,4.2", np.arange(5), np.arange(5))
    np.testing.assert_allclose(graded, [0.6, *[(0.7 + 0.8 + 4.1) / 3] * 3, 4.2], rtol=1e-6)
    unseen = in_grades(score, "2", rows[1:], rows)
    assert np.isnan(unseen[0]), "the grade below 2 was never seen"


def test_faults_are_sentences(load):
    with pytest.raises(InputError, match=r"train_patients is 99, but only \d+ training patients carry the score"):
        load(train_patients=99)
    for cuts in ("350,250", "a", "1,,2", "nan"):
        with pytest.raises(InputError, match=r"score_cuts is .*it takes ascending numbers"):
            load(score_cuts=cuts)
    with pytest.raises(InputError, match=r"cut into grades at 9999 \(--config.data.score_cuts\); there is nothing"):
        load(score_cuts="9999")


def test_covariates_are_read_by_name(load):
    cohort = load()
    assert cohort.covariates
    assert all(values.shape == cohort.score.shape for values in cohort.covariates.values())
