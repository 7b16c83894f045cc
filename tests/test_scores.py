"""The metrics of irn/ops against slow twins that go mask by mask, and against cases worked out by hand."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from irn.ops.average_precision import AP_THRESHOLDS, Masks, Pieces, VocAP
from irn.ops.coco_ap import CocoAP, CocoImage, PieceSizeAP, encoded, evaluated
from irn.ops.iou import SWEEP_THRESHOLDS, CamIoU, ClassMaps, IoU, class_iou, confusion_matrix
from irn.ops.metric import Terms, mean_of_defined
from irn.ops.metrics import METRICS, columns, leading, mean_names
from irn.ops.overlaps import object_classes, pairwise_iou

THRESHOLDS = (0.25, *AP_THRESHOLDS)


# The twins.


def slow_iou(truths, predictions, labels):
    values = []
    for label in range(labels):
        both = union = 0
        for truth, predicted in zip(truths, predictions, strict=True):
            counted = truth != 255
            both += ((truth == label) & (predicted == label) & counted).sum()
            union += (((truth == label) | (predicted == label)) & counted).sum()
        values.append(both / union if union else math.nan)
    return np.array(values)


def slow_cam_labels(classes, cam, threshold):
    background = np.full((1, *cam.shape[1:]), threshold, cam.dtype)
    return np.concatenate([[0], np.asarray(classes, int) + 1])[np.concatenate([background, cam]).argmax(0)]


def slow_objects(object_mask, class_mask):
    """[(mask, label)]; label None where no pixel of the object names a class."""
    found = []
    for object_id in sorted(set(object_mask.ravel().tolist()) - {0, 255}):
        mask = object_mask == object_id
        votes = [(int((class_mask[mask] == label).sum()), -label) for label in range(1, 255)]
        most, label = max(votes)
        found.append((mask, -label if most else None))
    return found


def slow_ap(images, class_index, threshold, found=slow_objects):
    """Images as (classes, scores, instance_map, *what `found` finds the objects in), straight from the protocol."""
    entries, objects = [], 0
    for number, (classes, scores, instance_map, *truth) in enumerate(images):
        truths = [mask for mask, label in found(*truth) if label == class_index + 1]
        objects += len(truths)
        for row in (row for row in range(len(classes)) if classes[row] == class_index):
            mask = instance_map == row + 1
            overlaps = [(mask & truth).sum() / (mask | truth).sum() for truth in truths]
            entries.append(
                (scores[row], max(overlaps, default=0.0), (number, int(np.argmax(overlaps))) if truths else None)
            )
    if not objects:
        return math.nan
    entries.sort(key=lambda entry: -entry[0])
    taken, points, right = set(), [], 0
    for count, (_, overlap, truth) in enumerate(entries, 1):
        if overlap >= threshold and truth not in taken:
            taken.add(truth)
            right += 1
        points.append((right / objects, right / count))
    area, recall_before = 0.0, 0.0
    for recall, _ in points:
        area += (recall - recall_before) * max(precision for other, precision in points if other >= recall)
        recall_before = recall
    return area


def slow_of_size(images, class_index, smallest, largest):
    """AP50 and recall of objects of an area, by COCO's protocol; images as (truth, predictions)."""
    entries, objects = [], 0
    for truth, predictions in images:
        truths = [
            (mask, is_crowd or not smallest <= mask.sum() <= largest)
            for is_crowd, (masks, labels) in ((False, truth.objects), (True, truth.crowds))
            for mask, label in zip(masks, labels, strict=True)
            if label == class_index + 1
        ]
        truths.sort(key=lambda pair: pair[1])
        objects += sum(not is_ignored for _, is_ignored in truths)
        taken = set()
        of_class = [(score, mask) for index, score, mask in predictions if index == class_index]
        for score, mask in sorted(of_class, key=lambda pair: -pair[0])[:100]:
            best, match = 0.5, None
            for place, (true_mask, is_ignored) in enumerate(truths):
                is_crowd = any(true_mask is crowd for crowd in truth.crowds[0])
                if place in taken and not is_crowd:
                    continue
                if match is not None and is_ignored and not truths[match][1]:
                    break
                both = (mask & true_mask).sum()
                overlap = both / (mask.sum() if is_crowd else (mask | true_mask).sum())
                if overlap >= best:
                    best, match = overlap, place
            if match is None:
                is_left_aside = not smallest <= mask.sum() <= largest
            else:
                taken.add(match)
                is_left_aside = truths[match][1]
            if not is_left_aside:
                entries.append((score, match is not None))
    if not objects:
        return math.nan, math.nan
    entries.sort(key=lambda entry: -entry[0])
    right = np.cumsum([is_right for _, is_right in entries])
    points = [(count / objects, count / place) for place, count in enumerate(right, 1)]
    precisions = [
        max((precision for recall, precision in points if recall >= least), default=0.0)
        for least in np.linspace(0, 1, 101)
    ]
    return float(np.mean(precisions)), max((recall for recall, _ in points), default=0.0)


