"""Segment new images by a trained network."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from irn.data.coco_lists import Lists, lists_of
from irn.data.images import read_record
from irn.data.listing import IMAGE_SUFFIXES
from irn.data.predictions import LISTS, PICTURES, RESULTS, result, write_guesses, write_pictures
from irn.data.tables import images_of
from irn.errors import IrnError
from irn.inference.predictions import Prediction
from irn.inference.predictor import SHOWN, Predictor, exported_network, open_predictor
from irn.io.devices import choose_device, loading_workers
from irn.io.files import whole_folder
from irn.io.parallel import map_images
from irn.io.progress import notice, progress
from irn.io.tensors import load_file
from irn.ops.stacking import first_on_top
from irn.records import ImageRecord
from irn.settings.final_networks import titles
from irn.settings.settings import Settings
from irn.weights.onnx_export import write_onnx

LEAST = 0.05  # score in COCO's results, where none is given


def predict(
    weights: Sequence[Path],
    settings: Settings,
    out: Path | None = None,
    images: Sequence[Path] = (),
    manifest: Path | None = None,
    split: str | None = None,
    score: float | None = None,
    onnx: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Segment images and write a folder of predictions, which appears when it is whole.

    Parameters
    ----------
    weights: a file of a final network or of a classifier, or those of a classifier and of IRNet in either order.
    images: files, and folders, every image of which is segmented; or none with `manifest`, whose images of `split` are.
    onnx: where the network goes as ONNX, if anywhere; then images may be left out.
    score: the least score of an instance; by default 0.05 in `predictions.json`, and 0.5 in masks and overlays.

    Raises
    ------
    IrnError for weights of other kinds, images that do not exist, two of one name, and a folder that is not empty.
    """
    if score is not None and not 0 <= score <= 1:
        raise IrnError(f"--score {score:g}: expected a number from 0 to 1")
    if (out is None) != (manifest is None and not images) or (out is None and onnx is None):
        raise IrnError(
            "images to segment (--images or --manifest) and a folder for their masks (--out) go together; give both, or"
            " --onnx alone"
        )
    if onnx is not None and len(weights) > 1:
        raise IrnError(f"--onnx: {len(weights)} weights files; expected one, of {titles('or')}")
    read = {path: load_file(path) for path in weights}
    if onnx is not None:
        write_onnx(onnx, *exported_network(weights[0], read[weights[0]]))
    if out is None:
        return
    records = images_of(manifest, split) if manifest else _listed(images, settings.dataset.value_range)
    least, shown = (LEAST, SHOWN) if score is None else (score, score)
    torch_device = choose_device(device)
    predictor = open_predictor(read, settings, torch_device, shown)
    if predictor.guesses:
        notice(
            "no labels are given: the classes of an image are guessed, those that the classifier gives a probability of"
            f" at least {settings.predict.class_score:g}"
        )
    with whole_folder(out) as unfinished:
        loaded = map_images(read_record, records, loading_workers(workers, torch_device))
        pairs = zip(records, progress(loaded, len(records), "predict"), strict=True)
        lists = lists_of(records, predictor.names, manifest)
        results = _write_predictions(unfinished, predictor, pairs, lists, least, shown)
    drawn = sum(result["score"] >= shown for result in results)
    drawn_words = f", {drawn} of them of {shown:g} or more and drawn" if shown > least else ""
    print(f"{len(results)} instances of score {least:g} or more{drawn_words}, in {len(records)} images: {out}")


def _write_predictions(
    folder: Path,
    predictor: Predictor,
    images: Iterable[tuple[ImageRecord, np.ndarray]],
    lists: Lists,
    least: float,
    shown: float,
) -> list[dict[str, Any]]:
    """Write what is found in images, as pictures and tables; returns the entries of COCO's results."""
    for name in PICTURES:
        (folder / name).mkdir()
    results: list[dict[str, Any]] = []
    guesses: list[list[Any]] = []
    for (record, pixels), image in zip(images, lists.images, strict=True):
        prediction = predictor(pixels)
        results += _results(image, prediction, lists.categories, least)
        if prediction.guessed is not None:
            guesses.append([record.image_id, *prediction.guessed.astype(int)])
        objects = first_on_top(prediction.masks, prediction.scores >= shown)
        write_pictures(folder, record.image_id, pixels, prediction.semantic, objects)
    if predictor.guesses:
        write_guesses(folder, predictor.names, guesses)
    (folder / RESULTS).write_text(json.dumps(results) + "\n", encoding="utf-8")
    (folder / LISTS).write_text(lists.as_file(annotations=[]), encoding="utf-8")
    return results


def _results(
    image: dict[str, Any], prediction: Prediction, categories: list[dict[str, Any]], least: float
) -> Iterator[dict[str, Any]]:
    """The entries of COCO's results of an image, of at least a score."""
    for index, score, mask in zip(prediction.classes, prediction.scores, prediction.masks, strict=True):
        if score >= least:
            entry = result(image, categories[index], score, mask)
            if prediction.probability is not None:
                entry["guessed_class_probability"] = round(float(prediction.probability[index]), 6)
            yield entry


def _listed(images: Sequence[Path], value_range: tuple[float, float] | None) -> list[ImageRecord]:
    """The images of files and folders, by the names of their files."""
    paths: list[Path] = []
    for path in images:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise IrnError(
                    f"--images {path}: no image in this folder; expected files that end in"
                    f" {', '.join(sorted(IMAGE_SUFFIXES))}"
                )
            paths += inside
        elif path.is_file():
            paths.append(path)
        else:
            raise IrnError(f"--images {path}: no such file or folder")
    name, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        raise IrnError(
            f"--images: {count} files are called {name!r}, and so would be their masks; rename them, or segment them"
            " one by one"
        )
    return [_record(path, value_range) for path in paths]


def _record(path: Path, value_range: tuple[float, float] | None) -> ImageRecord:
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise IrnError(f"{path}: not a readable image ({error}); leave it out") from None
    return ImageRecord(path.stem, path, height, width, "", value_range)
