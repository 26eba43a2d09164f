"""The cost model against trials that were measured, and its parts against other ways to know them."""

import csv
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from toys import STUDY

from lejepa_core.architectures import find_architecture
from lejepa_core.architectures.build import build_backbone
from lejepa_core.errors import LejepaError
from lejepa_core.settings import PretrainSettings
from sweeps.costs import PRIOR, CostModel, Measured, calibrate, load, median_error, memory_bytes, save
from sweeps.estimate import BETWEEN_SECONDS, STARTUP_SECONDS, Batch, batches_of, cost
from sweeps.flops import forward_flops
from sweeps.machines import MACHINES, find_machine
from sweeps.workload import Images, Workload, milliseconds

TABLE = Path(__file__).parent / "paper" / "measured_trials.csv"


def measured() -> list[Measured]:
    """Trials of a real study, three data sets and six architectures, one on each of two cores."""
    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    settings = ("epochs", "batch_size", "image_size", "local_size", "views_global", "views_local", "slices",
                "projector_dim")  # fmt: skip
    return [
        Measured(
            work=Workload(
                settings=PretrainSettings(
                    architecture=row["architecture"], lambda_=0.05, learning_rate=1e-3, weight_decay=0.0,
                    **{name: int(row[name]) for name in settings},
                ),
                images=Images(train=int(row["train"]), test=int(row["test"]), classes=int(row["classes"])),
            ),
            seconds=float(row["seconds"]),
        )
        for row in rows
    ]  # fmt: skip


def work(**changes: int) -> Workload:
    settings = PretrainSettings(
        architecture="resnet10t_w32", lambda_=0.05, learning_rate=1e-3, weight_decay=0.0, epochs=10, batch_size=50,
        image_size=32, local_size=16, views_global=2, views_local=2, slices=256, projector_dim=32,
    )  # fmt: skip
    return Workload(settings=replace(settings, **changes), images=Images(train=1000, test=200, classes=10))


@pytest.mark.parametrize("seed", range(5))
def test_twenty_trials_that_were_held_back_are_predicted_within_30_percent(seed: int) -> None:
    trials = measured()
    random.Random(seed).shuffle(trials)
    held, rest = trials[:20], trials[20:]
    assert len(rest) > 60
    assert median_error(calibrate(rest), held) <= 0.3


def test_architectures_that_were_not_measured_are_mostly_predicted_too() -> None:
    trials = measured()
    errors = []
    for name in {t.work.settings.architecture for t in trials}:
        own = [t for t in trials if t.work.settings.architecture == name]
        errors.append(median_error(calibrate([t for t in trials if t not in own]), own))
    assert statistics.median(errors) <= 0.3


def test_what_a_model_says_is_learned_from_what_it_said() -> None:
    truth = CostModel(weights={**CostModel().weights, "backbone": 1.4, "constant": 5.0, "sigreg": 0.9})
    rng = random.Random(0)
    works = [
        work(epochs=rng.randint(1, 40), image_size=rng.choice([16, 32, 64]), slices=rng.choice([64, 512, 4096]),
             views_global=rng.randint(2, 8))
        for _ in range(60)
    ]  # fmt: skip
    trials = [Measured(work=one, seconds=truth.seconds(one)) for one in works]
    assert median_error(CostModel(), trials[:20]) > 0.2
    assert median_error(calibrate(trials[20:]), trials[:20]) < 0.05


def test_twice_the_epochs_take_twice_the_training() -> None:
    once, twice = work(epochs=10), work(epochs=20)
    assert twice.core_seconds == pytest.approx(2 * once.core_seconds)
    assert twice.exponentials == pytest.approx(2 * once.exponentials)
    assert twice.evaluation_core_seconds == once.evaluation_core_seconds


def test_fine_tuning_costs_its_epochs_of_training() -> None:
    plain = work()
    tuned = replace(plain, protocols=("finetune",))
    # 400 steps of 64 of 1000 images are 27 epochs; of 50,000 images 5, which is the least.
    assert tuned.classified == 27 * 1000
    large = replace(plain.images, train=50_000)
    assert replace(tuned, images=large).classified == 5 * 50_000
    assert replace(tuned, images=replace(large, per_class=20)).classified == 50 * 200
    step = milliseconds("resnet10t_w32", 32) / 1000
    views = 27_000 * 32**2 / 1e6
    assert CostModel().seconds(tuned) - CostModel().seconds(plain) == pytest.approx(
        PRIOR["backbone"] * 27_000 * step + PRIOR["views"] * views
    )
    gpu = MACHINES["a100"]
    assert CostModel().seconds(tuned, gpu) - CostModel().seconds(plain, gpu) == pytest.approx(
        27_000 * 3 * forward_flops("resnet10t_w32", 32) / (gpu.flops["*"] / 2) + gpu.megapixel * views
    )