# Inputs.


def random_image(rng, class_count, shape=(13, 17)):
    class_mask = np.kron(rng.integers(0, class_count + 1, (5, 6)), np.ones((3, 3), int))[: shape[0], : shape[1]]
    object_mask = np.kron(rng.integers(0, 5, (4, 4)), np.ones((4, 5), int))[: shape[0], : shape[1]]
    void = rng.random(shape) < 0.1
    count = int(rng.integers(0, 7))
    # Predictions follow the objects loosely, so that all overlaps occur; tied scores and empty pieces occur too.
    instance_map = np.where(
        rng.random(shape) < rng.uniform(0, 0.5), rng.integers(0, count + 1, shape), np.minimum(object_mask, count)
    )
    scores = rng.choice([0, 0.25, 0.5, 1], count).astype(np.float32)
    classes = rng.integers(0, class_count, count)
    return classes, scores, instance_map, np.where(void, 255, object_mask), np.where(void, 255, class_mask)


def true_image(class_mask=None, objects=None, labels=None):
    return SimpleNamespace(class_mask=class_mask, objects=(objects, labels))


def filled(images, class_count):
    scorer = VocAP(Terms(class_count))
    for classes, scores, instance_map, object_mask, class_mask in images:
        ids, labels = object_classes(object_mask, class_mask)
        named = (labels > 0) & (labels < 255)
        truth = true_image(objects=object_mask == ids[named, None, None], labels=labels[named])
        scorer.add(truth, Pieces(classes, scores, instance_map))
    return scorer


def with_overlaps(rng, class_count):
    """A random image whose objects lie over one another: (classes, scores, instance_map, masks, labels)."""
    classes, scores, instance_map, object_mask, _ = random_image(rng, class_count)
    masks = np.array(
        [(object_mask == number) | (rng.random(object_mask.shape) < 0.2) for number in range(int(rng.integers(0, 6)))]
    )
    masks = masks.reshape(-1, *object_mask.shape)
    return classes, scores, instance_map, masks, rng.integers(1, class_count + 1, len(masks))


def boxes(shape, *corners):
    """A map with value i in the box (top, bottom, left, right) given i-th, later ones on top."""
    array = np.zeros(shape, np.uint16)
    for value, (top, bottom, left, right) in enumerate(corners, 1):
        array[top:bottom, left:right] = value
    return array


class TestConfusionMatrix:
    def test_hand_computed(self):
        truth = np.array([[0, 1, 1], [2, 255, 0]], np.uint8)
        predicted = np.array([[0, 1, 2], [2, 2, 1]], np.uint8)
        matrix = confusion_matrix(truth, predicted, 3)
        assert matrix.dtype == np.int64
        assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
        iou = class_iou(matrix)
        assert iou[:3].tolist() == [1 / 2, 1 / 3, 1 / 2]
        assert math.isnan(iou[3])
        assert mean_of_defined(iou) == pytest.approx(4 / 9)

    def test_images_add_up_to_the_twin(self):
        rng = np.random.default_rng(0)
        for class_count in (1, 3, 254):
            truths = [rng.choice([0, 1, class_count, 255], (9, 7)).astype(np.uint8) for _ in range(4)]
            predictions = [rng.choice([0, 1, class_count], (9, 7)).astype(np.uint8) for _ in range(4)]
            total = sum(confusion_matrix(t, p, class_count) for t, p in zip(truths, predictions, strict=True))
            np.testing.assert_array_equal(class_iou(total), slow_iou(truths, predictions, class_count + 1))

    def test_all_void_defines_nothing(self):
        iou = class_iou(confusion_matrix(np.full((4, 5), 255), np.ones((4, 5), int), 2))
        assert np.isnan(iou).all()
        assert math.isnan(mean_of_defined(iou))

    def test_a_class_that_is_only_predicted_counts_as_0(self):
        assert class_iou(confusion_matrix(np.zeros((1, 2), int), np.array([[0, 1]]), 1)).tolist() == [0.5, 0]


