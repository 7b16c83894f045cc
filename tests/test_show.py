"""irn/commands/show.py and irn/pictures/: what a user sees in the panels, and mistakes found before any is drawn."""

from colorsys import rgb_to_hsv
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import Sample, refused, write_data
from PIL import Image

from irn.commands import show as command
from irn.data.images import read_image
from irn.data.tables import ImageClasses, read_manifest, write_classes
from irn.errors import IrnError
from irn.grid import cells
from irn.io.cache import CacheWriter
from irn.pictures.captions import CAPTIONS
from irn.pictures.colours import distinct_colours, flow_colours, flow_wheel, heat, outlines, overlay, voc_palette
from irn.pictures.panels import Scene, panels_of
from irn.records import ImageRecord
from irn.settings.checking import settings_of_options

NAMES = ["cat", "dog", "owl", "elk"]
HEIGHT, WIDTH = 200, 240  # between the bounds of a tile's size, so a tile has the image's own pixels
IDS = ("001", "002", "003")
KINDS = {"cams": "cam", "ir_labels": "ir_label", "fields": "field", "walks": "walk", "label_caches": "label"}
GOLDEN = Path(__file__).parent / "golden"


def show(manifest, images, out, count=12, **options):
    """Run the command, with `count` as the number of images that it draws where none is named."""
    command.show(manifest, out, settings_of_options({"show.images": count}, {}, ""), images=images, **options)


