"""Architectures of a study: by pattern, with views of one size, with weights of the hub."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from toys import write_folder

from lejepa_core.architectures import ARCHITECTURES, select_architectures
from sweeps.lambda_stability import main
from sweeps.planning import DataSettings, Plan, resolve
from sweeps.recipes import Recipe

ROOT = Path(__file__).parents[2]
LEVITS = select_architectures(["levit*"], 32)


def plan(folder: Path, *architectures: str, **shared: int) -> Plan:
    images = write_folder(folder / "images")
    recipe = Recipe(
        name="quick", architectures=architectures, datasets=(f"folder:{images}",), lambdas=(0.1,),
        shared={"epochs": 1, "batch_size": 16, "image_size": 32, "views_global": 2, "views_local": 2, **shared},
    )  # fmt: skip
    return resolve(recipe, DataSettings(cache=folder / "cache", root=None, labelled=True), study=None)


def test_the_report_names_those_whose_local_views_are_as_large_as_global_ones(tmp_path: Path) -> None:
    (note,) = plan(tmp_path, "resnet10t_w32", "levit_128s", "coatnet_micro").notes
    assert note.endswith(": levit_128s, coatnet_micro") and "32 px" in note


def test_a_family_is_what_the_registry_calls_one(tmp_path: Path) -> None:
    found = plan(tmp_path, "levit_128s", "vit_nano_p8").config
    assert found.families == {name: ARCHITECTURES[name].family for name in found.architectures}
    assert {trial.family for trial in found.grid()} == {"levit", "vision_transformer"}


def test_without_local_views_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert plan(tmp_path, "levit_128s", views_local=0).notes == []


def test_a_pattern_is_a_study_of_all_that_match(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dry-run", "--storage", str(tmp_path / "studies"), "--datasets", "digits", "--lambdas", "0.1",
                 "--seeds", "1", "--image-size", "32", "--architectures", "levit*", "resnet10t_w32"]  # fmt: skip
    assert main(arguments) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 + 1 + len(LEVITS)


def test_weights_that_cannot_be_had_stop_a_study_before_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--pretrained", "--architectures", "resnet10t_w32", "--datasets", "digits", "--storage", str(tmp_path)]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: --pretrained came") and "has no weights on the hub" in line
    assert [path.name for path in tmp_path.iterdir()] == [".cache"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_64_architectures_are_trained_and_reported(tmp_path: Path) -> None:
    make = ["make", "--dry-run", "study-architectures", f"ARGS=--storage {tmp_path / 'studies'}"]
    recipe = subprocess.run(make, capture_output=True, text=True, cwd=ROOT, check=True).stdout.replace("\\\n", "")
    _, *command = shlex.split(recipe.splitlines()[-1])
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, timeout=1700)
    assert done.returncode == 0, done.stderr
    (study,) = tmp_path.glob("studies/*/study.json")
    results = [json.loads(path.read_text()) for path in study.parent.glob("trials/*/result.json")]
    assert len({result["config"]["architecture"] for result in results}) == 64
    assert {result["outcome"] for result in results} == {"ok"}, [r["reason"] for r in results if r["reason"]]
    assert len(list(tmp_path.rglob("report.html"))) == 1