class TestCamIoU:
    @pytest.mark.parametrize("present", [0, 1, 3])
    def test_every_threshold_equals_the_direct_evaluation(self, present):
        rng = np.random.default_rng(present)
        sweep = CamIoU(Terms(4))
        direct = dict.fromkeys(SWEEP_THRESHOLDS, 0)
        for _ in range(3):
            truth = rng.choice([0, 1, 2, 3, 4, 255], (11, 6)).astype(np.uint8)
            classes = rng.permutation(4)[:present]
            # Steps of 0.05 put many scores exactly on thresholds and on each other.
            cam = (rng.integers(0, 21, (present, 11, 6)) / 20).astype(np.float32)
            sweep.add(true_image(truth), ClassMaps(classes, cam))
            for threshold in SWEEP_THRESHOLDS:
                direct[threshold] = direct[threshold] + confusion_matrix(
                    truth, slow_cam_labels(classes, cam, threshold), 4
                )
        matrices = sweep.confusions()
        assert matrices.shape == (60, 5, 5)
        assert 0.15 in sweep.thresholds
        for threshold, matrix in zip(sweep.thresholds, matrices, strict=True):
            np.testing.assert_array_equal(matrix, direct[threshold])

    def test_an_image_takes_as_much_as_its_own_classes_do(self):
        rng = np.random.default_rng(0)
        maps, labels = CamIoU(Terms(254)), IoU(Terms(254))
        truth = rng.choice([0, 3, 254, 255], (11, 6)).astype(np.uint8)
        classes, cam = np.array([253, 7]), rng.random((2, 11, 6)).astype(np.float32)
        predicted = slow_cam_labels(classes, cam, 0.15)
        maps.add(true_image(truth), ClassMaps(classes, cam))
        labels.add(true_image(truth), predicted)
        for metric in (maps, labels):
            # Processes send them to one another, and one of 254 by 254 numbers has 0.5 MB.
            assert len(pickle.dumps(metric)) < 20_000
            np.testing.assert_array_equal(metric.scores(metric.columns[0]), slow_iou([truth], [predicted], 255))

    def test_background_wins_ties_and_the_first_class_among_classes(self):
        sweep = CamIoU(Terms(3, 0.5), [])
        cam = np.array([[[0.5, 0.75, 0.25]], [[0.5, 0.75, 0.75]]], np.float32)
        sweep.add(true_image(np.array([[0, 1, 2]])), ClassMaps(np.array([2, 0]), cam))
        assert sweep.confusions()[0].tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]

    def test_a_score_of_exactly_the_threshold_in_float32_is_background(self):
        sweep = CamIoU(Terms(1, 0.15), [])
        sweep.add(true_image(np.array([[1]])), ClassMaps(np.array([0]), np.full((1, 1, 1), 0.15, np.float32)))
        assert sweep.confusions()[0].tolist() == [[0, 0], [1, 0]]

    def test_all_void_and_no_image(self):
        sweep = CamIoU(Terms(2))
        assert not sweep.confusions().any()
        sweep.add(true_image(np.full((3, 3), 255, np.uint8)), ClassMaps(np.array([1]), np.ones((1, 3, 3), np.float32)))
        assert not sweep.confusions().any()


def random_truth(rng, class_count):
    """An image's ground truth, and what each metric takes as predicted of it."""
    classes, scores, instance_map, masks, labels = with_overlaps(rng, class_count)
    crowded = rng.random(len(masks)) < 0.3
    filled = masks.any((1, 2))
    truth = SimpleNamespace(
        class_mask=rng.choice([0, *range(1, class_count + 1), 255], instance_map.shape),
        objects=(masks[filled & ~crowded], labels[filled & ~crowded]),
        crowds=(masks[filled & crowded], labels[filled & crowded]),
    )
    maps = rng.random((2, *instance_map.shape)).astype(np.float32)
    return truth, {
        "cam": ClassMaps(rng.permutation(class_count)[:2], maps[: min(2, class_count)]),
        "semantic": rng.integers(0, class_count + 1, instance_map.shape),
        "instance": Pieces(classes, scores, instance_map),
        "objects": Masks(classes, scores, instance_map == np.arange(1, len(classes) + 1)[:, None, None]),
    }


