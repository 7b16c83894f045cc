"""irn/commands/report.py and irn/report/: what a user finds in the report of a run, in a browser too."""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import Sample, in_browser, refused, run, save_png, set_width, snakemake, start_browser, write_data
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_scores import boxes, filled, random_image, slow_iou

from irn.grid import cells
from irn.io.cache import CacheWriter
from irn.ops.image_scores import best_overlaps, flat_maps, image_iou
from irn.ops.losses import pair_losses
from irn.ops.overlaps import object_classes
from irn.ops.reference_losses import zero_field_loss
from irn.ops.shares import label_shares
from irn.pictures.panels import spread
from irn.report.facts import Facts, Ranking
from irn.report.gallery import badges
from irn.settings.reading import read_config
from irn.workflow.run import Run

SIZE = (48, 60)
# What HTML, JSON within HTML and Vega might take for more than a name.
NAMES = [
    "</script><script>window.hit = 1</script>",
    "\"><img src=x onerror='window.hit = 1'>",
    "a & b {{ 7 * 7 }}",
    "dog",
]


# ---- scores of one image


def slow_best_overlaps(classes, scores, instance_map, masks, labels):
    found = []
    for mask, label in zip(masks, labels, strict=True):
        pieces = [
            instance_map == row + 1 for row in range(len(classes)) if classes[row] + 1 == label and scores[row] > 0
        ]
        found.append(max(((piece & mask).sum() / (piece | mask).sum() for piece in pieces), default=0.0))
    return found


class TestImageScores:
    @pytest.mark.parametrize("seed", range(20))
    def test_overlaps_equal_the_twin(self, seed):
        classes, scores, instance_map, object_mask, class_mask = random_image(np.random.default_rng(seed), 3)
        ids, labels = object_classes(object_mask, class_mask)
        masks = object_mask == ids[:, None, None]
        found = best_overlaps(classes, scores, instance_map, masks, labels)
        np.testing.assert_allclose(found, slow_best_overlaps(classes, scores, instance_map, masks, labels))

    def test_an_object_counts_as_found_where_average_precision_counts_it(self):
        objects = boxes((20, 20), (0, 10, 0, 10), (10, 20, 10, 20))
        pieces, label = np.where(objects == 1, 1, 0), np.minimum(objects, 1)
        one = np.array([0]), np.array([1.0]), pieces
        overlaps = best_overlaps(*one, objects == np.array([1, 2])[:, None, None], np.array([1, 1]))
        assert overlaps.tolist() == [1, 0]
        assert filled([(*one, objects, label)], 1).average_precision([0.5])[0, 0] == np.mean(overlaps >= 0.5)

    def test_nothing_to_find_and_nothing_found(self):
        none, nowhere = np.zeros(0, int), np.zeros((4, 5), int)
        assert best_overlaps(none, none, nowhere, np.zeros((0, 4, 5), bool), none).shape == (0,)
        assert best_overlaps(none, none, nowhere, np.ones((2, 4, 5), bool), np.array([1, 1])).tolist() == [0, 0]

    @pytest.mark.parametrize("seed", range(10))
    def test_iou_of_an_image_equals_the_twin(self, seed):
        rng = np.random.default_rng(seed)
        truth, predicted = rng.choice([0, 1, 3, 255], (9, 7)), rng.choice([0, 2, 3], (9, 7))
        assert image_iou(truth, predicted, 3) == pytest.approx(np.nanmean(slow_iou([truth], [predicted], 4)))

    def test_iou_without_a_pixel_that_counts_is_undefined(self):
        assert np.isnan(image_iou(np.full((3, 3), 255), np.zeros((3, 3), int), 1))

    def test_shares(self):
        assert label_shares(np.array([[0, 0, 1, 255]])) == (0.25, 0.5, 0.25)

    def test_flat_maps(self):
        point = np.zeros((8, 8))
        point[2:5, 2:5] = 1
        assert flat_maps(np.stack([point, np.zeros((8, 8)), np.ones((8, 8)), point / 20 + 0.9])).tolist() == [
            False,
            True,
            True,
            True,
        ]
        assert flat_maps(np.zeros((0, 8, 8))).shape == (0,)

    def test_a_map_of_a_small_object_is_not_flat(self):
        small = np.zeros((40, 40))
        small[3:6, 20:22] = 1
        # But one that is bright all over is, even with a dark spot.
        assert flat_maps(np.stack([small, 0.1 + 0.9 * small, 1 - small])).tolist() == [False, False, True]


