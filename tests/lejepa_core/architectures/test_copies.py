"""Which entries are one network under several names, and which have weights on the hub, asked of timm itself."""

from collections import defaultdict

import pytest
import timm
import torch

from lejepa_core.architectures import ARCHITECTURES
from lejepa_core.architectures.build import build_backbone
from lejepa_core.architectures.names import COPIES, WITHOUT_WEIGHTS

ALIKE = defaultdict(list)
for _name, _spec in ARCHITECTURES.items():
    ALIKE[_spec.parameters, _spec.features].append(_name)


@torch.no_grad()
def embeddings(name: str) -> torch.Tensor:
    torch.manual_seed(0)
    backbone = build_backbone(ARCHITECTURES[name], 32).eval().double()
    torch.manual_seed(1)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    out: torch.Tensor = backbone(images)
    return out


@pytest.mark.parametrize("names", [names for names in ALIKE.values() if len(names) > 1], ids=lambda names: names[0])
def test_entries_of_equal_shape_are_equal_exactly_if_they_are_declared(names: list[str]) -> None:
    found = {name: embeddings(name) for name in names}
    for i, name in enumerate(names):
        for other in names[:i]:
            declared = COPIES.get(name, name) == COPIES.get(other, other)
            assert torch.allclose(found[name], found[other], rtol=1e-9, atol=1e-12) == declared, (name, other)


def test_entries_have_weights_exactly_if_timm_knows_where() -> None:
    for name, spec in ARCHITECTURES.items():
        known = timm.get_pretrained_cfg(spec.timm_name)
        options = spec.pretrained or name in WITHOUT_WEIGHTS
        assert spec.pretrained == (options and known is not None and bool(known.hf_hub_id)), name