def test_the_supervised_reference_costs_as_many_epochs_as_pretraining_once_for_all_that_share_it() -> None:
    alone = replace(work(epochs=30), protocols=("supervised",))
    assert alone.classified == 30 * 1000
    assert replace(alone, sharing=6).classified == 5 * 1000
    config = replace(STUDY, protocols=("supervised",), evaluate_on={})
    images = Images(train=640, test=100, classes=10)
    every = list(batches_of(config, dict.fromkeys(config.datasets, images)))
    once = len(list(config.cells())) * len(config.seeds) * STUDY.shared["epochs"] * 640
    assert sum(batch.trials * batch.work.classified for batch in every) == pytest.approx(once)


def test_protocols_are_no_part_of_what_other_data_sets_cost() -> None:
    tuned = replace(work(), protocols=("finetune", "few_shot"), others=(Images(train=100, test=100, classes=10),))
    said = cost([Batch(tuned, 2)], MACHINES["laptop"], CostModel(), targets=("other",))
    own = CostModel().seconds(replace(tuned, others=()))
    assert said.transfer_seconds == pytest.approx(2 * (CostModel().seconds(tuned) - own))
    plain = replace(tuned, protocols=())
    alone = CostModel().seconds(plain) - CostModel().seconds(replace(plain, others=()))
    assert said.transfer_seconds == pytest.approx(2 * alone)


@pytest.mark.parametrize(("machine", "trials", "rounds", "width"), [
    ("8xh100", 18, 3, 1), ("8xh100", 16, 2, 1), ("8xh100", 2, 1, 4), ("8xh100", 5, 1, 1), ("cpu:8", 9, 2, 1),
    ("cpu:8", 3, 1, 1),
])  # fmt: skip
def test_trials_come_in_whole_rounds(machine: str, trials: int, rounds: int, width: int) -> None:
    place = find_machine(machine)
    each = CostModel().seconds(work(), place) + BETWEEN_SECONDS
    said = cost([Batch(work(), trials)], place, CostModel())
    assert said.wall_seconds - STARTUP_SECONDS == pytest.approx(rounds * each / width)
    assert said.device_seconds == pytest.approx(trials * each)


def test_a_trial_takes_as_many_gpus_as_hold_it() -> None:
    large = work(batch_size=400, views_global=8)
    room = memory_bytes(large) / 2.5
    place = replace(find_machine("8xh100"), memory=room)
    each = CostModel().seconds(large, place) + BETWEEN_SECONDS
    # Three GPUs each: two trials at once, of four GPUs then, and so three rounds of five trials.
    said = cost([Batch(large, 5)], place, CostModel())
    assert said.wall_seconds - STARTUP_SECONDS == pytest.approx(3 * each / 4)


def test_processes_that_share_a_trial_share_its_time() -> None:
    each = CostModel().seconds(work()) + BETWEEN_SECONDS
    said = cost([Batch(work(), 3)], MACHINES["laptop"], CostModel(), workers=2)
    assert said.wall_seconds - STARTUP_SECONDS == pytest.approx(3 * each / 2)


def test_images_that_fill_no_batch_are_not_seen() -> None:
    assert work(batch_size=300).seen == 3 * 300 * 10


def test_a_calibration_is_kept_and_read_again(tmp_path: Path) -> None:
    model = calibrate(measured()[:10])
    assert load(save(model, tmp_path / "deep" / "costs.json")) == model
    assert load(tmp_path / "none.json") == CostModel()


@pytest.mark.parametrize(("name", "side"), [("vit_tiny_patch16_224", 64), ("vit_small_patch8_224", 64),
                                            ("resnet18", 224), ("resnet50", 224)])  # fmt: skip
def test_operations_are_those_that_torch_counts(name: str, side: int) -> None:
    with torch.device("meta"):
        network = build_backbone(find_architecture(name), side).eval().requires_grad_(False)
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, side, side))
    assert forward_flops(name, side) == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_an_architecture_that_was_never_timed_has_a_time_all_the_same() -> None:
    assert find_architecture("vit_large_patch14_224").ms_64 is None
    assert milliseconds("vit_large_patch14_224", 224) > 10 * milliseconds("vit_tiny_p8", 64) > 0


def test_weights_of_vit_large_take_16_bytes_a_parameter() -> None:
    tiny = work(batch_size=2, views_global=2, views_local=0)
    large = replace(tiny, settings=replace(tiny.settings, architecture="vit_large_patch14_224", precision="bfloat16"))
    assert memory_bytes(large) == pytest.approx(16 * 303e6, rel=0.1)


def test_machines_by_name_and_by_count() -> None:
    assert find_machine("cpu:64").devices == 64
    assert find_machine("32xh100").devices == 32
    assert find_machine("8xh100") == MACHINES["8xh100"]
    for text in ("abacus", "0xh100", "cpu:"):
        with pytest.raises(LejepaError):
            find_machine(text)