class TestMetrics:
    @pytest.mark.parametrize("scored", ["cam", "semantic", "instance", "objects"])
    def test_counts_of_parts_add_up_to_those_of_the_whole(self, scored):
        rng = np.random.default_rng(4)
        images = [random_truth(rng, 3) for _ in range(9)]
        for kind in METRICS[scored]:
            whole, *parts = (kind(Terms(3)) for _ in range(4))
            for truth, predicted in images:
                whole.add(truth, predicted[scored])
            for part, chunk in zip(parts, (images[:4], images[4:5], images[5:]), strict=True):
                for truth, predicted in chunk:
                    part.add(truth, predicted[scored])
            for part in parts[1:]:
                parts[0].merge(part)
            for column in kind.columns:
                np.testing.assert_array_equal(parts[0].scores(column), whole.scores(column))
                assert len(whole.scores(column)) == 3 + column.has_background

    def test_names_are_unique_and_each_stage_has_a_leading_score(self):
        by_size = [f"{name}_{size}" for name in ("AP50", "recall50") for size in ("small", "medium", "large")]
        assert list(columns()) == ["IoU", "AP25", "AP50", "AP70", "AP75", "AP", *by_size]
        assert mean_names(by_size=True) == by_size
        assert mean_names() == ["mIoU", "AP25", "AP50", "AP70", "AP75", "AP"]
        assert [leading(scored) for scored in METRICS] == ["mIoU", "mIoU", "mIoU", "AP50", "mIoU", "AP50"]


def enlarged(truth, sides):
    """Ground truth with masks whose cells are squares of so many pixels."""
    square = np.ones((sides, sides), bool)
    parts = (truth.objects, truth.crowds)
    large = [(np.array([np.kron(mask, square) for mask in masks]), labels) for masks, labels in parts]
    empty = np.zeros((0, truth.class_mask.shape[0] * sides, truth.class_mask.shape[1] * sides), bool)
    objects, crowds = ((masks if len(masks) else empty, labels) for masks, labels in large)
    return SimpleNamespace(class_mask=np.kron(truth.class_mask, square), objects=objects, crowds=crowds)


class TestBySize:
    # Of squares of 16 pixels, 4 and 36 have exactly the areas that divide the sizes.
    AREAS = (("small", 0, 32**2), ("medium", 32**2, 96**2), ("large", 96**2, 1e10))

    @pytest.mark.parametrize("kind", [PieceSizeAP, CocoAP])
    @pytest.mark.parametrize("seed", range(6))
    def test_twin(self, kind, seed):
        rng = np.random.default_rng(seed)
        scorer, images = kind(Terms(2)), []
        for _ in range(6):
            small, predicted = random_truth(rng, 2)
            truth, pieces = enlarged(small, 16), predicted["instance"]
            instance_map = np.kron(pieces.instance_map, np.ones((16, 16), int))
            masks = instance_map == np.arange(1, len(pieces.classes) + 1)[:, None, None]
            whole = Pieces(pieces.classes, pieces.scores, instance_map)
            scorer.add(truth, whole if kind is PieceSizeAP else Masks(pieces.classes, pieces.scores, masks))
            rows = zip(pieces.classes, pieces.scores, masks, strict=True)
            images.append((truth, [row for row in rows if kind is CocoAP or row[1] > 0]))
        found = {column.name: scorer.scores(column) for column in kind.columns}
        for size, smallest, largest in self.AREAS:
            expected = np.array([slow_of_size(images, index, smallest, largest) for index in range(2)])
            np.testing.assert_allclose(found[f"AP50_{size}"], expected[:, 0], rtol=0, atol=1e-12)
            np.testing.assert_allclose(found[f"recall50_{size}"], expected[:, 1], rtol=0, atol=1e-12)

    def test_what_is_found_of_another_size_is_neither_right_nor_wrong(self):
        objects = boxes((200, 200), (0, 20, 0, 20), (100, 200, 0, 100))
        truth = SimpleNamespace(
            class_mask=objects, objects=(np.stack([objects == 1, objects == 2]), np.array([1, 1])),
            crowds=(np.zeros((0, 200, 200), bool), np.zeros(0, int)),
        )  # fmt: skip
        # The large one, a wrong large one, the small one, and a piece over a part of it without a score.
        pieces = boxes((200, 200), (100, 200, 0, 100), (0, 100, 100, 200), (0, 15, 0, 20), (15, 20, 0, 20))
        scorer = PieceSizeAP(Terms(1))
        scorer.add(truth, Pieces(np.zeros(4, int), np.array([1, 0.75, 0.5, 0]), pieces))
        means = {column.name: scorer.mean(column) for column in scorer.columns}
        defined = {name: value for name, value in means.items() if not math.isnan(value)}
        assert defined == pytest.approx(
            {"AP50_small": 1, "AP50_large": 1, "recall50_small": 1, "recall50_large": 1}, abs=1e-9
        )

    def test_a_piece_with_score_0_finds_nothing(self):
        box = boxes((50, 50), (0, 20, 0, 20))
        nothing = np.zeros((0, 50, 50), bool), np.zeros(0, int)
        truth = SimpleNamespace(class_mask=box, objects=((box > 0)[None], np.array([1])), crowds=nothing)
        scorer = PieceSizeAP(Terms(1))
        scorer.add(truth, Pieces(np.array([0]), np.array([0.0]), box))
        assert scorer.mean(columns()["recall50_small"]) == 0


