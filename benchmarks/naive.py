"""What a straightforward implementation does at each stage: the twins that the project's code is measured against.

They are vectorised and use the same libraries, and they follow the published description (docs/method.md). What they
lack is what docs/performance.md tells of.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from scipy import ndimage, sparse
from torch.nn import functional

from irn.grid import cells, padded
from irn.inference.fields import padded_pair
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.ops.paths import pair_offsets, path_offsets

EPSILON = 1e-5
NOTHING = 1e-18  # without this, numbers below the normal ones make a twin up to thirty times as slow as it need be


def transition_matrix(boundary: np.ndarray, beta: float, radius: int) -> sparse.csr_array:
    """(h w, h w) float32 with columns that sum to 1, from a gather of all pixels of each path."""
    h, w = boundary.shape
    edge = radius - 1
    padded = torch.from_numpy(np.pad(boundary, ((0, edge), (edge, edge)), constant_values=1))
    grid = torch.arange(h * w).reshape(h, w)
    rows, columns, values = [grid.reshape(-1)], [grid.reshape(-1)], [torch.ones(h * w)]
    for dy, dx in pair_offsets(radius):
        path = torch.stack([padded[y : y + h, edge + x : edge + x + w] for y, x in path_offsets(dy, dx)])
        affinity = (1 - path.amax(0)) ** beta
        inside = np.index_exp[: h - dy, max(0, -dx) : min(w, w - dx)]
        partner = np.index_exp[dy:, max(0, dx) : min(w, w + dx)]
        one, other = grid[inside].reshape(-1), grid[partner].reshape(-1)
        rows += [one, other]
        columns += [other, one]
        values += [affinity[inside].reshape(-1)] * 2
    index = (torch.cat(rows).numpy(), torch.cat(columns).numpy())
    matrix = sparse.coo_array((torch.cat(values).numpy(), index), (h * w, h * w)).tocsr()
    return matrix @ sparse.diags_array((1 / matrix.sum(0)).astype(np.float32))


def dense_walk(scores: np.ndarray, boundary: np.ndarray, beta: float, doublings: int, radius: int) -> np.ndarray:
    """(M, h, w): scores times the dense matrix squared `doublings` times."""
    matrix = torch.from_numpy(transition_matrix(boundary, beta, radius).toarray())
    for _ in range(doublings):
        matrix = matrix @ matrix
        matrix[matrix < NOTHING] = 0
    start = torch.from_numpy(scores * (1 - boundary)).reshape(len(scores), -1)
    return (start @ matrix).reshape(scores.shape).numpy()


def sparse_walk(scores: np.ndarray, boundary: np.ndarray, beta: float, steps: int, radius: int) -> np.ndarray:
    """(M, h, w): scores times the sparse matrix, step by step."""
    transposed = transition_matrix(boundary, beta, radius).T.tocsr()
    columns = (scores * (1 - boundary)).reshape(len(scores), -1).T
    for _ in range(steps):
        columns = transposed @ columns
        columns[columns < NOTHING] = 0
    return columns.T.reshape(scores.shape)


def labels_at_once(walk: np.ndarray, height: int, width: int, threshold: float) -> np.ndarray:
    """(height, width) int64: argmax over background and all enlarged maps; 0 background, 1 + row of `walk`."""
    large = functional.interpolate(torch.from_numpy(walk)[None], scale_factor=4, mode="bilinear", align_corners=False)[
        0, :, :height, :width
    ]
    large = large / large.max()
    return torch.cat([torch.full((1, height, width), threshold), large]).argmax(0).numpy()


def ir_label(
    pixels: np.ndarray, high_res: np.ndarray, classes: np.ndarray, foreground: float, background: float
) -> np.ndarray:
    """(H, W) uint8 IR label by two CRFs, each with its own lattice."""
    # Late, since a machine without a compiler measures the other twins.
    from pydensecrf import densecrf
    from pydensecrf.utils import unary_from_labels

    names = np.concatenate([[0], classes + 1])
    refined = []
    for threshold in (foreground, background):
        guess = np.pad(high_res, ((1, 0), (0, 0), (0, 0)), constant_values=threshold).argmax(0)
        field = densecrf.DenseCRF2D(pixels.shape[1], pixels.shape[0], len(names))
        field.setUnaryEnergy(np.ascontiguousarray(unary_from_labels(guess, len(names), gt_prob=0.7, zero_unsure=False)))
        field.addPairwiseGaussian(sxy=3, compat=3)
        field.addPairwiseBilateral(sxy=50, srgb=5, rgbim=np.ascontiguousarray(pixels), compat=10)
        refined.append(names[np.argmax(field.inference(10), axis=0).reshape(guess.shape)])
    label = refined[0].copy()
    label[refined[0] == 0] = 255
    label[(refined[0] == 0) & (refined[1] == 0)] = 0
    return label.astype(np.uint8)


@torch.inference_mode()
def class_maps(
    model: Classifier, scaled: Sequence[torch.Tensor], classes: np.ndarray, height: int, width: int
) -> dict[str, np.ndarray]:
    """`cam` (K, h, w) and `high_res` (K, H, W): all classes, scale by scale and mirror by mirror, then cut to K."""
    sizes = (cells(height), cells(width)), (padded(height), padded(width))
    sums = [torch.zeros(1)] * 2
    for pixels in scaled:
        image = model.backbone.normalise(pixels)[None]
        every = torch.arange(len(model.classifier.weight))
        maps = model.class_maps(image, every) + model.class_maps(image.flip(-1), every).flip(-1)
        large = [functional.interpolate(maps, size, mode="bilinear", align_corners=False)[0] for size in sizes]
        sums = [total + one for total, one in zip(sums, large, strict=True)]
    cam, high_res = sums[0][classes], sums[1][classes][:, :height, :width]
    return {
        name: (m / (m.amax((1, 2), keepdim=True) + EPSILON)).numpy()
        for name, m in (("cam", cam), ("high_res", high_res))
    }


@torch.inference_mode()
def fields(model: IRNet, pixels: torch.Tensor, crop_size: int) -> dict[str, np.ndarray]:
    """`boundary` (h, w) and `displacement` (2, h, w): image and mirror, both through both heads."""
    logits, displacement = model(padded_pair(model.backbone, pixels, crop_size))
    h, w = cells(pixels.shape[0]), cells(pixels.shape[1])
    # The mirror is padded on its right, so it ends where the image does.
    one, other = logits[0, 0, :h, :w], logits[1, 0, :h, :w].flip(-1)
    return {"boundary": torch.sigmoid((one + other) / 2).numpy(), "displacement": displacement[0, :, :h, :w].numpy()}


def pair_labels(label: np.ndarray, radius: int) -> list[torch.Tensor]:
    """What each pair of each sample is, in three bool tensors (B, P, S): background, foreground, different."""
    source, targets = _pair_indices(*label.shape[1:], radius)
    flat = label.reshape(len(label), -1)
    start, end = flat[:, None, source], flat[:, targets]
    sure = (start < 255) & (end < 255)
    same = start == end
    return [torch.from_numpy(kind) for kind in (sure & same & (start == 0), sure & same & (start > 0), sure & ~same)]


def pair_losses(
    boundary_logits: torch.Tensor, displacement: torch.Tensor, label: np.ndarray, radius: int
) -> dict[str, torch.Tensor]:
    """The four losses from a gather of all pixels of all paths, and from pair labels made on the CPU and sent along."""
    background, foreground, different = (kind.to(displacement.device) for kind in pair_labels(label, radius))
    batch, _, h, w = boundary_logits.shape
    offsets = pair_offsets(radius)
    edge = torch.sigmoid(boundary_logits).reshape(batch, -1)
    grid = np.arange(h * w).reshape(h, w)
    largest: list[torch.Tensor] = []
    for dy, dx in offsets:
        path = np.stack([_window(grid, radius, y, x).ravel() for y, x in path_offsets(dy, dx)])
        pixels = edge[:, torch.from_numpy(path.ravel()).to(edge.device)].reshape(batch, *path.shape)
        largest.append(pixels.amax(1))
    affinity = 1 - torch.stack(largest, 1)
    attract, repel = -torch.log(affinity + EPSILON), -torch.log(1 + EPSILON - affinity)

    source, targets = (torch.from_numpy(index).to(edge.device) for index in _pair_indices(h, w, radius))
    flat = displacement.reshape(batch, 2, -1)
    difference = flat[:, :, None, source] - flat[:, :, targets]
    wanted = torch.tensor(offsets, dtype=flat.dtype, device=flat.device).T[None, :, :, None]

    def mean(values: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
        return (values * kind).sum() / (kind.sum() + EPSILON)

    def mean_of_both(values: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
        return (values * kind[:, None]).sum() / (2 * kind.sum() + EPSILON)

    return {
        "positive_affinity": (mean(attract, background) + mean(attract, foreground)) / 2,
        "negative_affinity": mean(repel, different),
        "foreground_displacement": mean_of_both((difference - wanted).abs(), foreground),
        "background_displacement": mean_of_both(difference.abs(), background),
    }


def irnet_with_gradient(model: IRNet, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IRNet's two outputs with the backbone in the graph, which keeps what its gradient would need."""
    levels = model.backbone(images)
    return model.boundary(levels), model.displacement(levels)


