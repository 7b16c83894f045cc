"""The words of the method's grids and label maps, and the version of the files that hold them."""

FORMAT_VERSION = 1  # of caches and weights files
STRIDE = 4  # pixels a side of a cell, in which fields, walks and pairs are counted
STEP = 16  # pixels: the networks' sides are multiples of it
UNSURE = 255  # in label maps, where 0 is background and others 1 + class index; ground truth calls it void
MAX_CLASSES = 254


def cells(pixels: int) -> int:
    """How many cells cover so many pixels."""
    return -(-pixels // STRIDE)


def padded(pixels: int) -> int:
    """The next multiple of `STEP`."""
    return -(-pixels // STEP) * STEP