def test_a_field_of_zeros_has_the_loss_that_the_curve_is_compared_with():
    label = torch.ones((1, 24, 24), dtype=torch.uint8)
    losses = pair_losses(torch.zeros((1, 1, 24, 24)), torch.zeros((1, 2, 24, 24)), label, 5)
    assert zero_field_loss(5) == pytest.approx(float(losses["foreground_displacement"]))


@pytest.mark.parametrize(
    ("count", "chosen", "places"),
    [(1, 36, [0]), (5, 36, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (300, 2, [0, 299]), (7, 1, [0])],
)
def test_images_are_spread_from_the_best_to_the_worst(count, chosen, places):
    assert spread(count, chosen) == places


@pytest.mark.parametrize(
    ("corrected", "others", "most", "places"),
    [
        (3, 97, 9, [0, 1, 2, 3, 22, 41, 61, 80, 99]),
        (50, 50, 4, [0, 49, 50, 99]),
        (9, 1, 4, [0, 4, 8, 9]),
        (5, 0, 3, [0, 2, 4]),
        (0, 3, 36, [0, 1, 2]),
        (0, 0, 36, []),
    ],
)
def test_the_gallery_has_all_corrected_images_or_fills_half_of_it_with_them(corrected, others, most, places):
    images = [
        Facts("a", "train", [0], [], None, None, 0, None, None, number < corrected)
        for number in range(corrected + others)
    ]
    assert Ranking(images, "").places(most) == places


@pytest.mark.parametrize(
    ("ranks", "count", "names"),
    [
        ([1, 2, 3], 3, {1: "best", 2: "median", 3: "worst"}),
        ([1, 30, 50, 99, 100], 100, {1: "best", 50: "median", 100: "worst"}),
        ([1], 1, {1: "best"}),
        ([], 4, {}),
    ],
)
def test_the_best_the_median_and_the_worst_image_have_a_badge(ranks, count, names):
    assert badges(ranks, count) == names


# ---- a run made by hand


class HandMade:
    """A run on a folder of images: image i has the classes of row i of `present`, and each image worse labels."""

    def __init__(
        self,
        folder: Path,
        present: Sequence[Sequence[int]],
        truth: bool = True,
        settings: Sequence[str] = (),
        val: Sequence[str] = (),  # the ids of images that are scored; by default all in train are
        more: str = "",  # of the section dataset
    ) -> None:
        self.folder, self.present = folder, present
        self.ids = [f"image_{number}" for number in range(len(present))]
        rng = np.random.default_rng(0)
        samples = {}
        self.split_of = {image_id: "val" if image_id in val else "train" for image_id in self.ids}
        for image_id, classes in zip(self.ids, present, strict=True):
            mask = self.label(classes, 0).astype(np.uint8) if truth else None
            pixels = rng.integers(0, 255, (*SIZE, 3), np.uint8)
            samples[image_id] = Sample(pixels, classes, class_mask=mask, object_mask=mask)
        write_data(folder / "data", NAMES, samples)
        pd.Series(self.split_of, name="split").to_csv(folder / "data/splits.csv", index_label="image_id")
        data = f"kind: folder, root: data, eval_split: {'val' if val else 'train'}{more}"
        entries = ["run=mine", f"dataset={{{data}}}", "mask_rcnn={labels: none}", *settings]
        if truth:
            entries[1] = f"dataset={{{data}, class_masks: data/class_masks, object_masks: data/object_masks}}"
        with contextlib.chdir(folder):
            self.run = Run(read_config(entries=entries))
            self.run.show()
            self.stages = self.run.configurations[0]
            files = self.stages["build_manifest"].files()
            outputs = ["--out-manifest", files[0], "--out-labels", files[1]]
            run("build-manifest", "--kind", "folder", "--root", "data", *outputs)

    def label(self, own: Sequence[int], missed: int) -> np.ndarray:
        """A box of the image's first class, without its last columns."""
        label = np.zeros(SIZE, int)
        if len(own):
            label[8:40, 10 : 50 - missed] = 1 + own[0]
        return label

    def write(self, stage: str, kind: str, arrays) -> None:
        """The caches of a stage, with arrays(number, classes) of each image."""
        for file in self.stages[stage].files():
            with CacheWriter(self.folder / file, kind, {"stage": stage}) as cache:
                for number, (image_id, own) in enumerate(zip(self.ids, self.present, strict=True)):
                    if self.split_of[image_id] == Path(file).parent.name:
                        cache.write(image_id, *SIZE, arrays(number, np.array(own, int)))

    def write_all(self) -> None:
        """Sound caches of all stages."""
        h, w = map(cells, SIZE)

        def cam(number, own):
            point = np.zeros((len(own), *SIZE), np.float32)
            point[:, 10:30, 10:40] = 1
            return {"classes": own, "cam": point[:, ::4, ::4], "high_res": point}

        def label(number, own):
            label = self.label(own, 8 * number)
            pieces = np.array([own[0]] if len(own) and label.any() else [], int)
            return {
                "semantic": label, "instance_map": (label > 0).astype(int) * (len(pieces) > 0),
                "instance_class": pieces, "instance_score": np.ones(len(pieces)),
            }  # fmt: skip

        none = np.zeros(0, int)
        self.write("make_cams", "cam", cam)
        self.write("make_ir_labels", "ir_label", lambda number, own: {"label": self.label(own, number)})
        self.write(
            "infer_fields", "field", lambda *_: {"boundary": np.zeros((h, w)), "displacement": np.ones((2, h, w))}
        )
        walks = {
            "walk": np.zeros((0, h, w)),
            "walk_class": none,
            "walk_instance": none,
            "groups": np.zeros((h, w), int),
        }
        self.write("random_walk", "walk", lambda *_: walks)
        self.write("make_labels", "label", label)

    def correct(self) -> None:
        """Read the corrected masks in the folder `corrected`."""
        cache, table = (self.folder / file for file in self.stages["read_corrections"].files())
        tables = [self.folder / file for file in self.stages["build_manifest"].files()]
        run("read-corrections", "--manifest", tables[0], "--labels", tables[1], "--corrected",
            self.folder / "corrected", "--out", cache, "--out-labels", table)  # fmt: skip

    def write_scores(self, *rows: tuple[str, str, str, str, float, int]) -> None:
        """A table of scores: stage, split, metric, class, value and number of images of each."""
        link = self.folder / "results/mine/scores.csv"
        link.unlink()
        pd.DataFrame(rows, columns=["stage", "split", "metric", "class", "value", "images"]).to_csv(link, index=False)

    def report(self, *options: object) -> str:
        """The report, as text."""
        run("report", "--run", self.folder / "results/mine", "--out", self.folder / "report.html", *options)
        return (self.folder / "report.html").read_text(encoding="utf-8")


def cards(page: str) -> list[str]:
    """The ids of the gallery, in order."""
    return re.findall(r'<article class="card"[^>]* data-id="([^"]*)"', page)


def warnings_in(page: str) -> dict[str, str]:
    """What is warned of, by title."""
    section = page[page.index('<section id="warnings">') : page.index('<section id="scores">')]
    return dict(re.findall(r"<h3>(.*?)</h3>\s*(.*?)</div>", section, re.S))


class TestReport:
    def test_images_go_from_the_best_to_the_worst_by_their_score(self, tmp_path):
        made = HandMade(tmp_path, [[3], [3], [3], [3]])
        made.write_all()
        page = made.report()
        assert cards(page) == made.ids
        scores = [float(value) for value in re.findall(r"mIoU (0\.\d+|1\.0+)", page)]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] == 1
        assert "objects found 1 of 1" in page
        assert cards(made.report("--images", 2)) == [made.ids[0], made.ids[-1]]

    def test_every_stage_has_its_pictures_and_they_have_words(self, tmp_path):
        made = HandMade(tmp_path, [[3]])
        made.write_all()
        page = made.report()
        kinds = ["image", "cam", "ir_label", "boundary", "displacement", "groups", "instances", "semantic", "truth"]
        assert re.findall(r'data-kind="(\w+)"', page) == kinds
        images = re.findall(r"<img [^>]*>", page)
        assert len(images) == len(kinds)
        assert all(re.search(r'alt="[^"]*image_0[^"]*dog', image) for image in images)

    def test_nothing_is_loaded_from_elsewhere(self, tmp_path):
        made = HandMade(tmp_path, [[3]])
        made.write_all()
        page = re.sub(r"<script>.*?</script>", "", made.report(), flags=re.S)
        assert not re.search(r"""(?:src|href|action)=["'](?!data:|#)""", page)
        assert "url(" not in page
        assert "@import" not in page

    def test_without_ground_truth_images_are_in_the_order_of_how_sure_their_labels_are(self, tmp_path):
        made = HandMade(tmp_path, [[3], [3], [3]], truth=False)
        made.write_all()
        made.write("make_ir_labels", "ir_label", lambda number, own: {"label": np.where(unsure_part(number), 255, 0)})
        page = made.report()
        assert cards(page) == [made.ids[1], made.ids[2], made.ids[0]]
        assert "mIoU 0" not in page

    def test_corrected_images_come_first_and_have_no_score(self, tmp_path):
        masks = tmp_path / "corrected/SegmentationClass"
        masks.mkdir(parents=True)
        # Corrected to another class.
        save_png(masks / "image_2.png", np.full(SIZE, 2, np.uint8))
        made = HandMade(tmp_path, [[3], [3], [3]], more=f", corrected: '{masks.parent}'")
        made.correct()
        made.write_all()
        made.write_scores(("semantic", "train", "mIoU", "mean", 0.5, 2))
        page = made.report()
        assert cards(page) == ["image_2", "image_0", "image_1"]
        first, *others = page.split('<article class="card"')[1:]
        assert '<span class="badge">corrected</span>' in first
        assert "mIoU" not in first
        assert ">rank" not in first
        assert '<span class="badge">best</span>' in others[0]
        assert ">rank 1" in others[0]
        assert 'data-classes="1"' in page
        assert all("mIoU" in card for card in others)
        assert "<dt>images corrected by hand</dt><dd>1, which are not scored</dd>" in page
        assert "left out of these scores. There are 1; the gallery begins with them." in page

    def test_corrected_images_of_a_split_that_is_not_scored_come_first_too(self, tmp_path):
        masks = tmp_path / "corrected/SegmentationClass"
        masks.mkdir(parents=True)
        save_png(masks / "image_3.png", np.full(SIZE, 2, np.uint8))
        corrected = f", corrected: '{masks.parent}'"
        made = HandMade(tmp_path, [[3], [3], [3], [3]], val=["image_0", "image_1"], more=corrected)
        made.correct()
        made.write_all()
        made.write_scores(("semantic", "val", "mIoU", "mean", 0.5, 2))
        page = made.report()
        assert cards(page) == ["image_3", "image_0", "image_1"]
        assert "left out of these scores" not in page

    def test_the_most_doubtful_labels_are_shown_first_and_why(self, tmp_path):
        made = HandMade(tmp_path, [[3], [2], [], [0, 3]])
        made.write_all()
        assert "Look at these first" not in made.report()
        rows = [
            "image_3,0.9,2 classes; soft outlines",
            "image_0,0.5,1 class",
            "gone,0.4,no outline",
            "image_2,0,no class",
        ]
        table = tmp_path / "results/mine/doubt.csv"
        table.unlink()
        table.write_text("\n".join(["image_id,doubt,why", *rows]), encoding="utf-8")
        page = made.report()
        section = page[page.index('<section id="first">') : page.index('<section id="gallery">')]
        assert re.findall(r"<h3>(.*?)</h3>", section) == ["image_3", "image_0"]
        assert re.findall(r"<li>([^<]+)</li>", section) == ["2 classes", "soft outlines", "1 class"]
        assert "irn review --run results/mine" in section
        assert len(re.findall(r'<img src="data:image/webp[^>]*alt="semantic label of image image_', section)) == 2
        assert NAMES[0] not in section
        # Those of the gallery are as before.
        assert len(cards(page)) == 3

    def test_external_cams_are_a_run_like_any_other(self, tmp_path):
        (tmp_path / "cams.h5").touch()
        external = [f"cam={{external: ['{tmp_path / 'cams.h5'}']}}", "pretrained=imagenet"]
        made = HandMade(tmp_path, [[3]], settings=external)
        made.write_all()
        page = made.report()
        assert cards(page) == made.ids
        assert "train_cam" not in page

    def test_what_a_run_has_not_made_yet_is_left_out(self, tmp_path):
        made = HandMade(tmp_path, [[3], [0]])
        assert cards(made.report()) == []
        made.write_all()
        for stage in ("infer_fields", "random_walk", "make_labels"):
            (tmp_path / made.stages[stage].files()[0]).unlink()
        page = made.report()
        assert len(cards(page)) == 2
        assert set(re.findall(r'data-kind="(\w+)"', page)) == {"image", "cam", "ir_label"}

    @pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"no cache"])
    @pytest.mark.parametrize("stage", ["make_cams", "random_walk"])
    def test_a_damaged_cache_is_refused(self, tmp_path, capsys, damage, stage):
        made = HandMade(tmp_path, [[3]])
        made.write_all()
        cache = tmp_path / made.stages[stage].files()[0]
        cache.write_bytes(damage(cache.read_bytes()))
        options = ["--run", tmp_path / "results/mine", "--out", tmp_path / "report.html"]
        assert re.search(r"the cache is damaged|format_version", refused(capsys, tmp_path, "report", *options))

    def test_warnings(self, tmp_path):
        made = HandMade(tmp_path, [[2, 3], [2], [2], []])
        made.write_all()

        def flat_in_image_1(number, own):
            maps = np.zeros((len(own), *SIZE), np.float32)
            maps[:, : SIZE[0] // 2] = 1
            maps[:] = 1 if number == 1 else maps
            return {"classes": own, "cam": maps[:, ::4, ::4], "high_res": maps}

        empty = {
            "semantic": np.zeros(SIZE, int),
            "instance_map": np.zeros(SIZE, int),
            "instance_class": [],
            "instance_score": np.zeros(0),
        }
        empty["instance_class"] = np.zeros(0, int)
        made.write("make_cams", "cam", flat_in_image_1)
        made.write(
            "make_ir_labels", "ir_label", lambda number, own: {"label": np.full(SIZE, 255 if number == 2 else 0)}
        )
        made.write("make_labels", "label", lambda number, own: empty)
        log = Path(made.stages["make_labels"].files()[0]).with_suffix(".log")
        (tmp_path / log).write_text("some line\nnotice: this is <wrong>\nnotice: this is <wrong>\n")
        found = warnings_in(made.report())
        said = [
            "Classes in no training image: 2",
            "Flat CAMs: 1",
            "More than half unsure: 1",
            "Labels all background: 3",
        ]
        assert list(found) == [*said, "Said by make_labels"]
        assert "image_1 (a &amp; b" in found["Flat CAMs: 1"]
        assert "image_2" in found["More than half unsure: 1"]
        assert "image_3" not in found["Labels all background: 3"]
        assert "this is &lt;wrong&gt;" in found["Said by make_labels"]

    @pytest.mark.parametrize(
        ("threshold", "advice", "other"),
        [(0.5, "boundary maps", "labels.semantic_threshold"), (1, "labels.semantic_threshold", "boundary maps")],
    )
    def test_labels_that_are_all_background_get_the_advice_that_helps(self, tmp_path, threshold, advice, other):
        made = HandMade(tmp_path, [[3]], settings=[f"labels={{semantic_threshold: {threshold}}}"])
        empty = np.zeros(SIZE, int)
        pieces = {"instance_class": np.zeros(0, int), "instance_score": np.zeros(0)}
        made.write("make_labels", "label", lambda *_: {"semantic": empty, "instance_map": empty, **pieces})
        warning = warnings_in(made.report())["Labels all background: 1"]
        assert advice in warning
        assert other not in warning

    def test_a_page_without_warnings_says_what_was_looked_at(self, tmp_path):
        made = HandMade(tmp_path, [[0], [1], [2], [3]])
        classes = "<p>Nothing looks wrong: each class is in some training images and not in others, "
        assert classes + "and no stage gave notice of anything.</p>" in made.report()
        made.write_all()
        caches = "no CAM is flat, no IR label is more than half unsure, no label is all background, "
        assert classes + caches + "and no stage gave notice of anything.</p>" in made.report()

    @pytest.mark.parametrize("caches", [False, True])
    def test_classes_that_are_always_or_never_there(self, tmp_path, caches):
        made = HandMade(tmp_path, [[3], [2, 3]])
        if caches:
            made.write_all()
        warnings = warnings_in(made.report())
        assert "dog" in warnings["Classes in every training image: 1"]
        assert "onerror" in warnings["Classes in no training image: 2"]

    def test_a_sweep_names_the_chosen_combination(self, tmp_path):
        settings = ["sweep={labels.semantic_threshold: [0.3, 0.5], walk.beta: [5, 10]}"]
        made = HandMade(tmp_path, [[3]], settings=settings)
        rows = [
            (n, t, b, t / 2 + b / 100, 0.5) for n, (t, b) in enumerate([(0.3, 5), (0.3, 10), (0.5, 5), (0.5, 10)], 1)
        ]
        columns = [
            "configuration",
            "labels.semantic_threshold",
            "walk.beta",
            "semantic.train.mIoU",
            "instance.train.AP50",
        ]
        table = pd.DataFrame(rows, columns=columns)
        link = tmp_path / "results/mine/sweep.csv"
        link.unlink()
        best_for = ["", "", "", "semantic.train.mIoU instance.train.AP50"]
        table.assign(best_for=best_for).to_csv(link, index=False)
        page = made.report()
        # Names of scores, of which there may be many, are in a column that breaks lines, near the settings.
        headers = re.findall(r'<th scope="col">(.*?)</th>', page[page.index('<section id="sweep">') :])
        assert headers[:5] == [*columns[:3], "best_for", columns[3]]
        assert f'<td class="prose">{best_for[3]}</td>' in page
        assert re.search(r'<tr class="chosen"><td>4 <strong>chosen</strong></td><td>0\.5</td><td>10</td>', page)
        # One that leaves the semantic labels as they are is chosen by instances.
        table.assign(**{"semantic.train.mIoU": 0.5, "instance.train.AP50": [0.1, 0.3, 0.2, 0.1]}).to_csv(
            link, index=False
        )
        assert re.search(r'<tr class="chosen"><td>2 ', made.report())

    def test_seeds_are_shown_as_mean_and_spread(self, tmp_path):
        made = HandMade(tmp_path, [[3]], settings=["seeds=[0, 1]"])
        link = tmp_path / "results/mine/scores.csv"
        link.unlink()
        rows = [
            (seed, "semantic", "train", metric, name, value, 1)
            for seed, value in (("0", 0.4), ("1", 0.6), ("mean", 0.5), ("std", 0.141))
            for metric, name in (("mIoU", "mean"), ("IoU", "dog"))
        ]
        pd.DataFrame(rows, columns=["seed", "stage", "split", "metric", "class", "value", "images"]).to_csv(
            link, index=False
        )
        assert "0.500 ± 0.141" in made.report()

    def test_an_ablation_is_shown(self, tmp_path):
        made = HandMade(tmp_path, [[3]])
        assert 'id="ablation"' not in made.report()
        (tmp_path / "results/mine/ablation.csv").write_text("labels,variant,mIoU\nsemantic,CAM + <CRF>,0.5\n")
        assert "CAM + &lt;CRF&gt;" in made.report()

    def test_settings_that_differ_and_no_others(self, tmp_path):
        page = HandMade(tmp_path, [[3]], settings=["walk={beta: 7, steps: 256}"]).report()
        rows = re.findall(r'<th scope="row"><code>([\w.]+)</code></th><td><code>(.*?)</code>', page)
        assert ("walk.beta", "7.0") in rows
        assert "walk.steps" not in dict(rows)

    def test_what_is_no_run_is_refused(self, capsys, tmp_path):
        said = refused(capsys, tmp_path, "report", "--run", tmp_path, "--out", tmp_path / "report.html")
        assert "expected results/<run>, which snakemake makes" in said
        with contextlib.chdir(tmp_path):
            Run(read_config(entries=["run=mine"])).show()
        said = refused(
            capsys, tmp_path, "report", "--run", tmp_path / "results/mine", "--out", tmp_path / "report.html"
        )
        assert "run snakemake first" in said


def unsure_part(number: int) -> np.ndarray:
    """Where the IR label of an image is unsure: most in image 0, nowhere in image 1."""
    return np.arange(SIZE[1]) < (50, 0, 20)[number] * np.ones((SIZE[0], 1))


# ---- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    driver = start_browser()
    driver.execute_cdp_cmd("Network.enable", {})
    # What is not in the file cannot be had.
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    yield driver
    driver.quit()


def opened(browser: webdriver.Chrome, page: Path, width: int = 1280, dark: bool = False) -> list[str]:
    """Open a page at a width, wait for its charts, and give what its console says."""
    set_width(browser, width)
    feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(page.resolve().as_uri())
    drawn = "return [...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg'))"
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(drawn))
    return [entry["message"] for entry in browser.get_log("browser")]


