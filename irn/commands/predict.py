"""Segment new images by a trained network."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from irn.data.listing import IMAGE_SUFFIXES
from irn.data.tables import ImageRecord, images_of
from irn.errors import IrnError
from irn.io.devices import autocast, choose_device, loading_workers
from irn.io.files import whole_folder
from irn.io.images import read_record
from irn.io.parallel import map_images
from irn.io.predictions import PICTURES, RESULTS, result, write_pictures
from irn.io.progress import notice, progress
from irn.io.weights import load_classifier, load_deeplab, load_file, load_irnet, load_mask_rcnn
from irn.networks.inference import for_inference
from irn.ops.cams import at_scale, class_attention_maps
from irn.ops.fields import fields
from irn.ops.labels import synthesise_labels
from irn.ops.predictions import Prediction, instances, painted, segments
from irn.ops.resize import bounded, rescale
from irn.ops.walk import walk_instances
from irn.settings import Settings

LEAST, SHOWN = 0.05, 0.5  # scores, where none is given: COCO's of results, and what is drawn


class Predictor(NamedTuple):
    """A trained network: the names of its classes, and what it finds in (H, W, 3) uint8 pixels."""

    names: list[str]
    find: Callable[[np.ndarray], Prediction]


def predict(
    weights: Sequence[Path],
    out: Path,
    settings: Settings,
    images: Sequence[Path] = (),
    manifest: Path | None = None,
    split: str | None = None,
    score: float | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Segment images and write a folder of predictions, which appears when it is whole.

    Parameters
    ----------
    weights: a file of Mask R-CNN or of DeepLab, or those of a classifier and of IRNet in either order.
    images: files, and folders of which every image is taken; or none with `manifest`, of whose images those of `split` are.
    score: the least score of an instance; where none is given 0.05 in `predictions.json`, and 0.5 in masks and overlays.

    Raises
    ------
    IrnError for weights of other kinds, images that there are not, two of one name, and a folder that holds something already.
    """
    if score is not None and not 0 <= score <= 1:
        raise IrnError(f"--score {score:g}: expected a number from 0 to 1")
    records = images_of(manifest, split) if manifest else _listed(images, settings.dataset.value_range)
    least, shown = (LEAST, SHOWN) if score is None else (score, score)
    chosen = choose_device(device)
    predictor = _predictor(weights, settings, chosen, shown)
    with whole_folder(out) as unfinished:
        for name in PICTURES:
            (unfinished / name).mkdir()
        results = []
        loaded = map_images(_pixels, records, loading_workers(workers, chosen))
        with torch.inference_mode(), autocast(chosen, settings.precision):
            for record, pixels in zip(records, progress(loaded, len(records), "predict"), strict=True):
                found = _enlarged(predictor.find(bounded(pixels, settings.dataset.max_side)), *pixels.shape[:2])
                rows = zip(found.classes, found.scores, found.masks, strict=True)
                results += [
                    result(record.image_id, int(index) + 1, predictor.names[index], value, mask)
                    for index, value, mask in rows
                    if value >= least
                ]
                write_pictures(unfinished, record.image_id, pixels, found.semantic, painted(found.masks, found.scores >= shown))
        (unfinished / RESULTS).write_text(json.dumps(results) + "\n", encoding="utf-8")
    print(f"{len(results)} instances in {len(records)} images: {out}")


def _enlarged(found: Prediction, height: int, width: int) -> Prediction:
    """What was found in the working size of an image, in its own."""
    if found.semantic.shape == (height, width):
        return found
    masks = [rescale(mask.astype(np.uint8), height, width, nearest=True) for mask in found.masks]
    semantic = rescale(found.semantic.astype(np.uint8), height, width, nearest=True)
    return found._replace(masks=np.array(masks, bool).reshape(-1, height, width), semantic=semantic)


