import base64
import hashlib
import html
import html.parser
import json
import re
import shutil
import subprocess
import sys

import pytest

from learner_jax.report.__main__ import main
from learner_jax.report.exports import write_json
from learner_jax.report.page import configs, public, render, write_page
from learner_jax.report.study import read_study
from learner_jax.report.titles import TABLES, interval

PICTURES = (
    *("forest", "psychometric", "distance", "spread", "trajectories", "confusion", "reliability", "agreement"),
    *("scores", "loss", "vitals"),
)
SECTIONS = (
    *("What was asked", "Result", "How to read it", "Figures", "Cohort", "Training and speed"),
    *("Configuration", "Environment"),
)
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Tags must close in order; keeps cells, svg labels, addresses and the words a reader sees."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.cells, self.labels, self.addresses, self.ids, self.words = [], [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.addresses += [attributes[name] for name in ("href", "src", "xlink:href") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "svg":
            assert attributes["role"] == "img"
            self.labels.append(attributes["aria-label"])
        if tag == "span":
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words += data
        if self.open and self.open[-1] == "span":
            self.cells[-1] += data


def written(folder) -> tuple[Page, str]:
    text = write_page(folder / "report", read_study(folder)).read_text()
    return Page(text), text


def rendered(folder) -> tuple[Page, str]:
    """The page without its figures, which take most of the time."""
    text = render(read_study(folder), {})
    return Page(text), text


def test_page_is_well_formed_complete_and_alone(demo):
    page, text = written(demo)
    for title in SECTIONS:
        assert title in page.words
    assert len(page.labels) == len(PICTURES)
    assert all(len(label) > 60 for label in page.labels)
    assert len(page.ids) == len(set(page.ids))
    beside = {path.name for path in (demo / "report").iterdir()}
    pictures = {f"{name}.{kind}" for name in PICTURES for kind in ("png", "svg")}
    numbers = {f"{name}.csv" for name in PICTURES}
    assert beside == {"index.html", "table.csv", "all_scores.csv", "report.json"} | pictures | numbers
    for address in page.addresses:
        assert address in beside or address.startswith(("#", "data:"))
    assert text.count("<script") == 1
    script = text.partition("<script>")[2].partition("</script>")[0]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in text
    assert len(text) < 5e6
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_table_of_the_page_holds_the_numbers_of_the_files(demo):
    page, _ = rendered(demo)
    study, cells = read_study(demo), [cell for cell in page.cells if "[" in cell]
    for title, columns in TABLES.items():
        assert title in page.words
        expected = [interval(run.rows[name]) for run in study.runs for name in columns]
        expected += [interval(rows[name]) for rows in study.runs[0].floors.values() for name in columns]
        assert cells[: len(expected)] == expected
        cells = cells[len(expected) :]
    assert cells == []


def test_what_differs_and_what_is_private(demo):
    page, text = rendered(demo)
    assert "learner_combined" in page.words
    assert "lus_demo" in page.words
    assert "secret" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [("/home/a/b/", "b"), ("runs\\x", "x"), ("../d", "d"), ("mse", "mse"), (0.5, "0.5"), (None, "None"), ("", "")],
)
def test_paths_show_their_last_part(value, shown):
    assert public(value) == shown


def test_names_and_notes_are_text_not_markup(run_at, tmp_path):
    name = '<script>alert(1)<b>-->&$x$" onload="x'
    run = run_at(tmp_path / "runs" / name, objective="<img src=x>", patients=9)
    path = run / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    scores.update(note="<script>note", score_name="<script>score")
    scores["rows"][0].update(value=None, low=None, high=None, note="<script>row")
    scores["notes"]["<script>told"] = "<script>told"
    path.write_text(json.dumps(scores))
    path = run / "eval" / "floors.json"
    path.write_text(path.read_text().replace("all scans are", "<script>floor"))
    page, text = written(tmp_path / "runs")
    assert text.count("<script") == 1
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "<script>note" in page.words
    assert "<script>row" in page.words
    assert "<script>told" in page.words
    assert "<script>floor" in page.words
    assert "x" not in page.addresses