def evaluate_in_memory(folder: Path, names: Sequence[str], classes: int, cam_threshold: float) -> dict[str, float]:
    """Mean scores by name, after ground truth and predictions of all images have been read."""
    truths, objects, cams, semantics, instances = [], [], [], [], []
    with h5py.File(folder / "cams.h5") as cam_file, h5py.File(folder / "labels.h5") as label_file:
        for name in names:
            truths.append(np.array(Image.open(folder / "class" / f"{name}.png")))
            objects.append(np.array(Image.open(folder / "object" / f"{name}.png")))
            high_res = cam_file[name]["high_res"][()].astype(np.float32)
            best = np.pad(high_res, ((1, 0), (0, 0), (0, 0)), constant_values=cam_threshold).argmax(0)
            cams.append(np.concatenate([[0], cam_file[name]["classes"][()] + 1])[best])
            semantics.append(label_file[name]["semantic"][()])
            instances.append(
                [label_file[name][key][()] for key in ("instance_map", "instance_class", "instance_score")]
            )
    scores = {"cam mIoU": _mean_iou(truths, cams, classes), "semantic mIoU": _mean_iou(truths, semantics, classes)}
    predictions, found = _overlaps(truths, objects, instances)
    for metric, thresholds in {
        "AP25": (0.25,),
        "AP50": (0.5,),
        "AP70": (0.7,),
        "AP75": (0.75,),
        "AP": np.arange(50, 100, 5) / 100,
    }.items():
        by_class = [
            np.mean([_average_precision(predictions, c, t, found[c]) for t in thresholds]) for c in sorted(found)
        ]
        scores[f"instance {metric}"] = float(np.mean(by_class))
    return scores