def _listed(images: Sequence[Path], value_range: tuple[float, float] | None) -> list[ImageRecord]:
    """The images of files and folders, by the names of their files."""
    paths: list[Path] = []
    for path in images:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise IrnError(f"--images {path}: no image in this folder; expected files that end in {', '.join(sorted(IMAGE_SUFFIXES))}")
            paths += inside
        elif path.is_file():
            paths.append(path)
        else:
            raise IrnError(f"--images {path}: no such file or folder")
    if not paths:
        raise IrnError("--images: expected images to segment, files or folders, or a table of them (--manifest)")
    name, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        raise IrnError(f"--images: {count} files are called {name!r}, and so would be their masks; rename them, or take them one by one")
    return [_record(path, value_range) for path in paths]


def _record(path: Path, value_range: tuple[float, float] | None) -> ImageRecord:
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); take it out") from None
    return ImageRecord(path.stem, path, height, width, "", value_range)


def _pixels(record: ImageRecord) -> np.ndarray:
    return read_record(record)


def _predictor(weights: Sequence[Path], settings: Settings, device: torch.device, shown: float) -> Predictor:
    """The network of some weights files, whichever it is."""
    kinds = {load_file(path).get("kind"): path for path in weights}
    if set(kinds) == {"mask_rcnn"}:
        rcnn, contents = load_mask_rcnn(kinds["mask_rcnn"])
        for_inference(rcnn, device)
        return Predictor(contents["class_names"], lambda pixels: instances(rcnn, torch.from_numpy(pixels).to(device), shown))
    if set(kinds) == {"deeplab"}:
        deeplab, contents = load_deeplab(kinds["deeplab"])
        for_inference(deeplab, device)
        return Predictor(contents["class_names"], lambda pixels: segments(deeplab, pixels, settings.deeplab.scales, device))
    if set(kinds) == {"cam", "irn"}:
        return _by_labels(kinds["cam"], kinds["irn"], settings, device)
    given = " and ".join(str(kind) for kind in kinds)
    raise IrnError(f"--weights: {given}; expected mask_rcnn or deeplab, or cam and irn together")


def _by_labels(cam: Path, irn: Path, settings: Settings, device: torch.device) -> Predictor:
    """The method itself on the classes that the classifier finds."""
    classifier, contents = load_classifier(cam)
    irnet, own = load_irnet(irn)
    names = contents["class_names"] or [f"class {index}" for index in range(len(classifier.classifier.weight))]
    for_inference(classifier, device)
    for_inference(irnet, device)
    least = settings.predict.class_score
    notice(f"no labels are given: an image has the classes that the classifier gives a probability of at least {least:g}")

    def find(pixels: np.ndarray) -> Prediction:
        height, width = pixels.shape[:2]
        image = torch.from_numpy(pixels).to(device)
        probability = classifier(classifier.backbone.normalise(image)[None])[0].float().sigmoid().cpu().numpy()
        classes = np.flatnonzero(probability >= least)
        scaled = [torch.from_numpy(at_scale(pixels, scale)).to(device) for scale in settings.cam.scales]
        cams, _ = class_attention_maps(classifier, scaled, classes.tolist(), height, width)
        boundary, displacement = fields(irnet, image, own["crop_size"], own["mean_displacement"])
        maps = {"classes": classes, "cam": cams.cpu().numpy()}
        field = {"boundary": boundary.cpu().numpy(), "displacement": displacement.cpu().numpy()}
        walk = settings.walk
        walks = walk_instances(maps, field, walk.beta, walk.steps, walk.radius, walk.centroid_length)
        labels = synthesise_labels(
            walks["walk"], walks["walk_class"], height, width, settings.labels.semantic_threshold, settings.labels.instance_threshold
        )
        order = np.argsort(-labels["instance_score"], kind="stable")
        order = order[labels["instance_score"][order] > 0]
        masks = labels["instance_map"] == (order + 1)[:, None, None]
        return Prediction(masks, labels["instance_class"][order].astype(int), labels["instance_score"][order], labels["semantic"])

    return Predictor(names, find)
