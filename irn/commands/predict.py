"""Segment new images by a trained network."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irn.data.coco_lists import Lists, lists_of
from irn.data.findings import Findings
from irn.data.growing_predictions import Found, GrowingPredictions
from irn.data.images import read_image, read_record
from irn.data.new_images import new_images
from irn.data.segmentations import encoded
from irn.data.tables import images_of
from irn.errors import Incomplete, IrnError
from irn.inference.predictions import Prediction
from irn.inference.predictor import SHOWN, Predictor, exported_network, open_predictor
from irn.io.devices import choose_device, loading_workers
from irn.io.parallel import map_images
from irn.io.progress import notice, progress
from irn.io.tensors import load_file
from irn.settings.final_networks import titles
from irn.settings.lookup import of_stage
from irn.settings.settings import Settings, value
from irn.weights.onnx_export import write_onnx

LEAST = 0.05  # score in COCO's results, where none is given


class _Image(NamedTuple):
    image_id: str
    path: Path
    read: Callable[[], np.ndarray]


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
    """Segment images and write a folder of predictions; one that an earlier call began is gone on with.

    Parameters
    ----------
    weights: a file of a final network or of a classifier, or those of a classifier and of IRNet in either order.
    images: files, and folders, of which every image is segmented, in folders within too; or none with `manifest`, whose
        images of `split` are.
    onnx: where the network goes as ONNX, if anywhere; then images may be left out.
    score: the least score of an instance; by default 0.05 in `predictions.json`, and 0.5 in masks and overlays.

    Raises
    ------
    IrnError for weights of other kinds, images that do not exist, two of one name, and a folder that holds something
    else; Incomplete, after all others are written, for images that cannot be read.
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
    findings = Findings()
    to_segment = _images(manifest, split, images, settings, findings)
    least, shown = (LEAST, SHOWN) if score is None else (score, score)
    torch_device = choose_device(device)
    predictor = open_predictor(read, settings, torch_device, shown)
    files = [*weights, settings.refine.objectness_file] if settings.refine.objectness_file else weights
    folder = GrowingPredictions(out, {**_values(settings), "--score": score, "--weights": _digests(files)})
    left = [image for image in to_segment if not folder.holds(image.image_id, image.path)]
    for words in findings.notices:
        notice(words)
    if len(left) < len(to_segment):
        print(f"{len(to_segment) - len(left)} of {len(to_segment)} images are in {out} already")
    if predictor.guesses:
        notice(
            "no labels are given: the classes of an image are guessed, those that the classifier gives a probability of"
            f" at least {settings.predict.class_score:g}"
        )
    loaded = map_images(_read, left, loading_workers(workers, torch_device))
    done = len(to_segment) - len(left)
    for image, pixels in zip(left, progress(loaded, len(to_segment), "predict", done=done), strict=True):
        if isinstance(pixels, IrnError):
            findings.mistake(pixels)
        else:
            folder.add(image.image_id, image.path, _found(predictor, pixels, least, shown))
    lists = lists_of(folder.records(), predictor.names, manifest)
    _finish(folder, lists, findings, least, shown)


def _images(
    manifest: Path | None, split: str | None, images: Sequence[Path], settings: Settings, findings: Findings
) -> list[_Image]:
    if manifest is not None:
        return [
            _Image(record.image_id, record.path, partial(read_record, record)) for record in images_of(manifest, split)
        ]
    colours = settings.dataset.colours()
    return [
        _Image(image.image_id, image.path, partial(read_image, image.path, colours=colours))
        for image in new_images(images, findings)
    ]


def _values(settings: Settings) -> dict[str, Any]:
    """The settings that a prediction depends on, by their keys."""
    return {setting.key: value(settings, setting.key) for setting in of_stage("predict") if not setting.place}


def _digests(weights: Sequence[Path]) -> list[str]:
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in weights)


def _read(image: _Image) -> np.ndarray | IrnError:
    """The pixels of an image, or why it cannot be read."""
    try:
        return image.read()
    except IrnError as error:
        return error


def _found(predictor: Predictor, pixels: np.ndarray, least: float, shown: float) -> Found:
    prediction = predictor(pixels)
    guessed = None if prediction.guessed is None else prediction.guessed.astype(int).tolist()
    objects = prediction.crops.first_on_top(prediction.scores >= shown)
    return Found(pixels, prediction.semantic, objects, list(_instances(prediction, least)), guessed)


def _instances(prediction: Prediction, least: float) -> Iterator[tuple[int, dict[str, Any]]]:
    """The instances of at least a score: the index of the class, and what COCO's results say of each."""
    height, width = prediction.semantic.shape
    for index, score, ((rows, columns), mask) in zip(
        prediction.classes.tolist(), prediction.scores, prediction.crops, strict=True
    ):
        if score >= least:
            parts = {"score": float(score), **encoded(mask, rows.start, columns.start, (height, width))}
            if prediction.probability is not None:
                parts["guessed_class_probability"] = round(float(prediction.probability[index]), 6)
            yield index, parts


def _finish(folder: GrowingPredictions, lists: Lists, findings: Findings, least: float, shown: float) -> None:
    """Write the tables of the folder, and say what is in it and which images are not."""
    problems = findings.problems
    if len(folder):
        scores = [entry["score"] for entry in folder.finish(lists)]
        drawn = sum(score >= shown for score in scores)
        drawn_words = f", {drawn} of them of {shown:g} or more and drawn" if shown > least else ""
        print(
            f"{len(scores)} instances of score {least:g} or more{drawn_words}, in {len(folder)} images: {folder.folder}"
        )
    elif len(problems) == 1:
        raise IrnError(str(problems[0]))
    if problems:
        print("\n".join([f"{len(problems)} images cannot be read:", *(f"  {problem}" for problem in problems)]))
        there = f"the other {len(folder)} are in {folder.folder}" if len(folder) else "and there are no others"
        raise (Incomplete if len(folder) else IrnError)(
            f"{len(problems)} images cannot be read, listed above; {there}; mend them and give the same command again"
        )
