"""All pictures of a report, in the order in which the page shows them.

A picture draws one run of each arm, that of the first seed, and no more arms than there are colours.
"""

import matplotlib

from learner_jax.report import cohort
from learner_jax.report.agreement import agreement
from learner_jax.report.confusion import confusion
from learner_jax.report.distance import distance
from learner_jax.report.forest import differences, forest
from learner_jax.report.loss import loss
from learner_jax.report.picture import STYLE, Picture
from learner_jax.report.psychometric import psychometric
from learner_jax.report.reliability import reliability
from learner_jax.report.spread import spread
from learner_jax.report.study import Study
from learner_jax.report.trajectories import trajectories
from learner_jax.report.vitals import vitals


def draw(study: Study) -> dict[str, list[Picture]]:
    """Every picture that there are data for, by the section of the page that it belongs to."""
    arms = study.arms
    with matplotlib.rc_context(STYLE):
        sections = {
            "figures": [
                *(forest(study), differences(study), psychometric(arms)),
                *(distance(arms), spread(arms), trajectories(arms)),
                *(confusion(arms), reliability(arms), agreement(arms)),
            ],
            "cohort": [cohort.scores(arms[0].first)],
            "training": [loss(arms), vitals(arms)],
        }
    return {name: [picture for picture in own if picture is not None] for name, own in sections.items()}
