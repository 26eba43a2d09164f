"""`lejepa recommend` around the training: what it names a study, how it goes on, what it says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toys import write_folder

from lejepa_platform.config import StudyConfig
from lejepa_platform.execution import Execution
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.placement import resources_here
from sweeps import recommend
from sweeps.pacing import CROWDED, Cost

Recommend = Callable[..., int]
CHOSEN = {"choice": {"lambda": 0.05}}


@pytest.fixture
def ran() -> list[tuple[StudyConfig, Execution]]:
    return []


@pytest.fixture
def advice() -> list[dict[str, Any]]:
    return [CHOSEN]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ran: list[tuple[StudyConfig, Execution]],
    advice: list[dict[str, Any]],
) -> Recommend:
    """The command with studies that train nothing."""

    def run_study(config: StudyConfig, execution: Execution, *, notes: list[str]) -> StudyLedger:
        ran.append((config, execution))
        ledger = StudyLedger.at(execution.storage, config.name)
        ledger.path.mkdir(parents=True, exist_ok=True)
        ledger.save(config, sources=execution.sources, planned=[], streams=execution.streams)
        return ledger

    monkeypatch.setattr(recommend, "run_study", run_study)
    monkeypatch.setattr(recommend, "write_report", lambda *given: {"advice": advice})
    monkeypatch.setattr(recommend, "check_tracking", lambda uri: None)
    monkeypatch.setattr(recommend, "measure_cost", lambda *given: Cost(step=0.01, fixed=1.0))
    write_folder(tmp_path / "photos")
    common = ("--data", f"folder:{tmp_path / 'photos'}", "--batch-size", "16", "--architectures", "resnet10t_w32")
    return lambda *more: recommend.main([*common, "--storage", str(tmp_path / "studies"), "--json", *more])


def test_the_same_images_go_on_and_others_begin_another_study(
    run: Recommend, ran: list[tuple[StudyConfig, Execution]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run() == run() == 0
    Image.new("RGB", (24, 24)).save(tmp_path / "photos" / "stripes_0" / "new.png")
    assert run() == 0
    monkeypatch.setattr(recommend, "METHOD_VERSION", 99)
    assert run() == 0
    names = [config.name for config, _ in ran]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_the_study_runs_as_it_was_planned(
    run: Recommend, ran: list[tuple[StudyConfig, Execution]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    ((config, execution),) = ran
    # Of 90 images 63 train, which is three batches of 16.
    seconds = CROWDED * (1.0 + 0.01 * 3 * config.shared["epochs"])
    assert execution.expected_seconds == {"resnet10t_w32": pytest.approx(seconds)}
    assert execution.max_concurrent == resources_here()["CPU"]
    assert execution.streams == {"folder:photos": "never"}
    assert json.loads(capsys.readouterr().out) == CHOSEN


def test_a_study_keeps_to_the_form_of_its_images(
    run: Recommend, ran: list[tuple[StudyConfig, Execution]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lejepa_core.datasets.streaming.LIMIT", 1)
        assert run() == 0
    assert run() == 0
    (first, streamed), (second, again) = ran
    assert streamed.streams == again.streams == {"folder:photos": "always"}
    assert first == second


def test_without_any_usable_trial_one_line_says_so(
    run: Recommend, advice: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    advice.clear()
    assert run() == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = [text for text in shown.err.splitlines() if text.startswith("error: ")]
    assert "no trial came to a usable end" in line and "report.html" in line
