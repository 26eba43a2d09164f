"""Trial keys: what changes them, what must not, and the way through JSON."""

import json
from dataclasses import replace

import pytest
from toys import STUDY, TRIAL

from lejepa_core.errors import LejepaError, SettingError
from lejepa_platform.config import StudyConfig, TrialConfig, differences
from lejepa_platform.trial import floor_key


def test_key_is_pinned() -> None:
    # Changing this value orphans every finished trial: raise METHOD_VERSION when results change, not by accident.
    assert TRIAL.key == "4ea6ea74d3f04840"


@pytest.mark.parametrize(
    "change",
    [{"lambda_": 0.06}, {"seed": 1}, {"epochs": 3}, {"data_fingerprint": "f" * 16}, {"limit_train": 100},
     {"architecture": "resnet18"}, {"weight_decay": 0.0}, {"global_scale": (0.2, 1.0)},
     {"pretrained": True}, {"weights_revision": "1" * 40}, {"precision": "bfloat16"}, {"objective": "vicreg"},
     {"register_tokens": 1}, {"predictor_depth": 1}, {"weight_average": 0.9}, {"embedding_dim": 8}],
)  # fmt: skip
def test_whatever_changes_the_result_changes_the_key(change: dict[str, object]) -> None:
    assert replace(TRIAL, **change).key != TRIAL.key  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"pretrained": True}, {"pretrained": True, "weights_revision": "1" * 40}, {"seed": 1},
               {"architecture": "resnet18"}, {"data_fingerprint": "f" * 16}, {"register_tokens": 1},
               {"embedding_dim": 8}],
)  # fmt: skip
def test_whatever_changes_the_untrained_backbone_changes_the_key_of_its_floor(change: dict[str, object]) -> None:
    others = [TRIAL, replace(TRIAL, pretrained=True, weights_revision="2" * 40)]
    assert floor_key(replace(TRIAL, **change)) not in [floor_key(other) for other in others]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"objective": "lejepa"},
        {"register_tokens": 0},
        {"predictor_depth": 0},
        {"weight_average": 0.0},
        {"embedding_dim": 0},
    ],
)
def test_an_option_that_is_off_leaves_the_key_as_it_was_before_there_was_one(change: dict[str, object]) -> None:
    before = {name: value for name, value in TRIAL.flat().items() if name not in change}
    assert TrialConfig.from_flat({**before, **change}).key == TrialConfig.from_flat(before).key == TRIAL.key


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"objective": "vicregl"}, "unknown objective 'vicregl'; closest: vicreg"),
        ({"objective": "vicreg", "regularizer": "watson"}, "--regularizer watson came with --objective vicreg"),
        ({"objective": "vicreg", "predictor_depth": 1}, "--predictor-depth 1 came with --objective vicreg"),
        ({"objective": "simclr", "weight_average": 0.9}, "--weight-average 0.9 came with --objective simclr"),
        ({"objective": "simclr", "lambda_": 0.0}, "a temperature above 0 was wanted"),
        ({"register_tokens": -1}, "register-tokens = -1 came"),
        ({"register_tokens": 1, "pretrained": True}, "--register-tokens came with --pretrained"),
        ({"embedding_dim": 8, "pretrained": True}, "--embedding-dim came with --pretrained"),
        ({"predictor_depth": -1}, "predictor-depth = -1 came"),
        ({"weight_average": 1.0}, r"weight-average = 1.0 came, in \[0, 1\) was wanted"),
    ],
)
def test_options_that_mean_nothing_are_refused(change: dict[str, object], line: str) -> None:
    with pytest.raises(LejepaError, match=line):
        replace(TRIAL, **change)  # type: ignore[arg-type]


def test_labels_do_not_change_the_key() -> None:
    assert replace(TRIAL, dataset="folder:elsewhere", family="other").key == TRIAL.key


def test_a_trial_survives_json() -> None:
    flat = json.loads(json.dumps(replace(TRIAL, limit_train=9, global_scale=(0.1, 0.9)).flat()))
    assert flat["lambda"] == 0.05
    back = TrialConfig.from_flat(flat)
    assert back == replace(TRIAL, limit_train=9, global_scale=(0.1, 0.9))
    assert back.key == replace(TRIAL, limit_train=9, global_scale=(0.1, 0.9)).key


def test_a_study_survives_json() -> None:
    assert StudyConfig.from_flat(json.loads(json.dumps(STUDY.flat()))) == STUDY


