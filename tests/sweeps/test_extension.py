"""What --extend makes of a stored study: its own axes and settings, and only what the command adds."""

from pathlib import Path

import pytest

from lejepa_platform.config import StudyConfig
from lejepa_platform.ledger import StudyLedger
from sweeps.lambda_stability import main


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A study that was made and not run: what a killed driver leaves."""
    from sweeps.planning import DataSettings, resolve
    from sweeps.recipes import Recipe, quick

    recipe = Recipe(
        name="quick", architectures=("resnet10t_w32",), datasets=("digits",), lambdas=(0.1,), learning_rates=(5e-3,),
        shared={**quick().shared, "epochs": 1},
    )  # fmt: skip
    plan = resolve(recipe, DataSettings(cache=tmp_path / ".cache", root=None, labelled=True), study="s")
    StudyLedger.at(tmp_path, "s").save(plan.config, sources=plan.sources, planned=plan.config.grid(), notes=["a note"])
    return tmp_path


def lines(stored: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["--storage", str(stored), "--study", "s", "--extend", "--dry-run", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_nothing_named_adds_nothing(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = lines(stored, capsys)
    assert len(out) == 2
    assert "λ=0.1 seed=0 lr=0.005" in out[0]


def test_only_what_is_named_is_added(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = StudyConfig.from_flat(StudyLedger(stored / "s").read()["config"])
    out = lines(stored, capsys, "--lambdas", "0.3", "--datasets", "patches", "--seeds", "2")
    assert len(out) == 2 * 2 * 2 + 1
    assert {trial.key for trial in before.grid()} < {line.split()[0] for line in out}
    assert all("lr=0.005" in line for line in out[:-1])
    assert StudyConfig.from_flat(StudyLedger(stored / "s").read()["config"]) == before


def test_another_architecture_is_added_with_its_own_optimiser(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = StudyConfig.from_flat(StudyLedger(stored / "s").read()["config"])
    out = lines(stored, capsys, "--architectures", "vit_mini_p4")
    assert len(out) == 2 + 1
    assert {trial.key for trial in before.grid()} < {line.split()[0] for line in out}
    (added,) = (line for line in out if "vit_mini_p4 / digits" in line)
    assert "lr=0.005" not in added


def test_variants_are_added_beside_what_the_study_was(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (before,) = StudyConfig.from_flat(StudyLedger(stored / "s").read()["config"]).grid()
    out = lines(stored, capsys, "--vary", "views_global=2,4", "slices=32")
    assert len(out) == 3 + 1
    named = {line.split()[0]: line.split("wd=0.01  ")[1] for line in out[:-1]}
    assert named.pop(before.key) == "views_global=2 slices=256"
    assert set(named.values()) == {"views_global=2 slices=32", "views_global=4 slices=32"}


@pytest.mark.parametrize(
    ("setting", "value"), [("epochs", "2"), ("regularizer", "watson"), ("sampler", "sobol"), ("slices", "32")]
)
def test_another_setting_is_refused_in_one_line_and_nothing_is_written(
    stored: Path, capsys: pytest.CaptureFixture[str], setting: str, value: str
) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in stored.rglob("*")}

    before = files()
    assert main(["--storage", str(stored), "--study", "s", "--extend", f"--{setting}", value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: --extend adds to the axes of a study; 's' has other {setting}"
    assert files() == before
