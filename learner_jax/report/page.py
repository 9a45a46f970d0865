"""The report as one self-contained HTML file, with the numbers as CSV and the figures as PNG and SVG beside it."""

import importlib.metadata
import os
import pathlib
import platform
import re
import typing
from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from learner_jax.report import comparison
from learner_jax.report.arms import Arm
from learner_jax.report.exports import write_sections, write_table
from learner_jax.report.figures import draw
from learner_jax.report.publish import built_beside, template
from learner_jax.report.study import Study, missing_readouts
from learner_jax.report.table import has_values, make_table, warnings
from learner_jax.report.titles import HEADLINE, TABLES, TITLES, listed

_PACKAGES = ("learner-jax", "jax", "flax", "optax", "numpy", "polars", "matplotlib")


def write_page(folder: str | os.PathLike, study: Study) -> pathlib.Path:
    """Write ``index.html``, both CSV files and the figures into ``folder``; other files in it are left alone.

    Args:
      folder: made when missing. Files are built in a folder beside it and moved when all of them are there.
      study: what the page is about.

    Returns:
      The path of index.html.
    """
    target = pathlib.Path(folder).absolute()
    pictures = draw(study.arms)
    with built_beside(target) as built:
        for picture in pictures:
            picture.save(built)
        write_table(built / "table.csv", study)
        write_sections(built / "all_scores.csv", study)
        (built / "index.html").write_text(render(study, pictures), encoding="utf-8")
    return target / "index.html"


def render(study: Study, pictures: Sequence[typing.Any]) -> str:
    """The HTML; everything that came from a file is escaped."""
    arms, fields = study.arms, configs(study.arms)
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
        pictures=[(picture, Markup(picture.svg())) for picture in pictures],  # matplotlib escapes the text in it
        arms=[arm.name for arm in arms],
        config_diff=[(name, *values) for name, values in fields if len(set(values)) > 1],
        config_same=[(name, values[0]) for name, values in fields if len(set(values)) == 1],
        fingerprints=fingerprints(arms),
        versions=[("python", platform.python_version()), *_versions()],
    )


def confidence(study: Study) -> str:
    """``95 %``, of all intervals."""
    return f"{100 * study.runs[0].config.get('eval', {}).get('confidence', 0.95):g} %"


def facts(arms: Sequence[Arm]) -> list[tuple[str, str]]:
    """What was asked of the arms, as (what, value)."""
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
    """A sentence for each thing that must be the same in all arms before their numbers may be compared, and is not."""
    found = []
    for name in ("score_name", "change_threshold", "pairs", "order"):
        values = {arm.name: _joined(run.scores.get(name) for run in arm.runs) for arm in arms}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{arm}: {value}" for arm, value in values.items())
            found.append(f"The arms differ in {name} ({told}): their numbers are not comparable.")
    for name in ("data", "split"):
        if len({str(run.scores.get("fingerprints", {}).get(name)) for arm in arms for run in arm.runs}) > 1:
            found.append(f"The arms were not scored on the same {name}: their numbers are not comparable.")
    return found


def configs(arms: Sequence[Arm]) -> list[tuple[str, tuple[str, ...]]]:
    """``(dotted field, its value in each arm)`` for every config field of any arm; seeds of an arm share a value."""
    flat = [[dict(_flatten(run.config)) for run in arm.runs] for arm in arms]
    names = dict.fromkeys(name for runs in flat for one in runs for name in one)
    return [(name, tuple(_joined(one.get(name, "–") for one in runs) for runs in flat)) for name in names]


def fingerprints(arms: Sequence[Arm]) -> list[tuple[str, str, str]]:
    """``(arm, what it is of, value)``; seeds that differ have one value each, in their order."""
    found = []
    for arm in arms:
        each = [run.scores.get("fingerprints", {}) for run in arm.runs]
        for name in dict.fromkeys(name for one in each for name in one):
            found.append((arm.name, name, ", ".join(dict.fromkeys(str(one.get(name, "–")) for one in each))))
    return found


def public(value: typing.Any) -> str:
    """A value as the page may show it: of a path its last part, since reports are passed on and paths name people."""
    text = str(value)
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1] if isinstance(value, str) else text


def _flatten(config: dict[str, typing.Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, public(value)


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue


def _joined(values: Iterable[typing.Any]) -> str:
    return listed((str(value) for value in values), most=4)
