"""Text of pictures: its font, its inks, and how it is cut to fit."""

from functools import lru_cache

from PIL import ImageFont

INK, FAINT, GREY, FRAME, WHITE = (20, 20, 20), (110, 110, 110), (150, 150, 150), (225, 225, 225), (255, 255, 255)


@lru_cache
def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font in a size in pixels."""
    return ImageFont.load_default(size)


def shortened(text: str, size: int, width: float) -> str:
    """As much of the text as fits into `width` pixels, with dots where something is missing."""
    if font(size).getlength(text) <= width:
        return text
    kept = [text[:n].rstrip() + "..." for n in range(len(text), 0, -1)]
    return next((words for words in kept if font(size).getlength(words) <= width), "")
