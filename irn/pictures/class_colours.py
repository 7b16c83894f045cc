"""The colours of classes in pictures and on pages."""

import numpy as np

from irn.pictures.colours import voc_palette

DARK = 64  # of 255: a class in such a colour looks like the darkened background


def class_colours() -> np.ndarray:
    """The colours of labels 0 to 255, (256, 3) uint8: VOC's, with the nearly black ones of some classes bright.

    Those, of labels 64, 128 and 192, become the red, green and yellow that no other label has.
    """
    palette = voc_palette()
    highest = palette.max(1, keepdims=True)
    bright = palette / np.maximum(highest, 1) * 255
    return np.where(highest < DARK, bright, palette).astype(np.uint8)