def seen(browser: webdriver.Chrome) -> list[str]:
    """The ids of the images that are shown, from the top."""
    return [
        card.get_attribute("data-id") for card in browser.find_elements(By.CSS_SELECTOR, ".card") if card.is_displayed()
    ]


@in_browser
class TestInABrowser:
    def test_it_opens_without_a_word_in_the_console(self, browser, finished):
        page = finished / "results/small/report.html"
        assert opened(browser, page) == []
        assert page.stat().st_size < 15e6
        assert len(browser.find_elements(By.CSS_SELECTOR, ".plot svg")) > 5
        sizes = browser.execute_script(
            "return [...document.querySelectorAll('.card img')].map(image => image.naturalWidth)"
        )
        assert len(sizes) > 100
        assert min(sizes) > 0

    def test_the_filter_leaves_images_of_the_class(self, browser, finished):
        opened(browser, finished / "results/small/report.html")
        everything = seen(browser)
        classes = pd.read_csv(finished / "results/small/build_manifest/labels.csv", index_col=0)
        name = classes.columns[1]
        choice = Select(browser.find_element(By.ID, "filter"))
        choice.select_by_visible_text(next(option.text for option in choice.options if option.text.startswith(name)))
        held = [image_id for image_id in everything if classes.loc[image_id, name]]
        assert 0 < len(held) < len(everything)
        assert seen(browser) == held
        assert browser.find_element(By.ID, "shown").text.startswith(f"{len(held)} image")
        choice.select_by_index(0)
        Select(browser.find_element(By.ID, "order")).select_by_value("worst")
        assert seen(browser) == everything[::-1]

    def test_the_slider_uncovers_the_image(self, browser, finished):
        opened(browser, finished / "results/small/report.html")
        card = browser.find_element(By.CSS_SELECTOR, ".card")
        slider = card.find_element(By.CSS_SELECTOR, "input[type=range]")
        above = card.find_element(By.CSS_SELECTOR, ".stack .above")

        def covered(percent: int) -> float:
            script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
            browser.execute_script(script, slider, percent)
            right = re.match(
                r"inset\(\S+ (\S+)", browser.execute_script("return getComputedStyle(arguments[0]).clipPath", above)
            )
            width = above.size["width"]
            cut = right[1].removesuffix(")")
            found = re.findall(r"([\d.]+)(%|px)", cut)
            return 1 - sum(float(n) / (100 if unit == "%" else width) for n, unit in found)

        assert covered(100) == pytest.approx(1, abs=0.01)
        assert covered(25) == pytest.approx(0.25, abs=0.01)
        assert covered(0) == pytest.approx(0, abs=0.01)

    def test_a_picture_that_is_chosen_lies_over_the_image(self, browser, finished):
        opened(browser, finished / "results/small/report.html")
        card = browser.find_element(By.CSS_SELECTOR, ".card")
        button = card.find_element(By.CSS_SELECTOR, "button[data-kind=boundary]")
        button.click()
        picture = button.find_element(By.TAG_NAME, "img").get_attribute("src")
        assert card.find_element(By.CSS_SELECTOR, ".stack .above").get_attribute("src") == picture
        assert button.get_attribute("aria-pressed") == "true"
        Select(browser.find_element(By.ID, "layer")).select_by_value("cam")
        pressed = browser.find_elements(By.CSS_SELECTOR, "button[aria-pressed=true]")
        assert {one.get_attribute("data-kind") for one in pressed} == {"cam"}

    @pytest.mark.parametrize("dark", [False, True])
    def test_it_fits_a_phone_light_and_dark(self, browser, finished, dark):
        assert opened(browser, finished / "results/small/report.html", 390, dark) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
        ink, paper = (
            browser.execute_script(f"return getComputedStyle(document.body).{name}")
            for name in ("color", "backgroundColor")
        )
        brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
        assert (brightness[0] > brightness[1] + 300) if dark else (brightness[1] > brightness[0] + 300)

    def test_names_are_names_and_nothing_else(self, browser, tmp_path):
        made = HandMade(tmp_path, [[0], [1], [2]])
        made.write_all()
        classes = [("semantic", "train", "IoU", name, 0.5, 3) for name in NAMES]
        made.write_scores(("semantic", "train", "mIoU", "mean", 0.5, 3), *classes)
        made.report()
        assert opened(browser, tmp_path / "report.html") == []
        assert browser.execute_script("return window.hit") is None
        assert [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".card .class")] == NAMES[:3]
        assert [
            option.text.rpartition(" (")[0] for option in Select(browser.find_element(By.ID, "filter")).options[1:]
        ] == NAMES[:3]


# ---- in the workflow


def test_snakemakes_own_report_has_the_scores_and_the_report_with_captions(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    result = snakemake(tmp_path, "--report", str(tmp_path / "report.zip"))
    assert result.returncode == 0, result.stderr
    shutil.unpack_archive(tmp_path / "report.zip", tmp_path / "unpacked")
    names = {path.name for path in (tmp_path / "unpacked").rglob("*") if path.is_file()}
    assert {"scores.csv", "thresholds.csv", "report.html"} <= names
    page = next(path for path in (tmp_path / "unpacked").rglob("report.html") if "data" not in path.parts)
    assert "gallery of images from the best to the worst" in page.read_text()


def test_a_run_ends_with_a_report_and_the_key_is_that_of_what_it_shows(finished: Path) -> None:
    run_folder = finished / "results/small"
    record = json.loads((run_folder / "report.html").resolve().with_name("key.json").read_text())
    listed = json.loads((run_folder / "run.json").read_text())["configurations"][0]["stages"]
    assert record["reads"] == {stage: Path(folder).name for stage, folder in listed.items()}
