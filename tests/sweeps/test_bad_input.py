"""Whatever is wrong with a command: exit code 2, one clear line, and no study left behind."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import STUDY, write_folder

from lejepa_platform.ledger import StudyLedger
from sweeps.lambda_stability import main

Run = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; returns its one line."""

    def run(*arguments: str, storage: Path | None = None) -> str:
        storage = storage or tmp_path / "studies"
        code = main(["--architectures", "resnet10t_w32", "--datasets", "digits", "--lambdas", "0.1", "--seeds", "1",
                     "--epochs", "1", "--storage", str(storage), *arguments])  # fmt: skip
        lines = capsys.readouterr().err.strip().splitlines()
        assert code == 2
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert not storage.is_dir() or [path.name for path in storage.iterdir()] in ([], [".cache"])
        return lines[0]

    return run


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--architectures", "resnet81"], "unknown architecture 'resnet81'; closest: resnet18"),
        (["--datasets", "digitz"], "closest: digits"),
        (["--lambdas", "0"], "strictly between 0 and 1"),
        (["--lambdas", "1.5"], "λ = 1.5 came"),
        (["--lambdas", "nan"], "λ = nan came"),
        (["--lambdas", "0.1", "0.1"], "twice"),
        (["--epochs", "0"], "epochs = 0 came, at least 1 was wanted"),
        (["--seeds", "0"], "--seeds 0 came"),
        (["--learning-rates", "-1"], "learning-rate = -1.0 came"),
        (["--image-size", "7"], "choose another --image-size"),
        (["--limit-train", "1"], "limit-train = 1 came"),
        (["--batch-size", "100000"], "--batch-size 100000 is larger than the"),
        (["--views-global", "1"], "one view has nothing to predict"),
        (["--study", "../x"], "not a path"),
        (["--workers-per-trial", "0"], "workers = 0 came"),
        (["--micro-batch", "0"], "micro batch = 0 came"),
        (["--micro-batch", "8"], "--micro-batch came with resnet10t_w32, whose BatchNorm"),
        (["--architectures", "vit_nano_p8", "resnet10t_w32", "--micro-batch", "8"], "came with resnet10t_w32"),
        (["--architectures", "timm:resnet10t", "--micro-batch", "8"], "came with timm:resnet10t"),
        (["--workers-per-trial", "2", "--executor", "inline"], "use ray_train"),
        (["--trial-timeout", "5", "--executor", "ray_train"], "leave out --trial-timeout"),
        (["--gpus-per-worker", "-1"], "gpus per worker = -1 came"),
        (["--learning-rates", "1e-3", "1e-3"], "hold a value twice"),
        (
            ["--register-tokens", "2"],
            "--register-tokens 2 came with resnet10t_w32, which takes none; closest that do: ",
        ),
        (["--objective", "simclr", "--regularizer", "watson"], "--regularizer watson came with --objective simclr"),
        (["--predictor-depth", "-1"], "predictor-depth = -1 came"),
        (["--weight-average", "1"], "weight-average = 1.0 came"),
        (["--extend"], "--study NAME"),
        (["--workers-per-trial", "4096"], "needs 4096 workers of 1 CPU and 0 GPUs each"),
        (["--extend", "--study", "none"], "no study"),
        (["--tracking-uri", "nonsense://x"], "nonsense"),
        (["--datasets", "cifar10", "--data-root", "nowhere"], "lejepa datasets get cifar10"),
        (["--vary", "views_global"], "such as views_global=2,4,8"),
        (["--vary", "slice=1,2"], "unknown setting 'slice'; closest: slices"),
        (["--vary", "slices=16,16"], "--vary slices=16,16 holds a value twice"),
        (["--vary", "slices=16", "slices=32"], "--vary names a setting twice"),
        (["--vary", "slices=few"], "slices = few came, a whole number was wanted"),
        (["--vary", "slices=0,16"], "slices = 0 came, at least 1 was wanted"),
        (["--vary", "image_size=16,32"], "differ in image_size, which all trials of a study share"),
        (["--vary", "batch_size=64,100000"], "--batch-size 100000 is larger than the"),
        (["--vary", "slices=16,32", "--search", "qmc"], "variants came with a search"),
        (["--evaluate-on", "digits"], "the study pretrains on that alone"),
        (["--evaluate-on", "patchez"], "unknown dataset 'patchez'; closest: patches"),
        (["--evaluate-on", "patches", "patches"], "--evaluate-on holds a data set twice"),
        (["--datasets", "imagenette", "imagenet10"], "imagenette and imagenet10 are the same images; leave out one"),
        (["--evaluate-on", "imagenette", "imagenet10"], "imagenette and imagenet10 are the same images"),
        (["--evaluate-on", "cifar10", "--data-root", "nowhere"], "lejepa datasets get cifar10"),
    ],
)
def test_settings(refused: Run, arguments: list[str], line: str) -> None:
    assert line in refused(*arguments)


def test_folders(refused: Run, tmp_path: Path) -> None:
    assert "does not exist" in refused("--datasets", f"folder:{tmp_path / 'missing'}")
    (tmp_path / "empty").mkdir()
    assert "no image" in refused("--datasets", f"folder:{tmp_path / 'empty'}")
    one = write_folder(tmp_path / "one", classes=1)
    assert "--unlabelled" in refused("--datasets", f"folder:{one}")
    assert "does not exist" in refused("--evaluate-on", f"folder:{tmp_path / 'missing'}")


def test_a_copy_of_the_only_pretraining_set_is_nothing_to_evaluate_on(refused: Run, tmp_path: Path) -> None:
    one, copy = (f"folder:{write_folder(tmp_path / name / 'stripes', per_class=20)}" for name in ("one", "copy"))
    arguments = ["--datasets", one, "--batch-size", "16", "--evaluate-on", copy]
    assert "the study pretrains on that alone" in refused(*arguments)


def test_two_folders_of_one_name_are_not_told_apart(refused: Run, tmp_path: Path) -> None:
    folders = [write_folder(tmp_path / str(n) / "stripes", per_class=n) for n in (20, 21)]
    assert "rename one" in refused("--evaluate-on", *(f"folder:{folder}" for folder in folders))


def test_unwritable_storage(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "choose another with --storage" in refused(storage=tmp_path / "file" / "studies")


def test_unreachable_tracker_within_ten_seconds(refused: Run) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        line = refused("--tracking-uri", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - start < 12
    assert "127.0.0.1" in line


def test_a_name_that_stands_for_another_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--datasets", "digits", "--storage", str(tmp_path), "--study", "mine"]
    StudyLedger.at(tmp_path, "mine").save(STUDY, sources={}, planned=[])
    before = (tmp_path / "mine" / "study.json").read_bytes()
    assert main(arguments) == 2
    assert "exists with other" in (line := capsys.readouterr().err) and "--extend" in line
    assert (tmp_path / "mine" / "study.json").read_bytes() == before


def test_a_dry_run_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--storage", str(tmp_path / "studies"), "--lambdas", "0.1", "0.2", "--seeds", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3 * 2 * 2 + 1
    assert "12 trials, about" in out[-1] and "disk" in out[-1]
    assert not (tmp_path / "studies").exists()


def test_a_dry_run_tells_what_evaluation_elsewhere_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dry-run", "--storage", str(tmp_path), "--datasets", "patches", "--limit-train", "100",
                 "--evaluate-on", "digits", "--lambdas", "0.1", "--seeds", "1"]  # fmt: skip
    assert main(arguments) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert "3 trials" in line and "of them to evaluate on digits" in line
