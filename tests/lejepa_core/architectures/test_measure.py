"""The tool that writes the measured columns."""

from dataclasses import replace
from pathlib import Path

import pytest

from lejepa_core.architectures.measure import main, measure
from lejepa_core.architectures.measurements import read_measurements, write_measurements


@pytest.mark.parametrize("name", ["resnet10t_w32", "vit_nano_p8", "coatnet_micro"])
def test_measuring_again_gives_the_table_but_for_the_times(name: str) -> None:
    found = measure(name)
    assert found.ms_32 is not None and found.ms_64 is not None
    assert 0 < found.ms_32 < found.ms_64
    wanted = read_measurements()[name]
    assert replace(found, ms_32=None, ms_64=None) == replace(wanted, ms_32=None, ms_64=None)


def test_the_table_survives_being_written(tmp_path: Path) -> None:
    table = tmp_path / "measured.csv"
    write_measurements(read_measurements(), versions=[("timm", "9.9"), ("torch", "9.8")], table=table)
    assert read_measurements(table) == read_measurements()
    assert table.read_text().startswith("# timm 9.9, torch 9.8")


def test_only_what_is_named_is_measured_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    before = read_measurements()
    assert main(["repvgg_m*"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("repvgg_micro parameters=")
    assert read_measurements() == before