class DataSet:
    """Grey images 001, 002 and 003 with a cat at the left and a dog at the right; 002 has no class at all."""

    def __init__(self, root, ids=IDS, size=(HEIGHT, WIDTH)):
        self.root, self.ids, self.size, self.out = root, ids, size, root / "panels"
        pixels = np.full((*size, 3), 100, np.uint8)
        write_data(root, NAMES, {i: Sample(pixels, [] if i == "002" else [0, 1]) for i in ids})

    def arrays(self, kind, image_id):
        (height, width), (h, w) = self.size, map(cells, self.size)
        present = [] if image_id == "002" else [0, 1]
        objects = np.zeros(self.size, int)
        if present:
            objects[height // 4 : -height // 4, width // 10 : width // 2 - 2] = 1
            objects[height // 4 : -height // 4, width // 2 + 2 : -width // 10] = 2
        count = len(present)
        return {
            "cam": {
                "classes": np.array(present, int),
                "cam": np.zeros((count, h, w)),
                "high_res": np.array([objects == c + 1 for c in present], float).reshape(count, height, width),
            },
            "ir_label": {"label": objects},
            "field": {"boundary": np.full((h, w), 0.5), "displacement": np.zeros((2, h, w))},
            "walk": {
                "walk": np.zeros((count, h, w)),
                "walk_class": np.array(present, int),
                "walk_instance": np.array(present, int),
                "groups": np.repeat([np.arange(w) >= w // 2], h, axis=0).astype(int),
            },
            "label": {
                "semantic": objects,
                "instance_map": objects,
                "instance_class": np.array(present, int),
                "instance_score": np.linspace(1, 0.5, count),
            },
        }[kind]

    def cache(self, option, ids=None, size=None, **changed):
        kind = KINDS[option]
        path = self.root / f"{option}.h5"
        with CacheWriter(path, kind, {"stage": "test"}) as cache:
            for image_id in ids or self.ids:
                cache.write(image_id, *(size or self.size), self.arrays(kind, image_id) | changed)
        return [path]

    def caches(self, *options):
        return {option: self.cache(option) for option in options}

    def show(self, images=("001",), **options):
        show(self.root / "manifest.csv", images, self.out, **options)
        return {path.stem: read_image(path) for path in sorted(self.out.iterdir())}

    def refused(self, *words, images=("001",), **options):
        with pytest.raises(IrnError) as error:
            show(self.root / "manifest.csv", images, self.out, **options)
        text = str(error.value)
        assert "\n" not in text
        for word in words:
            assert word in text
        assert not self.out.exists() or not self.out.is_dir()


@pytest.fixture
def data(tmp_path):
    return DataSet(tmp_path)


def captions(data, kind, **arrays):
    """The captions of the tiles of image 001 when one cache is given."""
    record = read_manifest(data.root / "manifest.csv")[0]
    scene = Scene(
        record, read_image(record.path), {kind: data.arrays(kind, "001") | arrays}, None, None, centroid_length=2.5
    )
    return [found.caption for found in panels_of(scene)]


def tile(panel, number, of, size=(HEIGHT, WIDTH)):
    """The pixels of tile `number` among `of` in a panel of one row."""
    height, width = size
    margin = (panel.shape[1] - of * width - (of - 1) * 6) // 2
    left = margin + number * (width + 6)
    bottom = panel.shape[0] - 12
    return panel[bottom - height : bottom, left : left + width]


def test_every_kind_of_panel_has_its_words_in_the_report(data):
    record = read_manifest(data.root / "manifest.csv")[0]
    arrays = {kind: data.arrays(kind, "001") for kind in KINDS.values()}
    arrays["refined"] = {**arrays["cam"], "objectness": np.zeros((HEIGHT, WIDTH), np.float32)}
    truth = (np.zeros((HEIGHT, WIDTH), int), np.ones((1, HEIGHT, WIDTH), bool))
    panels = panels_of(Scene(record, read_image(record.path), arrays, None, None, 2.5, truth))
    assert {panel.kind for panel in panels} == set(CAPTIONS)


class TestPanels:
    def test_one_file_for_each_image_and_nothing_else(self, data):
        data.show(IDS + ("001",), labels=data.root / "labels.csv", **data.caches(*KINDS))
        assert sorted(path.name for path in data.out.iterdir()) == ["001.png", "002.png", "003.png"]
        with Image.open(data.out / "001.png") as panel:
            assert (panel.format, panel.mode) == ("PNG", "RGB")

    def test_grows_with_what_is_given(self, data):
        widths = []
        for given in ([], ["ir_labels"], ["ir_labels", "cams"], ["ir_labels", "cams", "fields"]):
            panel = data.show(**data.caches(*given))["001"]
            widths.append(panel.size)
        assert widths == sorted(set(widths))

    def test_many_tiles_take_two_rows(self, data):
        one_row = data.show(**data.caches("fields", "label_caches"))["001"]
        two_rows = data.show(**data.caches("cams", "ir_labels", "fields", "label_caches"))["001"]
        assert one_row.shape[0] < 2 * HEIGHT < two_rows.shape[0]
        assert two_rows.shape[1] < one_row.shape[1]
        everything = data.show(**data.caches(*KINDS))["001"]
        assert everything.shape == (two_rows.shape[0], one_row.shape[1], 3)

    @pytest.mark.parametrize("size", [(40, 60), (900, 1200), (30, 900), (900, 30), (3, 2), (1, 1)])
    def test_any_size_gives_a_legible_panel(self, tmp_path, size):
        data = DataSet(tmp_path, ["001"], size)
        height, width, _ = data.show(**data.caches(*KINDS))["001"].shape
        assert 100 < height < 900
        assert 500 < width < 3000

    def test_the_image_comes_first_and_unchanged(self, data):
        assert (tile(data.show()["001"], 0, 1) == 100).all()

    def test_nothing_found_in_an_image(self, data):
        """K = 0 and N = 0 still have a tile in each cache's place."""
        panels = data.show(IDS, **data.caches("cams", "label_caches"), labels=data.root / "labels.csv")
        assert panels["002"].shape[1] < panels["001"].shape[1]  # one CAM tile rather than two
        everything = data.show(["002"], **data.caches(*KINDS))["002"]
        assert everything.shape[0] > 2 * HEIGHT

    def test_names_come_from_the_labels_table(self, data):
        caches = data.caches("cams")
        by_index = data.show(**caches)["001"]
        by_name = data.show(**caches, labels=data.root / "labels.csv")["001"]
        assert by_index.shape == by_name.shape
        assert (by_index != by_name).any()

    def test_more_classes_than_tiles(self, data):
        maps = {
            "classes": np.arange(4),
            "cam": np.zeros((4, cells(HEIGHT), cells(WIDTH))),
            "high_res": np.zeros((4, HEIGHT, WIDTH)),
        }
        three = data.show(cams=data.cache("cams", **{k: v[:3] for k, v in maps.items()}))["001"]
        four = data.show(cams=data.cache("cams", **maps))["001"]
        assert four.shape == three.shape
        assert (four != three).any()  # the caption tells of the fourth

    def test_more_names_than_room(self, tmp_path):
        data = DataSet(tmp_path, ["001"])
        names = [f"a rather long name of class {i}" for i in range(40)]
        write_classes(tmp_path / "labels.csv", ImageClasses(names, {"001": list(range(40))}))
        panel = data.show(labels=tmp_path / "labels.csv")["001"]
        assert (panel[:36, -12:] == 255).all()

    def test_golden_cases(self, tmp_path):
        files = {"cams": "cams.h5", "ir_labels": "ir_labels.h5", "fields": "fields.h5", "label_caches": "labels.h5"}
        show(GOLDEN / "manifest.csv", [], tmp_path, **{option: [GOLDEN / name] for option, name in files.items()})
        assert len(list(tmp_path.glob("*.png"))) == 5


class TestTiles:
    def test_cam_is_hot_where_the_class_is(self, data):
        panel = data.show(**data.caches("cams"))["001"].astype(int)
        cat, dog = tile(panel, 1, 3), tile(panel, 2, 3)
        left, right = (HEIGHT // 2, WIDTH // 4), (HEIGHT // 2, 3 * WIDTH // 4)
        assert cat[left].sum() > cat[right].sum() + 200
        assert dog[right].sum() > dog[left].sum() + 200

    def test_ir_label_background_is_dark_and_unsure_is_striped(self, data):
        label = np.zeros((HEIGHT, WIDTH), int)
        label[:100, :100], label[100:, 100:] = 1, 255
        shown = tile(data.show(ir_labels=data.cache("ir_labels", label=label))["001"], 1, 2).astype(int)
        assert shown[:100, 100:].max() < 60
        red, green, blue = shown[50, 50]
        assert red > 2 * green
        assert green == blue
        unsure = shown[100:, 100:]
        assert len(np.unique(unsure)) == 2
        assert unsure.min() > 60
        assert (unsure == unsure[..., :1]).all()

    @pytest.mark.parametrize("label", [64, 128, 192])
    def test_sure_foreground_is_bright_in_the_colour_of_every_class(self, label):
        # Of VOC's colours these are nearly black, as sure background is.
        names = [f"class {index}" for index in range(label)]
        values = np.zeros((200, 200), int)
        values[:, :100] = label
        arrays = {"ir_label": {"label": values}}
        pixels = np.full((200, 200, 3), 100, np.uint8)
        panels = panels_of(Scene(ImageRecord("a", Path("a.jpg"), 200, 200, "train"), pixels, arrays, [], names, 2.5))
        picture = panels[1].pixels.astype(int)
        assert picture[:, :100].max(-1).min() > 150
        assert picture[:, 100:].max() < 60

    def test_boundary_goes_from_black_to_white(self, data):
        boundary = np.zeros((cells(HEIGHT), cells(WIDTH)))
        boundary[:25], boundary[25:30] = 1, 0.5
        shown = tile(data.show(fields=data.cache("fields", boundary=boundary))["001"], 1, 3)
        assert (shown[:100] == 255).all()
        assert (shown[100:120] == 128).all()
        assert (shown[120:] == 0).all()

    def test_displacement_shows_direction_and_a_wheel(self, data):
        displacement = np.zeros((2, cells(HEIGHT), cells(WIDTH)))
        displacement[1, :, :20] = 3
        displacement[1, :, 20:40] = -3
        shown = tile(data.show(fields=data.cache("fields", displacement=displacement))["001"], 2, 3)
        assert hue(shown[20, 20]) == pytest.approx(0, abs=0.01)
        assert hue(shown[20, 120]) == pytest.approx(0.5, abs=0.01)
        # The rest does not move: white but for the legend, which has all colours.
        still = shown[:, 160:].reshape(-1, 3)
        assert 0.8 < (still == 255).all(-1).mean() < 1
        assert len(np.unique(still, axis=0)) > 100

    def test_field_lies_over_the_image_to_the_pixel(self, tmp_path):
        """With a size that is not a multiple of 4, the last cells lie partly beyond the image."""
        data = DataSet(tmp_path, ["001"], (201, 242))
        boundary = np.zeros((51, 61))
        boundary[10:, 20:] = 1
        shown = tile(data.show(fields=data.cache("fields", boundary=boundary))["001"], 1, 3, (201, 242))
        assert (shown[40:, 80:] == 255).all()
        assert (shown[:40] == 0).all()
        assert (shown[:, :80] == 0).all()

    def test_groups_of_cells_have_a_colour_each_and_are_counted(self, data):
        # Numbers need not follow each other.
        groups = np.where(np.arange(cells(WIDTH)) < 30, 7, 100_000) * np.ones((cells(HEIGHT), 1), int)
        cache = data.cache("walks", ["001"], groups=groups)
        shown = tile(data.show(walks=cache)["001"], 1, 2)
        left, right = shown[:, :119], shown[:, 121:]
        for half in (left, right):
            assert (half == half[0, 0]).all()
        assert abs(left[0, 0].astype(int) - right[0, 0]).sum() > 100
        assert (shown[:, 119:121] == 255).all()
        assert captions(data, "walk", groups=groups) == ["image", "groups: 2"]

    def test_a_walk_cache_without_groups_has_no_tile(self, data):
        """As those of older versions."""
        cache = data.cache("walks", ["001"])
        with h5py.File(cache[0], "r+") as file:
            del file["001/groups"]
        assert (data.show(walks=cache)["001"] == data.show()["001"]).all()

    def test_instances_differ_in_colour_though_not_in_class(self, data):
        objects = data.arrays("label", "001")["instance_map"]
        caches = data.cache("label_caches", ["001"], semantic=np.minimum(objects, 1), instance_class=np.array([0, 0]))
        panel = data.show(label_caches=caches)["001"]
        instances, semantic = tile(panel, 1, 3), tile(panel, 2, 3)
        # Low in each piece, away from its name.
        left, right = (HEIGHT * 5 // 7, WIDTH // 4), (HEIGHT * 5 // 7, 3 * WIDTH // 4)
        assert abs(instances[left].astype(int) - instances[right]).sum() > 100
        assert (semantic[left] == semantic[right]).all()

    def test_piece_without_score_is_outlined_only(self, data):
        panel = data.show(label_caches=data.cache("label_caches", ["001"], instance_score=np.array([1.0, 0.0])))["001"]
        instances = tile(panel, 1, 3)
        row, inside = HEIGHT * 5 // 7, 3 * WIDTH // 4
        assert (instances[row, inside] == instances[0, 0]).all()
        assert (instances[row, WIDTH // 2 + 2] == 150).all()
        assert (instances[row, WIDTH // 10] == 255).all()

    def test_names_stand_in_pieces_with_room_only(self, data):
        """Narrow stripes hold no text: each has its colour and its outline, nothing more."""
        stripes = np.zeros((HEIGHT, WIDTH), int)
        stripes[:, 20:28], stripes[:, 60:68] = 1, 2
        instances = tile(
            data.show(label_caches=data.cache("label_caches", semantic=stripes, instance_map=stripes))["001"], 1, 3
        )
        for left in (20, 60):
            assert len(np.unique(instances[1:-1, left : left + 8].reshape(-1, 3), axis=0)) == 2
        roomy = tile(data.show(**data.caches("label_caches"))["001"], 1, 3)
        assert len(np.unique(roomy[60:-60, 40:100].reshape(-1, 3), axis=0)) > 10


class TestChoice:
    def test_evenly_spaced_among_what_all_caches_hold(self, tmp_path):
        data = DataSet(tmp_path, [f"{i:03}" for i in range(10, 30)])
        caches = {"fields": data.cache("fields", data.ids[:15]), "ir_labels": data.cache("ir_labels", data.ids[4:])}
        assert list(data.show([], count=3, **caches)) == ["014", "019", "024"]

    def test_count_beyond_what_there_is(self, data):
        assert list(data.show([], **data.caches("fields"))) == list(IDS)

    def test_prefers_images_with_a_class(self, data):
        assert list(data.show([], labels=data.root / "labels.csv")) == ["001", "003"]

    def test_named_images_ignore_the_count(self, data):
        assert list(data.show(["003", "001"], count=1)) == ["001", "003"]

    def test_count_of_none(self, data, capsys):
        said = refused(
            capsys, data.root, "show", "--manifest", data.root / "manifest.csv", "--out", data.out, "--count", 0
        )
        assert said == "irn show: --count is '0'; expected a whole number of at least 1; see irn show --help"

    def test_caches_of_other_images(self, data):
        path = data.root / "other.h5"
        with CacheWriter(path, "field", {"stage": "test"}) as cache:
            cache.write("other", HEIGHT, WIDTH, data.arrays("field", "001"))
        data.refused("other.h5", "no image", images=[], fields=[path])


class TestMistakes:
    def test_unknown_id(self, data):
        data.refused("manifest.csv", "'004'", "'001'", images=["001", "004"])

    def test_image_missing_from_a_cache(self, data):
        data.refused("fields.h5", "'003'", images=IDS, fields=data.cache("fields", ["001", "002"]))

    def test_missing_cache(self, data):
        data.refused("none.h5", "no such cache file", cams=[data.root / "none.h5"])

    def test_missing_image_file(self, data):
        (data.root / "images/003.png").unlink()
        data.refused("003.png", images=IDS)

    def test_cache_of_another_size(self, data):
        small = DataSet(data.root, size=(40, 40)).cache("ir_labels")
        DataSet(data.root)
        data.refused("ir_labels.h5", "40 x 40", f"{HEIGHT} x {WIDTH}", ir_labels=small)

    @pytest.mark.parametrize(
        ("option", "name", "limit"),
        [
            ("cams", "classes", 3),
            ("ir_labels", "label", 4),
            ("label_caches", "semantic", 4),
            ("label_caches", "instance_class", 3),
        ],
    )
    def test_class_beyond_the_table(self, data, option, name, limit):
        array = np.array(data.arrays(KINDS[option], "001")[name])
        array[-1] = 17
        cache = data.cache(option, ["001"], **{name: array})
        data.refused(f"{option}.h5", name, "17", str(limit), labels=data.root / "labels.csv", **{option: cache})
        data.show(**{option: cache})  # without a table nobody says how many classes there are

    def test_piece_without_a_row(self, data):
        pieces = np.full((HEIGHT, WIDTH), 9)
        data.refused("instance_map", "9", label_caches=data.cache("label_caches", ["001"], instance_map=pieces))

    def test_numbers_that_are_not_finite(self, data):
        boundary = np.full((cells(HEIGHT), cells(WIDTH)), np.nan)
        data.refused("fields.h5", "boundary", "not finite", fields=data.cache("fields", boundary=boundary))

    def test_image_without_a_row_of_labels(self, data):
        write_classes(data.root / "labels.csv", ImageClasses(NAMES, {"001": [0], "002": []}))
        data.refused("labels.csv", "'003'", images=IDS, labels=data.root / "labels.csv")

    def test_panels_do_not_replace_the_images(self, data):
        source = read_manifest(data.root / "manifest.csv")[0].path
        before = source.read_bytes()
        with pytest.raises(IrnError, match="would replace that image"):
            show(data.root / "manifest.csv", [source.stem], source.parent)
        assert source.read_bytes() == before

    def test_out_is_a_file(self, data):
        data.out.write_text("notes")
        data.refused("panels", "folder")
        assert data.out.read_text() == "notes"


class TestColours:
    def test_first_and_last_of_the_voc_palette(self):
        palette = voc_palette()
        assert (palette.shape, palette.dtype) == ((256, 3), np.uint8)
        assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
        assert palette[15].tolist() == [192, 128, 128]
        assert palette[255].tolist() == [224, 224, 192]
        assert (voc_palette(21) == palette[:21]).all()

    def test_voc_palette_never_repeats(self):
        assert len(np.unique(voc_palette(), axis=0)) == 256

    def test_opposite_displacements_have_opposite_hues(self):
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        forward = flow_colours(np.stack([np.sin(angles), np.cos(angles)])[:, None] * 5)[0]
        backward = flow_colours(np.stack([np.sin(angles), np.cos(angles)])[:, None] * -5)[0]
        turned = [(hue(a) - hue(b)) % 1 for a, b in zip(forward, backward, strict=True)]
        assert turned == pytest.approx([0.5] * 24, abs=0.01)
        assert [hue(colour) for colour in forward] == pytest.approx(angles / (2 * np.pi), abs=0.01)

    def test_no_displacement_is_neutral(self):
        assert (flow_colours(np.zeros((2, 3, 4))) == 255).all()

    def test_longer_is_stronger_up_to_the_length_given(self):
        displacement = np.zeros((2, 1, 4))
        displacement[0, 0] = 1, 2, 4, 8
        strengths = [rgb_to_hsv(*(colour / 255))[1] for colour in flow_colours(displacement, 4)[0]]
        assert strengths == pytest.approx([0.25, 0.5, 1, 1], abs=0.01)

    def test_wheel_has_the_colours_of_the_field(self):
        colours, disc = flow_wheel(41)
        assert hue(colours[20, 39]) == pytest.approx(0, abs=0.02)
        assert hue(colours[39, 20]) == pytest.approx(0.25, abs=0.02)
        assert (colours[20, 20] == 255).all()
        assert (disc[20, 20], disc[0, 0]) == (1, 0)

    def test_heat_brightens(self):
        brightness = heat(np.linspace(0, 1, 50)).astype(int) @ [299, 587, 114]
        assert (np.diff(brightness) > 0).all()
        assert (heat(np.array([-1.0, 2.0])) == heat(np.array([0.0, 1.0]))).all()

    def test_overlay_leaves_background(self):
        image = np.full((1, 3, 3), 100, np.uint8)
        shown = overlay(image, np.array([[0, 1, 2]]), voc_palette(), 0.5)
        assert shown.tolist() == [[[100, 100, 100], [114, 50, 50], [50, 114, 50]]]

    def test_outlines(self):
        regions = np.zeros((5, 7), int)
        regions[1:4, 1:4], regions[1:4, 4:6] = 1, 2
        assert outlines(regions)[1:4, 1:6].tolist() == [[True] * 5, [True, False, True, True, True], [True] * 5]
        assert outlines(regions).sum() == 14
        assert not outlines(np.ones((3, 3), int)).any()

    def test_distinct_colours(self):
        colours = distinct_colours(40).astype(int)
        assert abs(np.diff(colours, axis=0)).sum(1).min() > 100
        assert len(np.unique(colours, axis=0)) == 40
        assert distinct_colours(0).shape == (0, 3)


def hue(colour):
    """In [0, 1), with what rounds to a whole turn as 0."""
    value = rgb_to_hsv(*(np.asarray(colour) / 255))[0]
    return 0.0 if value > 0.995 else value
