"""All items by name, as plain data."""

from collections.abc import Mapping
from typing import Final

from lejepa_core.errors import UnknownNameError
from sweeps.paper.item import Item
from sweeps.paper.items import (
    abstract,
    eb_jepa,
    extras,
    figure9,
    figure11,
    lightly,
    minimal,
    stable_pretraining,
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    table7,
)

_ALL: Final = (
    table7.ITEM,
    table1.TABLE1A,
    table1.TABLE1B,
    table1.TABLE1C,
    table1.TABLE1D,
    table1.TABLE1E,
    table2.ITEM,
    table3.ITEM,
    table4.ITEM,
    table5.ITEM,
    table6.ITEM,
    figure9.ITEM,
    figure11.FIGURE11,
    figure11.FIGURE11_IMAGENET,
    figure11.FIGURE11_FLOWERS,
    abstract.ITEM,
    minimal.ITEM,
    stable_pretraining.ITEM,
    eb_jepa.ITEM,
    lightly.ITEM,
    *extras.ITEMS,
)
ITEMS: Final[Mapping[str, Item]] = {item.name: item for item in _ALL}


def find_item(name: str) -> Item:
    """An item by name.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in ITEMS:
        raise UnknownNameError("item", name, ITEMS, "lejepa paper list")
    return ITEMS[name]
