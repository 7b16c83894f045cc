"""The words of the method's grids and label maps, and the version of the files that hold them."""

FORMAT_VERSION = 1  # of caches and weights files
STRIDE = 4  # pixels a side of a cell, in which fields, walks and pairs are counted
STEP = 16  # pixels: the networks' sides are multiples of it
UNSURE = 255  # in label maps, where 0 is background and others 1 + class index; ground truth calls it void
MAX_CLASSES = 254


def cells(pixels: int) -> int:
    """The number of cells that cover a side of so many pixels."""
    return -(-pixels // STRIDE)


def padded(pixels: int) -> int:
    """The next multiple of `STEP`."""
    return -(-pixels // STEP) * STEP


def working_size(height: int, width: int, max_side: int | None) -> tuple[int, int]:
    """The size in pixels at which an image is worked on: its own, or a smaller one in whole cells.

    The long side of the smaller one is `max_side`.
    """
    longest = max(height, width)
    if max_side is None or longest <= max_side:
        return height, width
    # In whole cells, both grids cover the same part of the image, but for less than a cell of the larger one.
    rows, columns = (max(1, round(side * max_side / longest / STRIDE)) for side in (height, width))
    return STRIDE * rows, STRIDE * columns
