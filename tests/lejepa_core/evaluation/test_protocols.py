"""Every protocol leaves its subject as it was and repeats; and each against something that it does not share."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import stripes

from lejepa_core.encoder import build_encoder
from lejepa_core.errors import DataError
from lejepa_core.evaluation.few_shot import measure_few_shot
from lejepa_core.evaluation.finetune import measure_finetune
from lejepa_core.evaluation.layers import last_layers, layers_used
from lejepa_core.evaluation.paper import measure_paper
from lejepa_core.evaluation.protocol import Subject
from lejepa_core.evaluation.protocols import PROTOCOLS
from lejepa_core.evaluation.supervised import measure_supervised
from lejepa_core.evaluation.transfer import measure_transfer
from lejepa_core.settings import PretrainSettings

SETTINGS = PretrainSettings(
    architecture="resnet10t_w32", lambda_=0.05, learning_rate=1e-3, weight_decay=0.0, epochs=2, batch_size=16,
    image_size=32, local_size=32, views_local=0, projector_hidden=16, projector_dim=8,
)  # fmt: skip
OURS = ("few_shot", "finetune", "paper", "projection", "shuffled", "supervised")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    data = stripes(tmp_path_factory.mktemp("stripes"), per_class=24)
    return Subject(encoder=build_encoder(SETTINGS).eval(), data=data, settings=SETTINGS, train=data.splits["train"])


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lejepa_core.evaluation.finetune.MOST_EPOCHS", 12)
    monkeypatch.setattr("lejepa_core.evaluation.shuffled.PERMUTATIONS", 2)


@pytest.mark.parametrize("name", OURS)
def test_a_protocol_repeats_bit_for_bit_and_leaves_all_as_it_was(subject: Subject, name: str) -> None:
    weights = {key: value.clone() for key, value in subject.encoder.state_dict().items()}
    generator = torch.get_rng_state()
    first = PROTOCOLS[name].measure(subject)
    assert torch.equal(torch.get_rng_state(), generator)
    torch.rand(3)
    second = PROTOCOLS[name].measure(subject)
    assert first.metrics == second.metrics
    assert all(np.array_equal(value, second.arrays[key]) for key, value in first.arrays.items())
    assert all(torch.equal(value, weights[key]) for key, value in subject.encoder.state_dict().items())
    assert not any(module.training for module in subject.encoder.modules())
    assert all(p.grad is None for p in subject.encoder.parameters())


@pytest.mark.parametrize("name", OURS)
def test_images_without_labels_or_of_one_class_are_refused(subject: Subject, name: str) -> None:
    with pytest.raises(DataError, match="has no labels"):
        PROTOCOLS[name].measure(replace(subject, data=replace(subject.data, labels=None)))
    with pytest.raises(DataError, match="two or more were wanted"):
        PROTOCOLS[name].measure(replace(subject, train=subject.train[:3]))


def test_few_shots_are_those_of_transfer(subject: Subject) -> None:
    found, wanted = measure_few_shot(subject), measure_transfer(subject.encoder, subject.data, image_size=32)
    for measure in ("linear_top1_at_1", "knn_top1_at_5", "linear_top1_at_100"):
        assert found.metrics[f"test/few_shot_{measure}"] == wanted.metrics[measure]
        assert found.arrays[measure].tolist() == wanted.draws[measure]


def test_the_last_layers_of_a_convolutional_network_are_its_last_stages(subject: Subject) -> None:
    images, outputs = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)), []
    backbone = subject.encoder.backbone
    handles = [
        stage.register_forward_hook(lambda _, __, x: outputs.append(x)) for stage in (backbone.layer3, backbone.layer4)
    ]
    with torch.no_grad():
        embeddings = subject.encoder.embed(images)
        for handle in handles:
            handle.remove()
        found = last_layers(subject.encoder, images)
    torch.testing.assert_close(found, torch.cat([x.flatten(2).mean(2) for x in outputs], 1))
    torch.testing.assert_close(found[:, -embeddings.shape[1] :], embeddings)


@pytest.mark.parametrize("name", ["vit_nano_p8", "timm:vit_tiny_patch16_224"])
def test_the_last_layers_of_a_transformer_are_class_tokens_of_its_last_blocks(name: str) -> None:
    encoder = build_encoder(replace(SETTINGS, architecture=name)).eval()
    backbone, outputs = encoder.backbone, []
    for block in backbone.blocks[-2:]:
        block.register_forward_hook(lambda _, __, x: outputs.append(x))
    with torch.no_grad():
        found = last_layers(encoder, torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        tokens = [backbone.norm(x) for x in outputs]
    wanted = [x[:, 0] if backbone.cls_token is not None else x[:, backbone.num_prefix_tokens :].mean(1) for x in tokens]
    torch.testing.assert_close(found, torch.cat(wanted, 1))


def test_a_network_without_intermediates_gives_its_embedding(subject: Subject) -> None:
    encoder = build_encoder(SETTINGS).eval()
    backbone = encoder.backbone
    encoder.backbone = torch.nn.Sequential(backbone)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert (layers_used(subject.encoder), layers_used(encoder)) == (2, 1)
    assert torch.equal(last_layers(encoder, images), backbone(images.contiguous(memory_format=encoder.memory_format)))


def test_the_papers_probe_and_fine_tuning_learn_what_labels_say(subject: Subject) -> None:
    chance = 1 / 3
    assert measure_paper(subject).metrics["test/paper_top1"] > chance + 0.25
    found = measure_finetune(subject)
    assert found.metrics["test/finetune_top1"] > chance + 0.25
    assert found.metrics["test/finetune_top1"] == np.mean(
        found.arrays["predictions"] == subject.data.labels[subject.data.splits["test"]]
    )


def test_fine_tuning_begins_from_the_encoder_and_the_supervised_line_does_not(subject: Subject) -> None:
    settings = replace(SETTINGS, lambda_=0.5, learning_rate=7e-3, projector_dim=5)
    other = replace(subject, encoder=build_encoder(replace(settings, seed=9)).eval(), settings=settings)
    assert measure_supervised(other).metrics == measure_supervised(subject).metrics
    one, two = (
        measure_finetune(replace(other, settings=SETTINGS, encoder=build_encoder(replace(SETTINGS, seed=9)).eval())),
        measure_finetune(subject),
    )
    assert not np.array_equal(one.arrays["predictions"], two.arrays["predictions"])
