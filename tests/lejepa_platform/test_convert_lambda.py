"""`lejepa convert-lambda`, in a process of its own."""

import json
import subprocess
import sys

import pytest


def lejepa(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lejepa_platform.cli", "convert-lambda", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_lambda_comes_with_what_was_assumed_and_what_is_left_out() -> None:
    done = lejepa("--from", "eb_jepa", "--value", "10", "--batch-size", "256")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == "λ = 10 of eb_jepa is λ = 0.009671 of ours"
    assert lines[1] == "for: batch 256, 2 global + 6 local views, 1 rank"
    assert "4.039 times those of ours" in lines[3]
    assert any("two views to each other" in line for line in lines if line.startswith("- "))


def test_ours_becomes_anothers() -> None:
    done = lejepa("--from", "ours", "--value", "0.5", "--to", "stable-pretraining", "--batch-size", "64",
                  "--views-local", "0", "--world-size", "4")  # fmt: skip
    assert done.stdout.splitlines()[0] == "λ = 0.5 of ours is λ = 2 of stable-pretraining"
    assert "2 global + 0 local views, 4 ranks" in done.stdout
    assert "Ray Train" in done.stdout


def test_json_holds_the_same_and_no_infinity() -> None:
    (row,) = json.loads(
        lejepa("--from", "lightly", "--value", "1", "--batch-size", "64", "--json").stdout,
        parse_constant=pytest.fail,
    )
    assert row == {"value": 1.0, "factor": 1.0, "effective_weight": None, "notes": []}


def test_a_sum_over_dims_takes_the_width() -> None:
    arguments = ("--from", "paper-equation", "--value", "0.5", "--batch-size", "64", "--projection-dim", "64", "--json")
    (row,) = json.loads(lejepa(*arguments).stdout)
    assert row["value"] == pytest.approx(1 / 65)


def test_the_table_names_every_convention() -> None:
    done = lejepa("--list")
    names = [line.split()[0] for line in done.stdout.splitlines() if line[:1].strip()]
    assert names == ["name", "ours", "paper", "paper-equation", "lejepa", "lejepa-before-2025-12-08", "minimal",
                     "lightly", "stable-pretraining", "eb_jepa", "lite_ssl"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--from", "eb-jepa", "--value", "1", "--batch-size", "64"], "unknown convention 'eb-jepa'; closest: eb_jepa"),
        (["--from", "lightly", "--to", "lejeppa", "--value", "0", "--batch-size", "64"], "closest: lejepa"),
        (["--from", "lightly", "--value", "0.1"], "came without --batch-size; say it as in: lejepa convert-lambda"),
        ([], "came without --from, --value, --batch-size"),
        (["--from", "lightly", "--value", "1.5", "--batch-size", "64"], "λ = 1.5 came, a number in [0, 1] was wanted"),
        (["--from", "lightly", "--value", "0.1", "--batch-size", "0"], "batch-size = 0 came, at least 2 was wanted"),
        (["--from", "ours", "--to", "eb_jepa", "--value", "1", "--batch-size", "64"], "give less than 1"),
        (["--from", "paper-equation", "--value", "0.1", "--batch-size", "64"], "projection-dim is missing"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(arguments, line) -> None:
    done = lejepa(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
