"""docs/claim.md tells of the claim what its board says, and the sweep file has what the page tells of."""

import re
from pathlib import Path

from learner_jax.sweep.plan import load

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
INTERVAL = re.compile(r"[+−]?\d+\.\d+ \[[+−]?\d+\.\d+, [+−]?\d+\.\d+\]")


def test_every_number_with_an_interval_is_the_boards():
    page, board = (DOCS / name for name in ("claim.md", "claim/board.md"))
    told, known = (set(INTERVAL.findall(" ".join(path.read_text().split()))) for path in (page, board))
    assert len(told) > 20
    assert told <= known


def test_every_picture_is_there():
    names = re.findall(r"\]\((claim/[^)]+)\)", (DOCS / "claim.md").read_text())
    assert names
    for name in names:
        assert (DOCS / name).is_file(), name


def test_the_sweep_has_the_arms_seeds_and_settings_that_were_asked_for():
    studies = {study.name: study for study in load(ROOT / "configs/sweeps/claim.py").studies}
    asked = {"mse", "contrast", "contrast unweighted", "combined", "rank_n_contrast"}
    asked |= {"y_aware", "supcon", "adacon", "simclr", "contrast in a plane", "combined in a plane"}
    for part in ("lung", "brain"):
        assert set(studies[f"{part} one visit"].arms) == asked
        assert set(studies[f"{part} all visits"].arms) == asked | {"lilac"}
    assert len(studies["growth"].settings) == 16
    assert len(studies["growth"].seeds) >= 10
    assert len(studies["backbones"].arms) == 16
