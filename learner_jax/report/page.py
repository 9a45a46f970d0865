"""The report as one self-contained HTML file, with the numbers as CSV and the figures as PNG and SVG beside it."""

import importlib.metadata
import os
import pathlib
import platform
import re
import tempfile
import typing
from collections.abc import Iterator, Sequence

import jinja2
from markupsafe import Markup

from learner_jax.report.figures import draw
from learner_jax.report.runs import Run
from learner_jax.report.table import OTHER, make_table, write_csv

_PACKAGES = ("learner-jax", "jax", "flax", "optax", "numpy", "polars", "matplotlib")


def write_page(folder: str | os.PathLike, runs: Sequence[Run], notes: Sequence[str] = ()) -> pathlib.Path:
    """Write ``index.html``, ``table.csv`` and the figures into ``folder``; other files in it are left alone.

    Args:
      folder: made when missing. Files are built in a folder beside it and moved when all of them are there.
      runs: the arms, in the order of the table.
      notes: sentences to show above the table, such as runs that are left out.

    Returns:
      The path of index.html.
    """
    target = pathlib.Path(folder).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    pictures = draw(runs)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=target.parent) as built:
        for picture in pictures:
            picture.save(pathlib.Path(built))
        write_csv(pathlib.Path(built, "table.csv"), runs)
        pathlib.Path(built, "index.html").write_text(render(runs, pictures, notes), encoding="utf-8")
        target.mkdir(exist_ok=True)
        # The page goes last: whoever sees a new page finds its files beside it.
        for name in sorted(os.listdir(built), key=lambda name: name == "index.html"):
            os.replace(pathlib.Path(built, name), target / name)
    return target / "index.html"


def render(runs: Sequence[Run], pictures: Sequence[typing.Any], notes: Sequence[str] = ()) -> str:
    """The HTML; everything that came from a file is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("learner_jax.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["zip"] = zip
    table = make_table(runs)
    return environment.get_template("page.html.j2").render(
        facts=facts(runs),
        warnings=[*notes, *differences(runs)],
        table=table,
        fine=table.columns[0].name == "pairwise_accuracy",
        other=make_table(runs, {k: v for k, v in OTHER.items() if k not in [c.name for c in table.columns]}),
        confidence=f"{100 * runs[0].config.get('eval', {}).get('confidence', 0.95):g} %",
        pictures=[(picture, Markup(picture.svg())) for picture in pictures],  # matplotlib escapes the text in it
        arms=[run.name for run in runs],
        config_diff=[(name, *values) for name, values in configs(runs) if len(set(values)) > 1],
        config_same=[(name, values[0]) for name, values in configs(runs) if len(set(values)) == 1],
        fingerprints=[
            (run.name, name, str(value)) for run in runs for name, value in run.scores.get("fingerprints", {}).items()
        ],
        versions=[("python", platform.python_version()), *_versions()],
    )


def facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What was asked of the arms, as (what, value)."""
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
    listed = [
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
    return [(what, value) for what, value in listed if value]


def differences(runs: Sequence[Run]) -> list[str]:
    """A sentence for each thing that must be the same in all arms before their numbers may be compared, and is not."""
    found = []
    for name in ("score_name", "change_threshold", "pairs", "order"):
        values = {run.name: run.scores.get(name) for run in runs}
        if len(set(values.values())) > 1:
            found.append(f"The arms differ in {name} ({_listed(values)}): their numbers are not comparable.")
    for name in ("data", "split"):
        values = {run.name: run.scores.get("fingerprints", {}).get(name) for run in runs}
        if len(set(map(str, values.values()))) > 1:
            found.append(f"The arms were not scored on the same {name}: their numbers are not comparable.")
    return found


def configs(runs: Sequence[Run]) -> list[tuple[str, tuple[str, ...]]]:
    """``(dotted field, its value in each arm)`` for every config field of any arm."""
    flat = [dict(_flatten(run.config)) for run in runs]
    return [(name, tuple(one.get(name, "–") for one in flat)) for name in dict.fromkeys(n for one in flat for n in one)]


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


def _listed(values: dict[str, typing.Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())