def scores_of(table: Path) -> dict[str, float]:
    """The means of a scores.csv in the same form."""
    with open(table, newline="", encoding="utf-8") as file:
        return {
            f"{row['stage']} {row['metric']}": float(row["value"])
            for row in csv.DictReader(file)
            if row["class"] == "mean" and row["value"]  # undefined where there are no objects of a size
        }


def instance_groups(displacement: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(h, w): the centroid region that each cell ends in; `ends` is from 300 steps of all cells in NumPy."""
    regions, _ = ndimage.label(np.hypot(*displacement) < 2.5)
    return np.unique(regions[ends[0], ends[1]], return_inverse=True)[1].reshape(displacement.shape[1:])


def _window(maps: np.ndarray, radius: int, dy: int = 0, dx: int = 0) -> np.ndarray:
    h, w = maps.shape[-2] - radius + 1, maps.shape[-1] - 2 * radius + 2
    return maps[..., dy : dy + h, radius - 1 + dx : radius - 1 + dx + w]


def _pair_indices(h: int, w: int, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """(S,) sources and (P, S) their partners, as indices of flattened maps."""
    grid = np.arange(h * w).reshape(h, w)
    return _window(grid, radius).ravel(), np.stack(
        [_window(grid, radius, *offset).ravel() for offset in pair_offsets(radius)]
    )


def _mean_iou(truths: list[np.ndarray], predicted: list[np.ndarray], classes: int) -> float:
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for truth, prediction in zip(truths, predicted, strict=True):
        sure = truth < 255
        pairs = truth[sure].astype(np.int64) * (classes + 1) + prediction[sure]
        counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
    both = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - both
    return float((both[union > 0] / union[union > 0]).mean())


def _overlaps(
    truths: list[np.ndarray], objects: list[np.ndarray], instances: list[list[np.ndarray]]
) -> tuple[list[tuple[int, float, float, tuple[int, int]]], dict[int, int]]:
    """Every prediction's class, score, largest overlap with an object of its class, that object; objects by class."""
    predictions: list[tuple[int, float, float, tuple[int, int]]] = []
    found: dict[int, int] = {}
    for image, (truth, mask, (instance_map, classes, scores)) in enumerate(
        zip(truths, objects, instances, strict=True)
    ):
        numbers = [number for number in np.unique(mask) if number not in (0, 255)]
        masks = [mask == number for number in numbers]
        labels = [int(np.bincount(truth[m][truth[m] < 255]).argmax()) - 1 for m in masks]
        for label in labels:
            found[label] = found.get(label, 0) + 1
        for row, (index, score) in enumerate(zip(classes, scores, strict=True)):
            prediction = instance_map == row + 1
            iou = [
                0.0 if label != index else float((prediction & m).sum() / (prediction | m).sum())
                for label, m in zip(labels, masks, strict=True)
            ]
            best = int(np.argmax(iou)) if iou else 0
            predictions.append((int(index), float(score), max(iou, default=0.0), (image, best)))
    return predictions, found


def _average_precision(
    predictions: list[tuple[int, float, float, tuple[int, int]]], index: int, threshold: float, objects: int
) -> float:
    taken: set[tuple[int, int]] = set()
    matched = []
    for _, _, overlap, which in sorted((p for p in predictions if p[0] == index), key=lambda p: -p[1]):
        matched.append(overlap >= threshold and which not in taken)
        if overlap >= threshold:
            taken.add(which)
    hits = np.array(matched, bool)
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / objects)