def evaluated_at_once(images, class_count):
    """What pycocotools says of all classes in all images."""
    objects, found = [], []
    for number, image in enumerate(images):
        for index, is_crowd, runs in image.objects:
            about = {"image_id": number, "category_id": index + 1, "id": len(objects) + 1, "segmentation": runs}
            box, area = run_lengths.toBbox(runs).tolist(), float(run_lengths.area(runs))
            objects.append({**about, "iscrowd": int(is_crowd), "area": area, "bbox": box})
        for index, score, runs in image.predictions:
            found.append({"image_id": number, "category_id": index + 1, "score": score, "segmentation": runs})
    truth = COCO()
    rows = [{"id": number, "height": image.size[0], "width": image.size[1]} for number, image in enumerate(images)]
    categories = [{"id": index + 1} for index in range(class_count)]
    truth.dataset = {"images": rows, "annotations": objects, "categories": categories}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(found), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    arrays = (evaluation.eval[name][..., 2] for name in ("precision", "recall"))
    return [np.where(array > -1, array, np.nan) for array in arrays]


@pytest.mark.parametrize("seed", range(8))
def test_class_by_class_is_what_pycocotools_says_of_all_at_once(seed):
    rng = np.random.default_rng(seed)

    def masks(count):
        corners = rng.integers(0, 100, (count, 2))
        sides = rng.integers(1, 60, (count, 2))
        places = np.indices((100, 120))
        return [
            ((places >= c[:, None, None]) & (places < (c + s)[:, None, None])).all(0)
            for c, s in zip(corners, sides, strict=True)
        ]

    images = []
    for _ in range(6):
        # The last class has no object, and some images have predictions alone.
        objects = [
            (int(rng.integers(0, 3)), bool(rng.random() < 0.3), runs) for runs in encoded(masks(rng.integers(0, 5)))
        ]
        right = [(index, float(rng.choice([0.5, 1])), runs) for index, _, runs in objects if rng.random() < 0.6]
        wrong = [(int(rng.integers(0, 4)), float(rng.choice([0.5, 1])), runs) for runs in encoded(masks(2))]
        images.append(CocoImage((100, 120), objects, right + wrong))
    for found, expected in zip(evaluated(images, 4, overlaps=10), evaluated_at_once(images, 4), strict=True):
        np.testing.assert_array_equal(found, expected)
    nothing = [CocoImage((100, 120), [], [])]
    assert all(np.isnan(array).all() for array in (*evaluated(nothing, 4, 10), *evaluated([], 4, 10)))


