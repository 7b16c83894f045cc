"""What is drawn upon a tile: arrows, the wheel of directions, and names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from irn.pictures import colours
from irn.pictures.text import GREY, INK, WHITE, font

NAME_SIZE = 12  # pixels
ARROW_STEP = 24  # pixels from one arrow to the next
WHEEL = 44  # pixels


def with_wheel(flow: np.ndarray) -> np.ndarray:
    """Put the wheel of directions into the corner of a field's colours, (H, W, 3) uint8, that shows least."""
    height, width = flow.shape[:2]
    diameter = max(min(WHEEL, height // 3, width // 3), 1)
    side = min(diameter + 12, height, width)

    def paleness(corner: tuple[int, int]) -> float:
        x, y = corner
        return float(flow[y : y + side, x : x + side].min(axis=-1).mean())

    x, y = max(((x, y) for y in (height - side, 0) for x in (width - side, 0)), key=paleness)
    x, y = x + (side - diameter) // 2, y + (side - diameter) // 2
    panel = Image.fromarray(flow)
    ImageDraw.Draw(panel).ellipse((x - 3, y - 3, x + diameter + 2, y + diameter + 2), fill=WHITE, outline=GREY)
    wheel, disc = colours.flow_wheel(diameter)
    panel.paste(Image.fromarray(wheel), (x, y), Image.fromarray(np.round(255 * disc).astype(np.uint8)))
    return np.asarray(panel)


def with_arrows(picture: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Draw an arrow every few pixels of (H, W, 3) uint8: direction and length of the displacement (2, H, W) there."""
    longest = colours.flow_length(displacement)
    panel = Image.fromarray(picture)
    draw = ImageDraw.Draw(panel)
    half = ARROW_STEP // 2
    for y in range(half, picture.shape[0], ARROW_STEP):
        for x in range(half, picture.shape[1], ARROW_STEP):
            vector = displacement[::-1, y, x].astype(float)
            length = np.hypot(*vector) / longest if longest > 0 else 0.0
            # Shorter ones would be dots.
            if length < 0.2:
                continue
            reach = vector / longest / max(length, 1) * (half - 1)
            start, end = np.array((x, y)) - reach, np.array((x, y)) + reach
            side = reach[::-1] * (-1, 1)
            head = (end, end - 0.6 * reach + 0.3 * side, end - 0.6 * reach - 0.3 * side)
            draw.line((*start, *end), fill=INK)
            draw.polygon([tuple(corner) for corner in head], fill=INK)
    return np.asarray(panel)


def with_names(pixels: np.ndarray, pieces: np.ndarray, texts: Sequence[tuple[str, str]]) -> np.ndarray:
    """Write name and score into each piece that is large enough for both, or for the score.

    pieces: (H, W) integers, 0 none; texts: name and score of the pieces 1, 2, ...
    """
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    layout: dict[str, Any] = {"anchor": "mm", "align": "center", "spacing": 2}
    for number, text in enumerate(texts, 1):
        for words in (" ".join(text), "\n".join(text), text[1]):
            letters = font(NAME_SIZE, "".join(text))
            box = draw.multiline_textbbox((0, 0), words, letters, **layout)
            spot = _spot(pieces == number, round(box[2] - box[0]) + 4, round(box[3] - box[1]) + 4)
            if spot:
                draw.multiline_text(spot, words, WHITE, letters, **layout, stroke_width=1, stroke_fill=INK)
                break
    return np.asarray(picture)


def _spot(piece: np.ndarray, width: int, height: int) -> tuple[int, int] | None:
    """The middle (x, y) of a box of this size wholly within the piece, as near to its centre as possible, if any."""
    if piece.shape[0] < height or piece.shape[1] < width:
        return None
    # The pixels of the piece above and to the left of each corner, of which four give those within a box.
    before = np.pad(piece, ((1, 0), (1, 0))).cumsum(0, np.int32).cumsum(1, np.int32)
    within = before[height:, width:] - before[:-height, width:] - before[height:, :-width] + before[:-height, :-width]
    rows, columns = np.nonzero(within == height * width)
    if not len(rows):
        return None
    rows, columns = rows + height // 2, columns + width // 2
    middle = [places.mean() for places in np.nonzero(piece)]
    best = np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)
    return int(columns[best]), int(rows[best])