def test_the_grid_holds_every_trial_exactly_once() -> None:
    keys = [trial.key for trial in STUDY.grid()]
    # 2 data sets x 3 seeds x 2 λ x (1 + 2) optimisers
    assert len(keys) == len(set(keys)) == 2 * 3 * 2 * 3
    assert {(t.architecture, t.local_size) for t in STUDY.grid()} == {
        ("resnet10t_w32", 16),
        ("vit_nano_p8", 32),
    }


def test_extending_keeps_what_is_there_and_adds_to_the_axes() -> None:
    bigger = STUDY.extended(replace(STUDY, lambdas=(0.1, 0.5), seeds=(5,), datasets=("digits",),
                                    fingerprints={"digits": "a" * 16}))  # fmt: skip
    assert bigger.lambdas == (0.01, 0.1, 0.5)
    assert bigger.seeds == (0, 1, 2, 5)
    assert {t.key for t in STUDY.grid()} < {t.key for t in bigger.grid()}


def test_what_a_study_is_evaluated_on_changes_no_key_and_no_older_file() -> None:
    elsewhere = replace(STUDY, evaluate_on={"patches": "c" * 16})
    assert [trial.key for trial in elsewhere.grid()] == [trial.key for trial in STUDY.grid()]
    assert StudyConfig.from_flat(json.loads(json.dumps(elsewhere.flat()))) == elsewhere
    assert "evaluate_on" not in STUDY.flat()


def test_what_a_study_is_evaluated_on_only_grows() -> None:
    stored = replace(STUDY, evaluate_on={"patches": "c" * 16})
    wanted = replace(STUDY, evaluate_on={"folder:dogs": "d" * 16})
    for grown in (wanted.evaluated_on(stored.evaluate_on), stored.extended(wanted)):
        assert grown.evaluate_on == {"patches": "c" * 16, "folder:dogs": "d" * 16}
    assert STUDY.evaluated_on(stored.evaluate_on) == stored
    with pytest.raises(SettingError, match="other images came under this name"):
        replace(STUDY, evaluate_on={"patches": "e" * 16}).evaluated_on(stored.evaluate_on)


def test_each_trial_begins_from_the_weights_of_its_architecture() -> None:
    study = replace(STUDY, weights={"vit_nano_p8": "1" * 40})
    found = {(trial.architecture, trial.weights_revision) for trial in study.grid()}
    assert found == {("resnet10t_w32", ""), ("vit_nano_p8", "1" * 40)}
    assert StudyConfig.from_flat(json.loads(json.dumps(study.flat()))) == study
    assert "weights" not in STUDY.flat()


def test_extending_refuses_other_weights_and_keeps_those_it_has() -> None:
    stored = replace(STUDY, weights={"vit_nano_p8": "1" * 40})
    more = replace(STUDY, architectures=("resnet10t_w32",), weights={"resnet10t_w32": "2" * 40})
    assert stored.extended(more).weights == {"vit_nano_p8": "1" * 40, "resnet10t_w32": "2" * 40}
    with pytest.raises(SettingError, match="weights of vit_nano_p8"):
        stored.extended(replace(STUDY, weights={"vit_nano_p8": "3" * 40}))


def test_extending_refuses_another_method_or_other_images() -> None:
    with pytest.raises(SettingError, match="epochs"):
        STUDY.extended(replace(STUDY, shared={**STUDY.shared, "epochs": 4}))
    with pytest.raises(SettingError, match="images of digits"):
        STUDY.extended(replace(STUDY, fingerprints={"digits": "c" * 16}, datasets=("digits",)))


def test_a_default_named_aloud_is_no_difference() -> None:
    aloud = replace(STUDY, shared={**STUDY.shared, "regularizer": "epps-pulley", "global_scale": (0.3, 1.0)})
    assert STUDY.extended(aloud) == STUDY
    assert differences(STUDY.flat(), aloud.flat()) == []
    assert differences(STUDY.flat(), {**aloud.flat(), "sampler": "sobol"}) == ["sampler"]


def test_a_label_is_no_difference() -> None:
    other = replace(STUDY, families={"resnet10t_w32": "convolutional", "vit_nano_p8": "vit"})
    assert differences(STUDY.flat(), other.flat()) == []


@pytest.mark.parametrize("lambdas", [(0.0,), (1.0,), (1.5,), (float("nan"),), (-0.1, 0.2), (), (0.1, 0.1)])
def test_a_lambda_that_is_no_trade_off_is_refused(lambdas: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match=r"wanted|twice"):
        replace(STUDY, lambdas=lambdas)
