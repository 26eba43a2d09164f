"""`lejepa archs`."""

import json
import subprocess
import sys

import pytest

from lejepa_platform.cli import main


def archs(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["archs", *arguments]) == 0
    return capsys.readouterr().out


def test_json_holds_every_entry_and_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(archs(capsys, "--json"))
    assert len(rows) >= 120
    assert len({row["family"] for row in rows}) >= 30
    (row,) = (row for row in rows if row["name"] == "resnet18")
    copies = {row["name"]: row["same_as"] for row in rows if row["same_as"]}
    assert copies["levit_conv_128"] == "levit_128"
    assert (row["family"], row["group"]) == ("resnet", "resnet")
    assert row["features"] == 512 and row["multi_crop"] and row["batchnorm"] and row["parameters"] == 11_176_512


def test_patterns_families_and_sizes_choose_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(archs(capsys, "vit*", "--max-params", "20M", "--json"))
    assert rows and all(row["name"].startswith("vit") and row["parameters"] <= 20e6 for row in rows)
    assert {row["family"] for row in json.loads(archs(capsys, "--family", "levit", "--json"))} == {"levit"}
    table = archs(capsys, "levit_128s")
    assert "384" in table and "7.00M" in table and "no" in table


def test_nothing_is_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(archs(capsys, "--json"))
    columns = {name: tuple(repr(row[name]) for row in rows) for name in rows[0]}
    assert len(set(columns.values())) == len(columns)
    opposites = {name: tuple(repr(not row[name]) for row in rows) for name in rows[0]}
    assert not {*columns.values()} & {*opposites.values()}


def test_a_number_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archs", "--max-params", "many"]) == 2
    assert "500k or 20M was wanted" in capsys.readouterr().err


def test_listing_needs_no_torch() -> None:
    code = "import sys; from lejepa_platform.cli import main; main(['archs']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
