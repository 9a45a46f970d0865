"""The report as one self-contained HTML file, and beside it the numbers (CSV, JSON) and figures (PNG, SVG)."""

import base64
import hashlib
import os
import pathlib
import platform
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from markupsafe import Markup

from learner_jax.report import cohort, comparison, effort, environment, health
from learner_jax.report.arms import Arm
from learner_jax.report.exports import write_json, write_sections, write_table
from learner_jax.report.figures import draw
from learner_jax.report.picture import Picture
from learner_jax.report.publish import built_beside, template
from learner_jax.report.runs import Run
from learner_jax.report.study import Study, missing_readouts
from learner_jax.report.table import has_values, make_table, warnings
from learner_jax.report.titles import HEADLINE, TABLES, TITLES, listed

_PACKAGES = ("learner-jax", "numpy", "polars", "matplotlib")
_LONGEST = 40  # rows of a figure's numbers that the page shows; its CSV has them all
_PATTERNS = ("optim.freeze",)  # fields with slashes that are not paths
_SECTIONS = ("figures", "cohort", "training", "scans")
PREFIX = "scans-"  # of the names of files that show scans
_SCRIPT = pathlib.Path(__file__).with_name("page.js")


def write_page(folder: str | os.PathLike, study: Study, scans: Sequence[Picture] = ()) -> pathlib.Path:
    """Write ``index.html``, CSV and JSON files and the figures into ``folder``; other files in it are left alone.

    Args:
      folder: made if missing. Files are built in a folder beside it and moved once all of them are there.
      study: what the page is about.
      scans: pictures that show scans, from :mod:`learner_jax.report.scans`.

    Returns:
      The path of index.html.
    """
    target = pathlib.Path(folder).absolute()
    pictures = draw(study) | {"scans": list(scans)}
    with built_beside(target) as built:
        for picture in (one for own in pictures.values() for one in own):
            picture.save(built)
        write_table(built / "table.csv", study)
        write_sections(built / "all_scores.csv", study)
        about = {"asked": facts(study.arms), "cohort": cohort.facts(study.arms[0].first)}
        write_json(built / "report.json", study, about, [*study.notes, *differences(study.arms)])
        (built / "index.html").write_text(render(study, pictures), encoding="utf-8")
    shown = {f"{picture.name}.{kind}" for picture in scans for kind in ("svg", "png")}
    for path in target.glob(f"{PREFIX}*"):
        if path.name not in shown:
            path.unlink()  # nobody expects patients' scans beside a page that shows none
    return target / "index.html"


def render(study: Study, pictures: Mapping[str, Sequence[Picture]]) -> str:
    """The HTML, with everything that came from a file escaped.

    Args:
      study: what the page is about.
      pictures: by section of the page, as in :func:`learner_jax.report.figures.draw`.
    """
    arms, runs, fields, around = study.arms, study.runs, configs(study.arms), environments(study.arms)
    script, looks = _SCRIPT.read_text(encoding="utf-8"), [health.look(run.folder) for run in runs]
    tables = [(title, make_table(study, columns)) for title, columns in TABLES.items() if has_values(study, columns)]
    return template("page.html.j2", "learner_jax.report", probability=comparison.probability).render(
        facts=facts(arms),
        warnings=[*study.notes, *differences(arms)],
        tables=tables,
        notes=warnings(study, list(TITLES)),
        below=list(dict.fromkeys(sentence for _, table in tables for sentence in table.below)),
        missing=missing_readouts(arms),
        compared=study.comparison,
        compared_how=comparison.sentence(study.comparison, confidence(study)) if study.comparison else "",
        fine=has_values(study, HEADLINE),
        seeds=any(arm.seeds > 1 for arm in arms),
        confidence=confidence(study),
        # Markup, because matplotlib has escaped the text in a picture.
        pictures={
            name: [(one, Markup(one.svg()), numbers(one)) for one in pictures.get(name, ())] for name in _SECTIONS
        },
        card=cohort.card(arms[0].first),
        card_facts=cohort.facts(arms[0].first),
        effort=effort.table(runs, looks),
        effort_shares=effort.shares(runs),
        effort_warnings=effort.warnings(runs, looks),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        arms=[arm.name for arm in arms],
        config_diff=[(name, *values) for name, values in fields if len(set(values)) > 1],
        config_same=[(name, values[0]) for name, values in fields if len(set(values)) == 1],
        around_diff=[(name, *values) for name, values in around if len(set(values)) > 1],
        around_same=[(name, values[0]) for name, values in around if len(set(values)) == 1],
        fingerprints=fingerprints(arms),
        versions=[("python", platform.python_version()), *environment.versions(_PACKAGES).items()],
    )


def numbers(picture: Picture) -> tuple[list[str], list[list[str]]] | None:
    """Header and rows of the numbers in a figure; None if there are none, or too many to read."""
    table = picture.numbers
    if table is None or table.height > _LONGEST:
        return None
    return [name.replace("_", " ") for name in table.columns], [list(map(_cell, row)) for row in table.rows()]


