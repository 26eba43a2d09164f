"""The architectures that a study can name: what is declared of them joined with what was measured."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from lejepa_core.architectures.families import FAMILIES
from lejepa_core.architectures.measurements import Measurement, read_measurements
from lejepa_core.architectures.names import COPIES, FURTHER, PAPER, REFERENCE, WITHOUT_WEIGHTS
from lejepa_core.architectures.spec import ArchitectureSpec, Variant
from lejepa_core.architectures.variants import PADDED, SMALLEST, VARIANTS
from lejepa_core.errors import SettingError, UnknownNameError

TIMM_PREFIX: Final = "timm:"
_UNMEASURED: Final = Measurement(
    parameters=0, features=0, sized=False, multi_size=False, min_size=32, multiple=1, batchnorm=False, ms_32=None,
    ms_64=None,
)  # fmt: skip


def _declared() -> Iterator[tuple[str, Variant]]:
    for names in (REFERENCE, PAPER, FURTHER):
        for family, members in names.items():
            for name in members:
                yield name, Variant(family=family, timm_name=name, resized=False)
    yield from VARIANTS.items()


def _spec(name: str, entry: Variant, measured: Measurement) -> ArchitectureSpec:
    family = FAMILIES[entry.family]
    padding: Mapping[str, Any] = {"dynamic_img_pad": True} if name in PADDED else {}
    return ArchitectureSpec(
        family=entry.family,
        group=family.group,
        timm_name=entry.timm_name,
        options={**family.options, **padding, **entry.options},
        registers=family.registers,
        channels_last=family.channels_last,
        pretrained=not entry.resized and name not in WITHOUT_WEIGHTS,
        same_as=COPIES.get(name, ""),
        sized=measured.sized,
        multi_size=measured.multi_size,
        min_size=measured.min_size,
        multiple=measured.multiple,
        parameters=measured.parameters,
        features=measured.features,
        batchnorm=measured.batchnorm,
        ms_32=measured.ms_32,
        ms_64=measured.ms_64,
    )


def _registry() -> dict[str, ArchitectureSpec]:
    measured = read_measurements()
    return {name: _spec(name, entry, measured.get(name, _UNMEASURED)) for name, entry in _declared()}


ARCHITECTURES: Final[Mapping[str, ArchitectureSpec]] = _registry()


def smallest_size(name: str) -> int:
    """The smallest side that is tried when an architecture is measured, in pixels."""
    return SMALLEST.get(name, 32)


def find_architecture(name: str) -> ArchitectureSpec:
    """The entry of a name, or a plain one for `timm:NAME`.

    Raises:
        UnknownNameError: If neither the registry nor timm knows it.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name.startswith(TIMM_PREFIX):
        return _of_timm(name.removeprefix(TIMM_PREFIX))
    raise UnknownNameError("architecture", name, ARCHITECTURES, "lejepa archs")


def _of_timm(timm_name: str) -> ArchitectureSpec:
    # Importing timm takes seconds, and the registry needs none.
    import timm

    if not timm.is_model(timm_name):
        raise UnknownNameError(
            "timm model", timm_name, timm.list_models(), "python -c 'import timm; print(timm.list_models())'"
        )
    family = FAMILIES.get(timm.models.model_entrypoint(timm_name).__module__.rpartition(".")[2])
    return ArchitectureSpec(
        family="timm",
        group="timm",
        timm_name=timm_name,
        registers=family.registers if family else "",
        multi_size=False,
        min_size=1,
        pretrained=True,
    )


def check_size(name: str, size: int) -> None:
    """Make sure that an architecture takes images of a size.

    Raises:
        SettingError: If it does not.
    """
    spec = find_architecture(name)
    if not spec.takes(size):
        below = size // spec.multiple * spec.multiple
        near = sorted({max(below, _first(spec)), max(below + spec.multiple, _first(spec))})
        raise SettingError(
            f"{name} cannot take images of {size} px; at least {spec.min_size} px and a multiple of {spec.multiple} "
            f"was wanted, such as {' or '.join(map(str, near))}: choose another --image-size"
        )


def check_registers(name: str, count: int) -> None:
    """Make sure that an architecture takes register tokens, if any are wanted.

    Raises:
        SettingError: If it does not.
    """
    if count and not find_architecture(name).registers:
        taking = [other for other, spec in ARCHITECTURES.items() if spec.registers]
        near = get_close_matches(name, taking, n=3, cutoff=0)
        raise SettingError(
            f"--register-tokens {count} came with {name}, which takes none; closest that do: {', '.join(near)}: choose "
            "among the vision transformers of `lejepa archs`, or leave it out"
        )


def _first(spec: ArchitectureSpec) -> int:
    """The smallest side that it takes."""
    return -(-spec.min_size // spec.multiple) * spec.multiple


def local_size(name: str, image_size: int, wanted: int | None = None) -> int:
    """Side of the local views: the one wanted, or half the global one, or all of it where nothing else is taken.

    Args:
        name: Of an architecture.
        image_size: Side of a global view, in pixels.
        wanted: Side of a local view; None = half that.
    """
    spec = find_architecture(name)
    side = wanted or image_size // 2
    return side if spec.multi_size and spec.takes(side) else image_size
