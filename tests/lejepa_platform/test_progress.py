"""The live table and its plain lines, as a person sees them."""

import io

import pytest
from rich.console import Console
from toys import TRIAL

from lejepa_platform.config import Flat
from lejepa_platform.progress import Progress, duration


def result(outcome: str = "ok", reason: str = "") -> Flat:
    metrics = {"val/linear_top1": 0.5, "test/linear_top1": 0.25} if outcome == "ok" else {}
    return {"key": TRIAL.key, "outcome": outcome, "reason": reason, "config": TRIAL.flat(), "metrics": metrics,
            "seconds": 3.21}  # fmt: skip


def test_table_shows_counts_results_and_what_runs() -> None:
    console = Console(force_terminal=True, width=120, file=io.StringIO(), no_color=True)
    progress = Progress("mine", total=5, finished=[result()], console=console)
    progress.started("other", TRIAL.flat())
    progress.started(TRIAL.key, TRIAL.flat())
    progress.ended(result("oom", "killed"))
    shown = Console(width=120, file=io.StringIO())
    shown.print(progress.render())
    assert isinstance(shown.file, io.StringIO)
    lines = shown.file.getvalue().splitlines()
    assert all(text in lines[0] for text in ("study mine", "2 of 5 done", "1 running", "1 failed", "ETA"))
    assert lines[2].split() == ["architecture", "data", "set", "λ", "seed", "outcome", "val", "test", "seconds"]
    assert lines[3].split() == ["resnet10t_w32", "digits", "0.05", "0", "oom", "–", "–", "3.2"]
    assert "running" in lines[4]


def test_without_a_terminal_each_result_is_one_line() -> None:
    out = io.StringIO()
    with Progress("mine", total=2, finished=[], console=Console(file=out, width=40)) as progress:
        assert progress.eta() == "?"
        progress.ended(result())
        progress.ended(result("error", "a [bold] reason"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "study mine: 0 of 2 trials are finished"
    assert lines[1].startswith("[1/2] resnet10t_w32 / digits  λ=0.05 seed=0  ok  val 50.0 % test 25.0 %  3.2 s")
    assert "error (a [bold] reason)" in lines[2]
    assert len(lines) == 3


def test_a_study_with_variants_names_them() -> None:
    out = io.StringIO()
    with Progress("mine", total=2, finished=[], variant_of=lambda config: f"views={config['views_global']}",
                  console=Console(file=out, width=40)) as progress:  # fmt: skip
        progress.ended(result())
    assert out.getvalue().splitlines()[1].startswith("[1/2] views=2 / resnet10t_w32 / digits  λ=0.05 seed=0  ok")
    progress.started("other", TRIAL.flat())
    shown = Console(width=120, file=io.StringIO())
    shown.print(progress.render())
    assert isinstance(shown.file, io.StringIO)
    head, done, running = (line.split() for line in shown.file.getvalue().splitlines()[2:])
    assert (head[0], done[0], running[0]) == ("variant", "views=2", "views=2")


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_standard_output_is_left_to_results(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("mine", total=2, finished=[]):
        pass
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "0 of 2" in shown.err