def test_what_could_not_be_computed_is_a_dash_with_its_reason(run_at, tmp_path):
    run_at(tmp_path / "runs" / "one", fine=False)
    path = tmp_path / "runs" / "one" / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    scores["rows"][-1].update(value=None, low=None, high=None, note="undefined: all scores are equal")
    path.write_text(json.dumps(scores))
    page, _ = rendered(tmp_path / "runs")
    assert "no fine pairs: 35 patients, 1 visit each" in page.words
    assert "It says nothing about change within a patient." in page.words
    assert [title in page.words for title in TABLES] == [False, False, True]
    assert "–" in page.cells
    assert "A – under score Spearman ρ is undefined: all scores are equal." in page.words
    assert not re.search(r"\b(nan|null|None)\b", page.words)


def test_seeds_are_one_line_with_the_sd_and_a_sentence_on_it(seeds):
    page, text = rendered(seeds)
    arm = read_study(seeds).arms[0]
    assert f"± {arm.spread['macro_f1']:.2f}" in page.cells
    assert "what another training would change" in page.words
    assert "mean of 3 draws" in page.words
    assert "contrastive-1" not in text.partition('id="reading"')[0]
    assert "What another training seed would change is the number after ±." in " ".join(page.words.split())


def test_page_compares_all_scores_with_the_reference(seeds, averaged, compared):
    arms = {"mse": ["mse-0", "mse-1", "mse-2"], "single": ["single"]}
    compared(seeds, "contrastive", averaged(seeds, [f"contrastive-{at}" for at in range(3)]), arms)
    page, _ = rendered(seeds)
    assert "Compared with contrastive" in page.words
    assert "Holm: p adjusted for the 15 scores that are compared of an arm" in page.words
    comparison = read_study(seeds).comparison
    shown = [one.text for one in (*comparison.shown[0][1], *comparison.shown[1][1])]
    every = [one.text for apart in comparison.differences.values() for one in apart]
    assert [cell for cell in page.cells if re.match(r"[+−]\d.*\[−0.12", cell)] == shown + every
    assert page.words.count("0.0005") == len(shown + every)
    assert page.words.count("± 0.032") > 0


def test_fields_of_seeds_share_a_column(seeds):
    shared = dict(configs(read_study(seeds).arms))
    assert shared["seed"] == ("0, 1, 2", "0, 1, 2", "1")
    assert shared["objective.name"] == ("learner", "mse", "huber")


def test_fields_look_alike_only_where_they_are_the_same(run_at, tmp_path):
    def field(run, **values):
        path = run / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps(config | values))

    for name, source in (("a", "/one/pretrained"), ("b", "/other/pretrained"), ("c", "/one/pretrained")):
        field(run_at(tmp_path / name, fine=False), init_from=source, optim={"freeze": "stem/*"})
    shown = dict(configs(read_study(tmp_path).arms))
    assert shown["init_from"] == ("pretrained (1)", "pretrained (2)", "pretrained (1)")
    assert shown["optim.freeze"] == ("stem/*",) * 3
    assert shown["data.dir"] == ("lus_demo",) * 3
    _, text = rendered(tmp_path)
    assert "The arms have the same configuration" not in text
    assert "/one" not in text


def test_why_readouts_are_missing_is_on_the_page(demo):
    page, _ = rendered(demo)
    assert "the objective 'mse' trained no head 'difference'" in page.words
    assert "No floor “view alone”: all scans are of one view (left)." in page.words


def test_arms_that_cannot_be_compared_are_said_to_be(demo):
    path = demo / "mse" / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    scores.update(change_threshold=5.0, fingerprints={"data": "other", "split": "8f00b204"})
    path.write_text(json.dumps(scores))
    page, _ = rendered(demo)
    assert "The arms differ in change_threshold (combined: 30.0, contrastive: 30.0, mse: 5.0)" in page.words
    assert "The arms were not scored on the same data" in page.words
    assert "same split" not in page.words


def test_arms_with_other_intervals_are_said_to_be(demo):
    path = demo / "mse" / "eval" / "300" / "scores.json"
    scores = json.loads(path.read_text())
    path.write_text(json.dumps(scores | {"config": {"eval": {"confidence": 0.8}}}))
    page, _ = rendered(demo)
    assert "The arms differ in confidence (combined: 0.95, contrastive: 0.95, mse: 0.8)" in page.words


