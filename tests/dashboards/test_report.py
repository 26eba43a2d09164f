import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboards.figures.curves import curves_data
from dashboards.figures.shape import shape_data
from dashboards.report import main, write_report
from dashboards.results import read_results
from lejepa_platform.errors import StudyError

NASTY = "</script><script>alert(1)</script>"
VOID = {"meta", "link", "br", "img", "input"}


class Page(HTMLParser):
    """Tags, what they load, the text of the visible ones; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        (self.scripts if inside == "script" else self.texts).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture
def study(make_trial, write_study) -> Path:
    trials = [
        make_trial(
            name, "digits", lam, seed, val=0.7 - 0.05 * abs(i - 1),
            test=0.6 - 0.04 * abs(i - 1) + 0.01 * seed, loss=1 + 0.1 * i + 0.01 * seed,
        )
        for name in ("resnet10t", NASTY) for seed in (0, 1, 2) for i, lam in enumerate((0.01, 0.05, 0.2))
    ]  # fmt: skip
    trials[0] |= {"outcome": "diverged", "reason": f"loss was nan {NASTY}"}
    trials[-1] |= {"outcome": None}
    return write_study(trials, name=f"pilot {NASTY}", notes=["3 images were skipped"])


def test_the_page_is_whole_escaped_and_loads_nothing(study: Path):
    summary = write_report(study)
    text = (study / "report.html").read_text()
    page = Page(text)
    assert page.loads == ["data:,"]
    assert "default-src 'none'" in text
    assert "alert(1)" not in [script.strip() for script in page.scripts]
    assert text.count("<script>") == 2  # Plotly and ours
    assert f"<title>pilot {html.escape(NASTY)}</title>" in text
    assert summary["verdict"] in page.text
    assert "3 images were skipped" in page.text and "loss was nan" in page.text
    assert json.loads((study / "summary.json").read_text()) == summary
    assert not list(study.glob(".*"))


def test_damaged_files_of_a_trial_cost_its_figures_and_not_the_page(study: Path):
    first, second = sorted((study / "trials").iterdir())[:2]
    (first / "metrics.jsonl").write_text('{"epoch": 1, "train/loss": 2.0}\n{"epo')
    (first / "criteria.npz").write_bytes(b"PK")
    np.savez(second / "criteria.npz", qq_normal=np.zeros(3))
    trials = read_results(study).trials
    assert shape_data(study, trials) == ()
    drawn = {curve.key for panel in curves_data(study, trials) for curve in panel.curves}
    assert drawn == set(trials["key"]) - {first.name}
    write_report(study)


def test_the_page_answers_in_order(study: Path):
    write_report(study)
    text = Page((study / "report.html").read_text()).text
    questions = [
        "trials ended ok", "How does accuracy depend on λ?", "What does a wrong λ cost?",
        "How wide is the window of good λ?", "Does λ change which architecture is best?",
        "Is the loss a proxy for accuracy?", "Can λ be chosen without labels?",
        "What to take where there are no labels?",
        "Which factor matters?", "What did not end ok?", "Notes and cost", "Look yourself", "All 18 trials",
    ]  # fmt: skip
    places = [text.index(question) for question in questions]
    assert places == sorted(places)
    assert "1 trial is not finished" in text


@pytest.mark.parametrize("kind", ["unlabelled", "search", "empty", "pending", "only failures"])
def test_every_kind_of_study_has_a_page(kind: str, make_trial, write_study):
    unlabelled = {"floor": None, "chance": None, "metrics": {"geometry/effective_rank": 3.0}}
    cases = {
        "unlabelled": (
            [make_trial(lam=lam, **unlabelled) for lam in (0.1, 0.2)],
            "What does λ do to the loss?",
        ),
        "search": ([make_trial(lam=lam, val=lam, test=lam) for lam in (0.11, 0.2)], "best λ from search"),
        "empty": ([], "No trial has been started."),
        "pending": ([make_trial(outcome=None)], "No trial has finished yet: 0 of 1."),
        "only failures": ([make_trial(outcome="oom", reason="no memory", chance=None)], "no memory"),
    }
    trials, expected = cases[kind]
    study = write_study(trials, config={"search": "tpe" if kind == "search" else "grid"})
    write_report(study)
    assert expected in Page((study / "report.html").read_text()).text


@pytest.mark.parametrize(
    ("config", "shown", "hidden"),
    [
        ({}, "SIGReg · digits", "watson"),
        ({"regularizer": "watson"}, "watson · digits", "SIGReg"),
        ({"objective": "vicreg"}, "variance + covariance · digits", "SIGReg"),
    ],
)
def test_the_page_names_what_lambda_weighs(config: dict, shown: str, hidden: str, make_trial, write_study):
    trials = [
        make_trial(lam=lam, floor=None, chance=None, metrics={"train/sigreg": 2.0}, config=config) for lam in (0.1, 0.2)
    ]
    study = write_study(trials, config=config)
    write_report(study)
    page = Page((study / "report.html").read_text())
    figures = [script for script in page.scripts if '"data"' in script[:20]]
    titles = [json.loads(figure)["layout"].get("title", {}).get("text", "") for figure in figures]
    assert sum(shown in title for title in titles) == 1
    assert not any(hidden in title for title in titles)


def test_a_second_report_replaces_the_first(study: Path):
    write_report(study)
    (pending,) = [p for p in (study / "trials").iterdir() if not (p / "result.json").exists()]
    shutil.rmtree(pending)
    summary = write_report(study)
    assert "pending" not in summary["counts"]
    assert "not finished." not in Page((study / "report.html").read_text()).text


def test_the_command_prints_the_verdict_or_json_or_one_line(study: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(study)]) == 0
    assert "trials ended ok" in capsys.readouterr().out.splitlines()[0]
    assert main([str(study), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"diverged": 1, "ok": 16, "pending": 1}
    with pytest.raises(StudyError, match="no study"):
        main([str(study / "trials")])


def chromium(page: Path, profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Open a page from disk in a fresh browser that can reach no network service of its own."""
    quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking"
    quiet += " --disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=1"
    logged = "--enable-logging=stderr --v=0 --virtual-time-budget=5000"
    command = ["chromium", "--headless", "--no-sandbox", *quiet.split(), *logged.split()]
    command += [f"--user-data-dir={profile}", *arguments, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


READ_FRAME = """
const page = document.querySelector("iframe").contentDocument;
document.body.textContent = JSON.stringify({
  width: page.documentElement.scrollWidth,
  drawn: page.querySelectorAll(".plot.js-plotly-plot .main-svg").length > 0,
  panels: page.querySelectorAll(".plot.js-plotly-plot").length,
  points: page.querySelectorAll(".scatterlayer .point").length,
  heatmaps: page.querySelectorAll(".heatmaplayer").length,
  bars: [...page.querySelectorAll(".yerror")].filter((bar) => bar.getBBox().height > 0).length,
});
"""


@pytest.mark.chromium
def test_a_phone_draws_every_panel_within_its_width(study: Path, tmp_path: Path):
    write_report(study)
    # Headless windows are never narrower than 500 px, frames are.
    inside = html.escape((study / "report.html").read_text())
    frame = f'<iframe style="width:400px;height:900px;border:0" srcdoc="{inside}"></iframe>'
    outside = tmp_path / "phone.html"
    outside.write_text(f"<body onload='{READ_FRAME}'>{frame}", encoding="utf-8")
    done = chromium(outside, tmp_path / "one", "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    found = json.loads(re.search(r"\{.*\}", done.stdout)[0])
    assert found.pop("points") >= 40  # 17 finished trials in two figures, and 6 means, and more
    # The phone shows as many panels as the page has outside what is folded away; one mean has a diverged seed.
    figures = Page((study / "report.html").read_text())
    unfolded = sum('"data"' in script[:20] for script in figures.scripts) - 3
    assert found == {"width": 400, "drawn": True, "panels": unfolded, "heatmaps": 1, "bars": 5}


@pytest.mark.chromium
@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_screenshots_are_drawn_in_both_schemes(study: Path, tmp_path: Path, scheme: int, dark: bool):
    write_report(study)
    shot = tmp_path / "shot.png"
    setting = f"--blink-settings=preferredColorScheme={scheme}"
    done = chromium(study / "report.html", tmp_path / "two", setting, "--window-size=1280,1600", f"--screenshot={shot}")
    assert "CONSOLE" not in done.stderr, done.stderr
    image = Image.open(shot).convert("RGB")
    assert image.size == (1280, 1600)
    assert (sum(image.getpixel((2, 2))) < 150) == dark
    colours = {colour: n for n, colour in image.getcolors(maxcolors=1 << 24)}
    assert len(colours) > 200
    assert colours.get((0x2F, 0x7F, 0xC1), 0) > 50  # the first line of the first figure


@pytest.mark.parametrize("pretrained", [False, True])
def test_the_floor_of_a_pretrained_study_is_not_called_random(make_trial, write_study, pretrained):
    trials = [
        make_trial("x", "d", lam, seed, val=0.6, test=0.6 + 0.01 * seed, floor=0.4)
        for lam in (0.1, 0.2)
        for seed in (0, 1)
    ]
    folder = write_study(trials, config={"pretrained": True} if pretrained else {})
    summary = write_report(folder)
    page = Page((folder / "report.html").read_text())
    shown = page.text + "".join(script for script in page.scripts if '"data"' in script[:20])
    assert ("beats the backbone before training by" in summary["verdict"]) == pretrained
    assert ("over the backbone before training" in shown) == pretrained
    assert ("the same backbone, before training" in shown) == pretrained
    assert ("x: the backbone before training 40.0%" in shown) == pretrained
    assert ("random init" not in shown and "randomly init" not in shown) == pretrained
