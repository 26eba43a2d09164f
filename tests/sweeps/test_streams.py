"""A study keeps to the form of its images, streamed or decoded, whatever later commands leave out."""

from dataclasses import replace
from pathlib import Path

import pytest
from hub_sets import publish, rows
from toys import write_folder

from lejepa_core.datasets import download_dataset
from lejepa_core.settings import Stream
from lejepa_platform.ledger import StudyLedger
from sweeps.lambda_stability import main
from sweeps.planning import DataSettings, check_recipe, name_of, resolve
from sweeps.recipes import Recipe, quick

KEPT = ["--architectures", "resnet10t_w32", "--lambdas", "0.05", "--seeds", "1", "--epochs", "2", "--batch-size", "16",
        "--image-size", "16"]  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "stripes", per_class=20)


def stored(storage: Path, images: Path | str, stream: Stream, study: str | None = None) -> str:
    """A study that was made and not run, by the command of `KEPT`; returns its name."""
    source = images if isinstance(images, str) else f"folder:{images}"
    recipe = Recipe(
        name="quick", architectures=("resnet10t_w32",), datasets=(source,), lambdas=(0.05,), seeds=(0,),
        trials=quick().trials,
        shared={**quick().shared, "epochs": 2, "batch_size": 16, "image_size": 16, "limit_train": None},
    )  # fmt: skip
    data = DataSettings(cache=storage / ".cache", root=None, labelled=True, stream=stream, workers=0)
    check_recipe(recipe, data)
    plan = resolve(recipe, data, study=study)
    name = study or name_of(recipe, quick(), plan.config)
    config = replace(plan.config, name=name)
    StudyLedger.at(storage, name).save(config, sources=plan.sources, planned=config.grid(), streams=plan.streams)
    return name


def planned(storage: Path, images: Path, *arguments: str) -> int:
    given = [*KEPT, "--datasets", f"folder:{images}", *arguments]
    return main([*given, "--storage", str(storage), "--dry-run"])


@pytest.mark.parametrize("stream", ["always", "never"])
@pytest.mark.parametrize("study", ["s", None])
def test_a_command_that_does_not_say_keeps_to_what_the_study_did(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str], stream: Stream, study: str | None
) -> None:
    name = stored(tmp_path / "studies", images, stream, study)
    keys = StudyLedger.at(tmp_path / "studies", name).read()["planned"]
    assert planned(tmp_path / "studies", images, *(["--study", study] if study else [])) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[:-1]] == keys
    assert out[-1].startswith(f"study {name}: ")


def test_without_a_study_the_images_decide(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    always = stored(tmp_path / "elsewhere", images, "always")
    never = stored(tmp_path / "other", images, "never")
    assert always != never
    assert planned(tmp_path / "studies", images) == 0
    assert f"study {never}: " in capsys.readouterr().out


@pytest.mark.parametrize(("held", "given"), [("always", "never"), ("never", "always")])
@pytest.mark.parametrize("arguments", [["--study", "s"], ["--study", "s", "--extend"], []])
def test_a_contrary_flag_is_one_line(
    tmp_path: Path,
    images: Path,
    capsys: pytest.CaptureFixture[str],
    held: Stream,
    given: Stream,
    arguments: list[str],
) -> None:
    stored(tmp_path / "studies", images, held, "s" if arguments else None)
    assert planned(tmp_path / "studies", images, "--stream", given, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"error: --stream {given} came, and the study has folder:stripes with --stream {held}; leave --stream out, or "
        "name another study with --study"
    )


def test_a_set_that_cannot_be_streamed_contradicts_no_flag(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = tmp_path / "studies"
    stored(storage, "digits", "auto", "s")
    assert StudyLedger.at(storage, "s").read()["streams"] == {"digits": "never"}
    assert planned(storage, images, "--study", "s", "--extend", "--stream", "always") == 0
    assert "folder:stripes" in capsys.readouterr().out


@pytest.mark.slow
def test_streamed_folders_and_sets_of_the_hub_are_trained_on_and_evaluated_on(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf_cache")
    storage, root = tmp_path / "studies", tmp_path / "root"
    hub = publish(tmp_path / "pets", {"train": rows(40, 0), "validation": rows(9, 1), "test": rows(9, 2)})
    download_dataset(hub, root)
    other = f"folder:{write_folder(tmp_path / 'few', per_class=20, classes=2)}"
    run = [*KEPT, "--storage", str(storage), "--study", "s", "--data-root", str(root), "--data-workers", "2",
           "--datasets", f"folder:{images}", hub]  # fmt: skip
    assert main([*run, "--stream", "always", "--evaluate-on", other]) == 0
    ledger = StudyLedger.at(storage, "s")
    names = ["folder:stripes", "hf:pets", "folder:few"]
    assert ledger.read()["streams"] == dict.fromkeys(names, "always")
    cached = {path.name for path in (storage / ".cache").iterdir() if path.is_dir()} - {"mlflow"}
    assert all("streamed" in name for name in cached)
    results = [trial.result() for trial in ledger.trials()]
    assert sorted((r["config"]["dataset"], r["outcome"]) for r in results if r) == [
        (n, "ok") for n in sorted(names[:2])
    ]
    assert [trial.transfer()["folder:few"]["outcome"] for trial in ledger.trials()] == ["ok", "ok"]

    before = {path: path.stat().st_mtime_ns for path in ledger.path.glob("trials/*/*")}
    assert main(run) == 0
    assert {path: path.stat().st_mtime_ns for path in ledger.path.glob("trials/*/*")} == before