def _cell(value: typing.Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def confidence(study: Study) -> str:
    """The confidence of all intervals, such as ``95 %``."""
    return f"{100 * study.runs[0].config.get('eval', {}).get('confidence', 0.95):g} %"


def facts(arms: Sequence[Arm]) -> list[tuple[str, str]]:
    """What the arms were asked, as (what, value)."""
    runs = [run for arm in arms for run in arm.runs]
    scores, config = runs[0].scores, runs[0].config
    score, threshold = str(scores.get("score_name", "")), scores.get("change_threshold")
    spatial = scores.get("pairs") == "scans"
    observations = runs[0].observations
    per_split = {
        split: observations.filter(observations["split"] == split)["patient"].n_unique()
        for split in ("train", "val", "test")
        if (observations["split"] == split).any()
    }
    neighbours = scores.get("order") == "consecutive"
    visits = "each visit with the next" if neighbours else "every earlier visit with every later one"
    told = [
        ("dataset", public(config.get("data", {}).get("dir", ""))),
        ("score", score),
        (
            "fine pairs",
            "scans within one visit: spatial, not change over time" if spatial else f"{visits} of a patient",
        ),
        ("counts as changed", f"{score} differs by more than {threshold:g}" if threshold is not None else ""),
        ("patients", ", ".join(f"{n} {split}" for split, n in per_split.items())),
        ("backbone", ", ".join(dict.fromkeys(str(r.config.get("backbone", {}).get("name", "")) for r in runs))),
        ("scored at step", ", ".join(dict.fromkeys(f"{r.step} of {r.config.get('steps', '?')}" for r in runs))),
    ]
    return [(what, value) for what, value in told if value]


def differences(arms: Sequence[Arm]) -> list[str]:
    """A sentence for each thing that must be the same in all arms for their numbers to be comparable, but is not."""
    found = []
    asked = (
        (lambda run: run.scores, ("score_name", "change_threshold", "pairs", "order"), "numbers"),
        (lambda run: run.config.get("eval", {}), ("confidence", "interval"), "intervals"),
    )
    for of, name, what in ((of, name, what) for of, names, what in asked for name in names):
        values = {arm.name: _joined(of(run).get(name) for run in arm.runs) for arm in arms}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{arm}: {value}" for arm, value in values.items())
            found.append(f"The arms differ in {name} ({told}): their {what} are not comparable.")
    for name in ("data", "split"):
        if len({str(run.scores.get("fingerprints", {}).get(name)) for arm in arms for run in arm.runs}) > 1:
            found.append(f"The arms were not scored on the same {name}: their numbers are not comparable.")
    return found


def configs(arms: Sequence[Arm]) -> list[tuple[str, tuple[str, ...]]]:
    """``(dotted field, its value in each arm)`` for every config field; the seeds of an arm share a value."""
    found = _by_arm(arms, lambda run: dict(_flatten(run.config)))
    return [(name, _shown(values, str if name in _PATTERNS else public)) for name, values in found]


def environments(arms: Sequence[Arm]) -> list[tuple[str, tuple[str, ...]]]:
    """``(version or device, its value in each arm)`` of the processes that trained the runs, if recorded."""

    def told(run: Run) -> dict[str, str]:
        names = dict.fromkeys(name for one in run.environments for name in one)
        return {name.replace("_", " "): _joined(one.get(name, "–") for one in run.environments) for name in names}

    return [(name, _shown(values, str)) for name, values in _by_arm(arms, told)]


def fingerprints(arms: Sequence[Arm]) -> list[tuple[str, str, str]]:
    """``(arm, what it is of, value)``; seeds that differ have one value each, in order."""
    found = []
    for arm in arms:
        each = [run.scores.get("fingerprints", {}) for run in arm.runs]
        for name in dict.fromkeys(name for one in each for name in one):
            found.append((arm.name, name, ", ".join(dict.fromkeys(str(one.get(name, "–")) for one in each))))
    return found


def public(value: typing.Any) -> str:
    """A value as the page may show it: only the last part of a path, since reports are shared and paths name people."""
    text = str(value)
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1] if isinstance(value, str) else text


def _flatten(config: dict[str, typing.Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)


def _by_arm(arms: Sequence[Arm], of: Callable[[Run], dict[str, str]]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """For each name, the distinct values in the runs of each arm."""
    told = [[of(run) for run in arm.runs] for arm in arms]
    names = dict.fromkeys(name for runs in told for one in runs for name in one)
    return [(name, [tuple(dict.fromkeys(one.get(name, "–") for one in runs)) for runs in told]) for name in names]


def _shown(values: Sequence[tuple[str, ...]], public: Callable[[str], str]) -> tuple[str, ...]:
    """The values of each arm as the page shows them: alike only where they are the same.

    Different values that would look alike (folders of one name, lists that are cut short) get a number.
    """
    distinct = list(dict.fromkeys(values))
    shown = {own: _joined(map(public, own)) for own in distinct}
    alike = {own for own in distinct if list(shown.values()).count(shown[own]) > 1}
    return tuple(f"{shown[own]} ({distinct.index(own) + 1})" if own in alike else shown[own] for own in values)


def _joined(values: Iterable[typing.Any]) -> str:
    return listed((str(value) for value in values), most=4)