def test_intervals_are_called_what_they_were_made_as(run_at, tmp_path):
    """Scoring anew may ask for another confidence than the run's config has."""
    for name in ("a", "b"):
        path = run_at(tmp_path / name, fine=False) / "eval" / "300" / "scores.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"config": {"eval": {"confidence": 0.9}}}))
    page, _ = rendered(tmp_path)
    assert "value [90 % interval]" in page.words
    assert "comparable" not in page.words
    path.write_text(json.dumps(json.loads(path.read_text()) | {"config": {"eval": {"confidence": 0.5}}}))
    page, _ = rendered(tmp_path)
    assert "The arms differ in confidence (a: 0.9, b: 0.5): their intervals are not comparable." in page.words


def test_a_run_that_is_not_scored_at_its_last_step_is_named(demo):
    for name in ("mse", "contrastive"):
        path = demo / name / "config.json"
        path.write_text(path.read_text().replace('"steps": 300', '"steps": 900'))
    page, _ = rendered(demo)
    assert "Not scored at their last step: contrastive (300 of 900), mse (300 of 900)." in page.words


def test_other_files_in_the_folder_stay(run_at, tmp_path):
    run_at(tmp_path / "one", fine=False)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("mine")
    written(tmp_path)
    written(tmp_path)
    assert (tmp_path / "report" / "mine.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"one", "report"}


def test_command_prints_the_table_and_where_the_page_is(run_at, tmp_path, capsys):
    run_at(tmp_path / "runs" / "mse", fine=False)
    shutil.rmtree(run_at(tmp_path / "runs" / "contrastive", fine=False) / "eval")
    assert main([str(tmp_path / "runs"), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert interval(read_study(tmp_path / "runs").runs[0].rows["score_mae"]) in printed
    assert "contrastive is left out: it has no evaluation yet." in printed
    assert f"report: {tmp_path / 'out' / 'index.html'}" in printed
    assert "contrastive is left out" in (tmp_path / "out" / "index.html").read_text()


def test_many_runs_without_an_evaluation_are_one_sentence(run_at, tmp_path):
    run_at(tmp_path / "scored", fine=False)
    for at in range(30):
        (tmp_path / f"waits-{at:02}").mkdir()
        (tmp_path / f"waits-{at:02}/config.json").write_text("{}")
    told = "waits-00, waits-01, waits-02 and 27 more are left out: they have no evaluation yet."
    assert read_study(tmp_path).notes == (told,)


def test_command_prints_floors_that_are_missing_and_the_comparison(seeds, averaged, compared, capsys, monkeypatch):
    monkeypatch.setattr("learner_jax.report.page.draw", lambda study: {})  # drawing takes 2 s
    compared(seeds, "contrastive", averaged(seeds, ["contrastive-0"]), {"single": ["single"]})
    assert main([str(seeds)]) == 0
    printed = capsys.readouterr().out
    told = " ".join(printed.split())
    assert "No floor “view alone”: all scans are of one view (left). No noise ceiling: the score's" in told
    assert "± is the SD over seeds, what another training would change." in told
    assert "Each arm less contrastive, on the same patients, with its 95 % interval over patients." in told
    assert "mse is not in comparison.json." in told
    assert max(len(line) for line in printed.splitlines() if not line.startswith("report:")) <= 80


def test_command_says_what_is_wrong_in_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} holds no run")
    assert not (tmp_path / "report").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(run_at, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("learner_jax.report.page.draw", lambda study: {})
    run_at(tmp_path / "runs" / "one", fine=False)
    (tmp_path / "file").write_text("mine")
    for place, why in (("file", "File exists"), ("file/below", "Not a directory|File exists")):
        assert main([str(tmp_path / "runs"), "-o", str(tmp_path / place)]) == 2
        said = capsys.readouterr().err
        assert re.fullmatch(
            rf"error: {tmp_path}/{place} cannot be written \(({why})\); name another folder with -o\n", said
        )
    assert (tmp_path / "file").read_text() == "mine"


def test_the_report_needs_no_jax():
    code = "import sys, learner_jax.report.__main__, learner_jax.report.page; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_cohort_speed_and_environment_are_on_the_page(demo):
    _, text = rendered(demo)
    words = " ".join(re.sub("<[^>]+>", " ", text).split())
    assert "ultrasound, 8 frames of 64×64, 1 channel" in words
    assert "fingerprint of the split 8f00b204" in words
    assert "mse finished 300 of 300" in words
    assert "commit 0123456789ab" in words
    assert "holds pictures of patients" not in words


def test_the_same_numbers_are_there_for_programs(demo):
    study = read_study(demo)
    write_json(demo / "report.json", study, {"asked": [("score", "sf_ratio")]}, ["careful"])
    values = json.loads((demo / "report.json").read_text())
    assert values["asked"] == {"score": "sf_ratio"}
    assert values["warnings"] == ["careful"]
    named = {line["name"]: {row["name"]: row["value"] for row in line["rows"]} for line in values["lines"]}
    assert named["mse"] == {name: row.value for name, row in study.arms[2].rows.items()}


def test_scans_of_an_earlier_report_go_when_a_new_one_shows_none(demo, monkeypatch):
    monkeypatch.setattr("learner_jax.report.page.draw", lambda study: {})
    (demo / "report").mkdir()
    for name in ("scans-worst-1.png", "scans-best-4.svg", "scan.txt"):
        (demo / "report" / name).write_text("")
    write_page(demo / "report", read_study(demo))
    beside = {path.name for path in (demo / "report").iterdir()}
    assert beside == {"index.html", "table.csv", "all_scores.csv", "report.json", "scan.txt"}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_finds_all_sections_and_tells_marks_to_pointer_and_keyboard(demo, tmp_path):
    script = """{
    const told = {faults: [], tips: []}, tip = document.getElementById("tip");
    addEventListener("error", (event) => told.faults.push(event.message));
    document.addEventListener("securitypolicyviolation", (event) => told.faults.push(event.violatedDirective));
    told.sections = [...document.querySelectorAll("h2")].map((head) => head.textContent);
    told.wide = document.documentElement.scrollWidth <= innerWidth;
    told.still = tip.hidden;
    const card = document.querySelector("#trajectories .card"), marks = [...card.querySelectorAll(".mark")];
    marks[2].dispatchEvent(new PointerEvent("pointerover", {bubbles: true})); told.tips.push(tip.textContent);
    card.dispatchEvent(new PointerEvent("pointerleave")); told.left = tip.hidden;
    card.focus(); told.focused = document.activeElement === card;
    const press = (key) => card.dispatchEvent(new KeyboardEvent("keydown", {key}));
    for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"]) {
      press(key); told.tips.push(tip.textContent);
    }
    told.lit = card.querySelectorAll(".mark.on").length;
    press("Escape"); told.escaped = tip.hidden;
    told.expected = [2, 0, 1, 0, marks.length - 1].map((at) => marks[at].dataset.told);
    told.clickable = [...document.querySelectorAll(".card")].every((one) => one.tabIndex === 0);
    document.body.innerHTML = ""; document.body.append(JSON.stringify(told));
    }"""
    _, text = written(demo)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = tmp_path / "page.html"
    text = text.replace("script-src ", f"script-src 'sha256-{allowed}' ")
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--window-size=390,800",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in done.stderr
    told = json.loads(html.unescape(re.search(r"<body>(.*)</body>", done.stdout, re.S)[1]))
    assert told["faults"] == []
    assert told["sections"] == list(SECTIONS)
    assert told["tips"] == told["expected"]
    assert (told["still"], told["left"], told["escaped"], told["focused"], told["lit"]) == (True, True, True, True, 1)
    assert told["clickable"]
    assert told["wide"], "a page that scrolls sideways on a phone"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_names_without_a_space_do_not_make_a_page_wide(run_at, averaged, compared, tmp_path):
    names = [f"{'an_arm_with_a_long_name_' * 6}{at}" for at in range(2)]
    for name in names:
        run_at(tmp_path / "runs" / name, fine=False)
    compared(tmp_path / "runs", names[0], averaged(tmp_path / "runs", names[:1]), {names[1]: names[1:]})
    text = render(read_study(tmp_path / "runs"), {}).replace("script-src ", "script-src 'unsafe-inline' ")
    text = re.sub(r"'sha256-[^']+'", "", text)
    script = "<script>document.title = document.documentElement.scrollWidth <= innerWidth</script></body>"
    (tmp_path / "page.html").write_text(text.replace("</body>", script))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,800", "--dump-dom"]
    address = (tmp_path / "page.html").as_uri()
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=120, check=True)
    assert "<title>true</title>" in done.stdout
