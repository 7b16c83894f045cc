"""Class attention maps that come from elsewhere, beside the labels."""

from collections.abc import Mapping

import numpy as np

from irn.data.tables import ImageClasses
from irn.errors import IrnError


def check_maps(where: str, maps: Mapping[str, np.ndarray], image_id: str, table: ImageClasses) -> None:
    """Raise IrnError, naming `where`, unless the classes of an image's maps are in its row of the table, once each.

    maps: `classes` (K,) class indices, and any arrays of maps, whose values have to be in [0, 1].
    """
    classes, present, names = maps["classes"].tolist(), table.of(image_id), table.names
    unlisted = [index for index in classes if index not in present]
    if unlisted:
        named = f" ({names[unlisted[0]]})" if 0 <= unlisted[0] < len(names) else ""
        listed = ", ".join(f"{index} ({names[index]})" for index in present) or "none"
        raise IrnError(
            f"{where}: class index {unlisted[0]}{named}, but {table.path} gives it {listed}; indices count from 0 in"
            " the order"
            " of its columns"
        )
    if len(set(classes)) < len(classes):
        raise IrnError(f"{where}: a class index appears twice in {classes}; give each class one map")
    for name, values in maps.items():
        if name != "classes" and values.size and not (values.min() >= 0 and values.max() <= 1):
            raise IrnError(
                f"{where}: {name} goes from {values.min():.4g} to {values.max():.4g}; expected values in [0, 1],"
                " each map divided by its maximum + 1e-5"
            )
