"""`lejepa paper` from the command line, as far as nothing is trained."""

import json
import math
from pathlib import Path

import pytest

from lejepa_platform.cli import main as lejepa
from sweeps.paper.command import main
from sweeps.paper.registry import ITEMS
from sweeps.paper.words import count


def test_list_shows_every_item(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(ITEMS) and len(rows) >= 13
    assert main(["list"]) == 0
    assert "benchmark" in capsys.readouterr().out


@pytest.mark.parametrize("name", ITEMS)
def test_every_item_is_shown_and_planned(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", name]) == 0
    assert ITEMS[name].about in capsys.readouterr().out
    assert main(["plan", name, "--machine", "8xh100"]) == 0
    out = capsys.readouterr().out
    assert "differs from what was published" in out and "memory" in out


def test_a_plan_as_json_has_what_a_person_would_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "table7", "--scale", "cpu", "--machine", "laptop", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["trials"] == 24 and said["wall_seconds"] < 600
    assert said["device_hours"] > 0 and said["memory_bytes"] > 0 and said["disk_bytes"] > 0 and said["mlflow_rows"] > 0
    assert said["changes"] and said["differences"] and said["datasets"] == ["patches"]


def test_a_plan_says_which_images_have_to_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    fetch = {"full": "galaxy10 (lejepa datasets get NAME)", "cpu": "patches"}
    for scale, words in fetch.items():
        assert main(["plan", "table3", "--scale", scale, "--machine", "laptop"]) == 0
        assert f"images   {words}\n" in capsys.readouterr().out


def test_an_item_is_shown_with_all_that_its_number_of_trials_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "figure9"]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    each = [said[name].count(" ") + 1 for name in ("architectures", "learning rates", "weight decays", "seeds")]
    lambdas = said["settings"].count(" ")
    assert math.prod(each) * lambdas == count(ITEMS["figure9"])


@pytest.mark.parametrize("name", [name for name, item in ITEMS.items() if item.make is not None])
def test_every_item_is_planned_in_ten_minutes_at_scale_cpu(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", name, "--scale", "cpu", "--machine", "laptop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["wall_seconds"] <= 600


def test_a_benchmark_is_planned_and_not_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["plan", "table6", "--scale", "cpu", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["item"] == "table6" and said["differences"]
    # 2^24 samples x slices in float32, and as much once more.
    assert 0 < len(said["shapes"]) < len(ITEMS["table6"].published) and said["memory_bytes"] <= 2**24 * 8
    assert main(["run", "table6", "--scale", "cpu", "--dry-run", "--storage", str(tmp_path)]) == 0
    assert "shapes" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_benchmark_goes_to_the_study_that_was_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.paper.benchmark.timed", lambda shape: (float(shape.samples), 0.5))
    named = ["--scale", "cpu", "--study", "mine", "--storage", str(tmp_path)]
    assert main(["run", "table6", *named]) == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["benchmark.json", "paper.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    capsys.readouterr()
    assert main(["compare", "table6", *named, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["changes"][0].startswith("another machine") and "largest are left out" in said["changes"][1]
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "study.json").write_text("{}")
    arguments = ["paper", "run", "table6", "--scale", "cpu", "--study", "studies", "--storage", str(tmp_path)]
    assert lejepa(arguments) == 2 and "'studies' is a study" in capsys.readouterr().err
    assert lejepa(["paper", "compare", "table6", "--scale", "full", *named[2:]]) == 2
    assert "study 'mine' is of paper-table6-cpu, not of table6 at scale full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["paper", "show", "tabel7"], "unknown item 'tabel7'; closest: table7"),
        (["paper", "plan", "table7", "--machine", "abacus"], "unknown machine 'abacus'"),
        (["paper", "plan", "table7", "--machine", "cpu:none"], "a count of at least 1 was wanted"),
        (["paper", "compare", "table7"], "no study 'paper-table7-cpu'; run it: lejepa paper run table7 --scale cpu"),
        (["paper", "compare", "table6"], "nothing was measured of table6"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lejepa(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line
    assert not list(tmp_path.iterdir())