class TestObjects:
    def test_hand_computed(self):
        objects = np.array([[1, 1, 1, 1], [7, 7, 0, 255], [9, 9, 300, 300]])
        classes = np.array([[3, 3, 2, 255], [2, 1, 4, 4], [0, 255, 255, 255]])
        ids, labels = object_classes(objects, classes)
        assert ids.tolist() == [1, 7, 9, 300]
        # Most pixels; the lower class on a tie; background only; void only.
        assert labels.tolist() == [3, 1, 0, 255]

    def test_twin(self):
        rng = np.random.default_rng(1)
        for _ in range(20):
            _, _, _, object_mask, class_mask = random_image(rng, 3)
            _, labels = object_classes(object_mask, class_mask)
            assert [label if 0 < label < 255 else None for label in labels] == [
                label for _, label in slow_objects(object_mask, class_mask)
            ]

    def test_no_object(self):
        ids, labels = object_classes(np.array([[0, 255]], np.uint8), np.array([[0, 255]], np.uint8))
        assert len(ids) == len(labels) == 0

    def test_overlaps_mask_by_mask(self):
        rng = np.random.default_rng(2)
        for _ in range(10):
            classes, _, instance_map, object_mask, class_mask = random_image(rng, 3)
            ids, _ = object_classes(object_mask, class_mask)
            expected = np.zeros((len(classes), len(ids)))
            for row in range(len(classes)):
                for column, object_id in enumerate(ids):
                    mask, truth = instance_map == row + 1, object_mask == object_id
                    expected[row, column] = (mask & truth).sum() / (mask | truth).sum()
            masks = object_mask == ids[:, None, None]
            np.testing.assert_array_equal(pairwise_iou(instance_map, len(classes), masks), expected)


