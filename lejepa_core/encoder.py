"""A timm backbone with LeJEPA's projector on top."""

# V views, N samples, C channels (3), S side, F features, D dims
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lejepa_core.architectures import check_registers, check_size, find_architecture
from lejepa_core.architectures.build import build_backbone
from lejepa_core.errors import SettingError
from lejepa_core.precision import weight_dtype
from lejepa_core.random import derive_seed
from lejepa_core.settings import PretrainSettings


class Encoder(nn.Module):
    """Backbone (images to embeddings, which probes see) and projector (to projections, which the loss sees)."""

    def __init__(
        self,
        backbone: nn.Module,
        *,
        features: int,
        hidden: int,
        depth: int,
        dim: int,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Put an MLP of `depth` linear layers, with BatchNorm and ReLU between them, on a backbone.

        Args:
            backbone: (N, 3, S, S) -> (N, features).
            features: Width of the embeddings.
            hidden: Width of the projector's hidden layers.
            depth: Linear layers in the projector.
            dim: Width of the projections.
            memory_format: Of the images that the backbone sees, and of its weights.
        """
        super().__init__()
        self.memory_format = memory_format
        self.backbone = backbone.to(memory_format=memory_format)
        self.features = features
        self.projector = mlp(features, hidden, depth, dim)

    def forward(self, views: Sequence[Float[Tensor, "v n 3 s s"]]) -> Float[Tensor, "views n d"]:
        """Projections of views, given as one batch per image size; the order of the views is kept."""
        samples = views[0].shape[1]
        # One pass per size: BatchNorm must not mix global and local statistics.
        embeddings = [self.embed(batch.flatten(0, 1)) for batch in views]
        return self.project(torch.cat(embeddings), samples)

    def embed(self, images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n f"]:
        """Embeddings of images."""
        embeddings: Tensor = self.backbone(images.contiguous(memory_format=self.memory_format))
        return embeddings

    def project(self, embeddings: Float[Tensor, "vn f"], samples: int) -> Float[Tensor, "views n d"]:
        """Projections of the embeddings of so many samples, view by view; in the type of the weights."""
        z: Tensor = self.projector(embeddings)
        # Once, here: the gradients of the loss's terms would be rounded one by one if each widened autocast's output.
        return z.view(-1, samples, z.shape[-1]).to(next(self.parameters()).dtype)


def build_encoder(settings: PretrainSettings) -> Encoder:
    """The encoder of a trial with its initial weights, a function of (architecture, sizes, seed, weights of the hub).

    Args:
        settings: Names the architecture, the projector, the image size, the seed and the precision.

    Raises:
        UnknownNameError: If no such architecture exists.
        SettingError: If it does not take the image size or register tokens, or if its pretrained weights are wanted and
            cannot be had.
    """
    spec = find_architecture(settings.architecture)
    sizes = {settings.image_size} | ({settings.local_size} if settings.views_local else set())
    for size in sizes:
        check_size(settings.architecture, size)
    check_registers(settings.architecture, settings.register_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("weights", settings.seed))
        backbone = build_backbone(
            spec,
            settings.image_size,
            pretrained=settings.pretrained,
            revision=settings.weights_revision,
            registers=settings.register_tokens,
            embedding=settings.embedding_dim,
        )
        features = _feature_width(backbone, settings.architecture, sizes)
        encoder = Encoder(
            backbone,
            features=features,
            hidden=settings.projector_hidden,
            depth=settings.projector_depth,
            dim=settings.projector_dim,
            memory_format=torch.channels_last if spec.channels_last else torch.contiguous_format,
        )
    return encoder.to(weight_dtype(settings.precision))


def distinct_weights(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module with each tensor once, under its first name, as safetensors wants it."""
    tied = _tied_names(module)
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items() if name not in tied}


def load_distinct_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load what `distinct_weights` gave.

    Raises:
        RuntimeError: If a name is missing that is not a further one of a tensor, or if one is unknown.
    """
    further = {name: weights[first] for name, first in _tied_names(module).items() if first in weights}
    module.load_state_dict({**weights, **further})


def _tied_names(module: nn.Module) -> dict[str, str]:
    """Further name of a tensor that a module holds several times -> its first name."""
    first: dict[int, str] = {}
    # Without keep_vars every entry is a tensor of its own.
    held = module.state_dict(keep_vars=True).items()
    return {name: known for name, tensor in held if (known := first.setdefault(id(tensor), name)) != name}


@torch.no_grad()
def _feature_width(backbone: nn.Module, name: str, sizes: set[int]) -> int:
    """What a dry forward gives at each size; timm's `num_features` is not always the width of the features."""
    backbone.eval()
    widths = set()
    for size in sizes:
        try:
            features = backbone(torch.zeros(1, 3, size, size))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise SettingError(f"{name} cannot take images of {size} px: {str(error).splitlines()[0]}") from error
        widths.add(tuple(features.shape[1:]))
    backbone.train()
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise SettingError(f"{name} gives features of shape {widths}, one vector per image was wanted")
    return int(widths.pop()[0])


def mlp(features: int, hidden: int, depth: int, dim: int) -> nn.Sequential:
    """So many linear layers, with BatchNorm and ReLU between them.

    Args:
        features: Width of what it takes.
        hidden: Width of the hidden layers.
        depth: Linear layers.
        dim: Width of what it gives.
    """
    layers: list[nn.Module] = []
    width = features
    for _ in range(depth - 1):
        # No bias before BatchNorm, which would subtract it again.
        layers += [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, dim))
