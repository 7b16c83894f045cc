"""The layout of a strip: all panels of one image below a title, each with its caption."""

from PIL import Image, ImageDraw

from irn.pictures.class_colours import class_colours
from irn.pictures.panels import Scene, panels_of
from irn.pictures.text import FAINT, FRAME, INK, WHITE, font, shortened

LEAST_COLUMN = 150  # pixels: a caption must stay legible above a narrow image
MOST_IN_A_ROW = 5
GAP, MARGIN, CAPTION_HEIGHT, TITLE_HEIGHT = 6, 12, 23, 36
TITLE_SIZE, CAPTION_SIZE = 18, 12


def draw_strip(scene: Scene) -> Image.Image:
    """All panels of an image in a row, or in two rows from six on, under a title with the classes present."""
    panels = panels_of(scene)
    rows = 1 if len(panels) <= MOST_IN_A_ROW else 2
    columns = -(-len(panels) // rows)
    height, width = panels[0].pixels.shape[:2]
    column = max(width, LEAST_COLUMN)
    strip_width = 2 * MARGIN + columns * (column + GAP) - GAP
    strip_height = TITLE_HEIGHT + rows * (CAPTION_HEIGHT + height + GAP) - GAP + MARGIN
    strip = Image.new("RGB", (strip_width, strip_height), WHITE)
    draw = ImageDraw.Draw(strip)
    _draw_title(draw, scene, strip_width - MARGIN)
    for number, panel in enumerate(panels):
        x = MARGIN + number % columns * (column + GAP)
        y = TITLE_HEIGHT + number // columns * (CAPTION_HEIGHT + height + GAP)
        caption = shortened(panel.caption, CAPTION_SIZE, column)
        draw.text((x, y + CAPTION_HEIGHT - 5), caption, INK, font(CAPTION_SIZE, caption), anchor="ls")
        # A frame, since a displacement field is as white as the paper where nothing moves.
        draw.rectangle((x - 1, y + CAPTION_HEIGHT - 1, x + width, y + CAPTION_HEIGHT + height), outline=FRAME)
        strip.paste(Image.fromarray(panel.pixels), (x, y + CAPTION_HEIGHT))
    return strip


def _draw_title(draw: ImageDraw.ImageDraw, scene: Scene, right: int) -> None:
    """The image's id, then as many of its classes as there is room for, each beside its colour in label maps."""
    baseline = TITLE_HEIGHT - 8
    title = shortened(scene.record.image_id, TITLE_SIZE, right - MARGIN)
    draw.text((MARGIN, baseline), title, INK, font(TITLE_SIZE), anchor="ls")
    x = MARGIN + font(TITLE_SIZE).getlength(title) + 18
    if scene.present is None:
        return
    if not scene.present:
        draw.text((x, baseline), shortened("no class", CAPTION_SIZE, right - x), FAINT, font(CAPTION_SIZE), anchor="ls")
    palette, small = class_colours(), font(CAPTION_SIZE)
    for done, index in enumerate(scene.present):
        left, name = len(scene.present) - done, scene.name(index)
        letters = font(CAPTION_SIZE, name)
        needed = 16 + letters.getlength(name)
        # Unless it is the last, a name must leave room for telling how many follow.
        rest = 14 + small.getlength(f"+ {left - 1} more") if left > 1 else 0
        if x + needed + rest > right:
            words = f"+ {left} more" if done else f"{left} classes"
            draw.text((x, baseline), shortened(words, CAPTION_SIZE, right - x), FAINT, small, anchor="ls")
            return
        draw.rectangle((x, baseline - 11, x + 11, baseline), tuple(palette[index + 1].tolist()))
        draw.text((x + 16, baseline), name, INK, letters, anchor="ls")
        x += needed + 14