class TestAveragePrecision:
    @pytest.mark.parametrize("seed", range(8))
    def test_twin(self, seed):
        rng = np.random.default_rng(seed)
        class_count = int(rng.integers(1, 4))
        images = [random_image(rng, class_count) for _ in range(int(rng.integers(1, 8)))]
        expected = [[slow_ap(images, index, threshold) for threshold in THRESHOLDS] for index in range(class_count)]
        np.testing.assert_allclose(
            filled(images, class_count).average_precision(THRESHOLDS), expected, rtol=0, atol=1e-12
        )

    @pytest.mark.parametrize("seed", range(4))
    def test_twin_on_objects_that_overlap(self, seed):
        rng = np.random.default_rng(seed)
        class_count = int(rng.integers(1, 4))
        images = [with_overlaps(rng, class_count) for _ in range(4)]
        scorer = VocAP(Terms(class_count))
        for classes, scores, instance_map, masks, labels in images:
            scorer.add(true_image(objects=masks, labels=labels), Pieces(classes, scores, instance_map))
        expected = [
            [slow_ap(images, index, t, lambda *truth: list(zip(*truth, strict=True))) for t in THRESHOLDS]
            for index in range(class_count)
        ]
        np.testing.assert_allclose(scorer.average_precision(THRESHOLDS), expected, rtol=0, atol=1e-12)

    def test_objects_that_overlap_keep_their_whole_masks(self):
        # A ring around a disc: each prediction equals one of them, though a label map of the truth could hold only one.
        whole, inner = boxes((1, 8), (0, 1, 0, 8)), boxes((1, 8), (0, 1, 2, 4))
        scorer = VocAP(Terms(2))
        truth = true_image(objects=np.stack([whole, inner]) > 0, labels=np.array([1, 2]))
        for index, predicted in enumerate((whole, inner)):
            scorer.add(truth, Pieces([index], [1.0], predicted))
        assert scorer.average_precision([0.99]).tolist() == [[0.5], [0.5]]

    @pytest.mark.parametrize("count", [0, 1])
    @pytest.mark.parametrize("object_value", [0, 1, 255])
    @pytest.mark.parametrize("class_value", [1, 255])
    def test_twin_on_one_pixel(self, count, object_value, class_value):
        image = (
            np.zeros(count, int),
            np.ones(count),
            np.full((1, 1), count),
            np.full((1, 1), object_value),
            np.full((1, 1), class_value),
        )
        expected = [[slow_ap([image], 0, threshold) for threshold in THRESHOLDS]]
        np.testing.assert_array_equal(filled([image], 1).average_precision(THRESHOLDS), expected)

    def test_no_image(self):
        assert np.isnan(VocAP(Terms(2)).average_precision([0.5])).all()

    def test_objects_without_predictions_give_0_and_predictions_without_objects_nothing(self):
        box = boxes((4, 4), (0, 2, 0, 2))
        scorer = filled([([1], [1.0], box, box, box)], 2)
        assert scorer.average_precision([0.5])[0].tolist() == [0]
        assert math.isnan(scorer.average_precision([0.5])[1, 0])

    def test_hand_computed_curve(self):
        # Three objects; by score: right, wrong, right; the third object is missed.
        objects = boxes((4, 12), (0, 2, 0, 2), (0, 2, 4, 6), (0, 2, 8, 10))
        predictions = boxes((4, 12), (0, 2, 4, 6), (3, 4, 0, 2), (0, 2, 0, 2))
        scorer = filled([([0, 0, 0], [0.5, 0.75, 1.0], predictions, objects, np.minimum(objects, 1))], 1)
        assert scorer.average_precision([0.5])[0, 0] == pytest.approx((1 + 2 / 3) / 3)

    def test_envelope_takes_the_best_later_precision(self):
        # Wrong, right, right: precision 0, 1/2, 2/3; both steps of recall lie under 2/3.
        objects = boxes((4, 8), (0, 2, 0, 2), (0, 2, 4, 6))
        predictions = boxes((4, 8), (3, 4, 0, 1), (0, 2, 0, 2), (0, 2, 4, 6))
        scorer = filled([([0, 0, 0], [1.0, 0.5, 0.25], predictions, objects, np.minimum(objects, 1))], 1)
        assert scorer.average_precision([0.5])[0, 0] == pytest.approx(2 / 3)

    def test_a_duplicate_is_a_false_positive_even_where_another_object_would_do(self):
        # The second prediction overlaps object 1 most (4/10) and object 2 by 2/8; object 1 is taken.
        objects = boxes((1, 12), (0, 1, 0, 8), (0, 1, 8, 12))
        predictions = boxes((1, 12), (0, 1, 0, 4), (0, 1, 4, 10))
        scorer = filled([([0, 0], [1.0, 0.5], predictions, objects, np.minimum(objects, 1))], 1)
        assert pairwise_iou(predictions, 2, np.stack([objects == 1, objects == 2])).tolist() == [[0.5, 0], [0.4, 0.25]]
        assert scorer.average_precision([0.25])[0, 0] == pytest.approx(1 / 2)

    def test_order_of_equal_scores(self):
        objects = boxes((1, 4), (0, 1, 0, 2))
        right, wrong = objects, boxes((1, 4), (0, 1, 3, 4))
        good, bad = (
            ([0], [1.0], right, objects, objects),
            ([0], [1.0], wrong, np.zeros((1, 4), int), np.zeros((1, 4), int)),
        )
        assert filled([good, bad], 1).average_precision([0.5])[0, 0] == 1
        assert filled([bad, good], 1).average_precision([0.5])[0, 0] == 0.5
        rows = boxes((1, 4), (0, 1, 3, 4), (0, 1, 0, 2))
        assert filled([([0, 0], [1.0, 1.0], rows, objects, objects)], 1).average_precision([0.5])[0, 0] == 0.5

    def test_pieces_with_score_0_take_part_last(self):
        objects = boxes((1, 8), (0, 1, 0, 2), (0, 1, 4, 6))
        scorer = filled([([0, 0], [0.0, 0.5], objects, objects, np.minimum(objects, 1))], 1)
        assert scorer.average_precision([0.5])[0, 0] == 1
        wrong_first = boxes((1, 8), (0, 1, 0, 2), (0, 1, 7, 8))
        scorer = filled([([0, 0], [0.0, 0.5], wrong_first, objects, np.minimum(objects, 1))], 1)
        assert scorer.average_precision([0.5])[0, 0] == pytest.approx(1 / 4)

    def test_the_best_object_is_sought_within_the_class(self):
        # The prediction of class 1 covers the object of class 0 better; that one does not concern it.
        objects = boxes((1, 10), (0, 1, 0, 6), (0, 1, 6, 10))
        scorer = filled([([1], [1.0], boxes((1, 10), (0, 1, 0, 10)), objects, objects)], 2)
        assert scorer.average_precision([0.4, 0.41])[1].tolist() == [1, 0]
        assert scorer.average_precision([0.4])[0, 0] == 0

    @pytest.mark.parametrize("covered", range(10, 20))
    def test_an_overlap_of_exactly_the_threshold_is_enough(self, covered):
        objects, prediction = boxes((1, 20), (0, 1, 0, 20)), boxes((1, 20), (0, 1, 0, covered))
        found = filled([([0], [1.0], prediction, objects, objects)], 1).average_precision(AP_THRESHOLDS)[0]
        assert found.tolist() == [float(threshold <= covered / 20) for threshold in AP_THRESHOLDS]
        assert found.sum() == covered - 9

    def test_void_pixels_of_a_prediction_count_in_its_area(self):
        objects = np.array([[1, 1, 255, 255]])
        scorer = filled([([0], [1.0], np.ones((1, 4), int), objects, objects)], 1)
        assert scorer.average_precision([0.5, 0.51])[0].tolist() == [1, 0]
