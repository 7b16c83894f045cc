"""What benchmarks/gpu.py measures: the stages with a network, on drawn images, with untrained networks."""

from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from cases.networks import calibrate
from inputs import Scene, scene
from PIL import Image

from irn.commands.infer_fields import infer_fields
from irn.commands.make_cams import make_cams
from irn.commands.predict import predict
from irn.commands.refine_cams import refine_cams
from irn.commands.train_cam import train_cam
from irn.commands.train_cell_classifier import train_cell_classifier
from irn.commands.train_final_network import train_final_network
from irn.commands.train_irn import train_irn
from irn.data.images import read_record
from irn.data.tables import images_of, write_manifest
from irn.inference.cams import scaled_images
from irn.io.cache import CacheWriter
from irn.networks.classifier import Classifier
from irn.networks.irnet import IRNet
from irn.records import ImageRecord
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.settings import Settings, value
from irn.training.classifier import classifier_view
from irn.training.views import SampleId
from irn.weights.files import save_weights

CLASSES = 20
BACKBONE_OF_OBJECTNESS = "tf_efficientnet_lite0"  # of the packaged objectness, whatever the setting says
TRAININGS = ("cam", "irn", *(network.name for network in FINAL_NETWORKS))


class Size(NamedTuple):
    """How large the images are, how many of them, how many are drawn for that, and settings that fit them."""

    height: int
    width: int
    images: int
    scenes: int
    settings: dict[str, Any]


# Rates are high enough for a network to change, too low for an untrained one to diverge.
LEARNS = {"epochs": 1, "learning_rate": 1e-6}
REFINED = {"objectness": "packaged", "cell_classifier": True}
VOC = Size(375, 500, 480, 16, {**dict.fromkeys(TRAININGS, LEARNS), "refine": REFINED})
_TINY = {**LEARNS, "batch_size": 2, "crop_size": 64}
_SIDES = {"long_side": (48, 64)}
SMALL = Size(
    48,
    64,
    6,
    2,
    {
        "cam": {**_TINY, **_SIDES, "scales": (1.0,)},
        "irn": {**_TINY, "radius": 4},
        "mask_rcnn": {**_TINY, **_SIDES, "channels": 16, "regions": 8},
        "deeplab": {**_TINY, **_SIDES},
        "refine": {**REFINED, "long_sides": (64,)},
        "cell_classifier": {"rounds": 1, "steps": 2, "cells": 4},
    },
)


class Data(NamedTuple):
    """The files that the stages read, and how many processes load images."""

    folder: Path
    manifest: Path
    labels: Path
    ir_labels: Path
    label_cache: Path
    scenes: list[Scene]
    device: str
    workers: int | None


class Stage(NamedTuple):
    """A stage: what it is called, how often a run by the paper's settings goes through all images, and its command."""

    title: str
    passes: int
    batch_size: int
    run: Callable[[], None]


def settings_of(size: Size, backbone: str, precision: str) -> Settings:
    """The paper's settings for images of VOC's size, except for how long and how fast networks learn."""
    return Settings.model_validate({"backbone": backbone, "precision": precision, **size.settings})


def draw_data(folder: Path, size: Size, device: str, workers: int | None) -> Data:
    """Draw a few scenes, which are the images under many ids, and write tables and the labels that networks learn."""
    scenes = [scene(seed, size.height, size.width) for seed in range(size.scenes)]
    for number, drawn in enumerate(scenes):
        Image.fromarray(drawn.pixels).save(folder / f"{number}.jpg", quality=90)
    ids = [f"{number:06}" for number in range(size.images)]
    shown = list(islice(cycle(enumerate(scenes)), size.images))
    data = Data(
        folder,
        *(folder / name for name in ("manifest.csv", "labels.csv", "ir_label.h5", "label.h5")),
        scenes,
        device,
        workers,
    )
    records = [
        ImageRecord(name, folder / f"{number}.jpg", size.height, size.width, "train")
        for name, (number, _) in zip(ids, shown, strict=True)
    ]
    write_manifest(data.manifest, records)
    names = [f"class_{index}" for index in range(CLASSES)]
    present = ",".join("1" if index in scenes[0].classes else "0" for index in range(CLASSES))
    rows = [",".join(["image_id", *names]), *(f"{name},{present}" for name in ids)]
    data.labels.write_text("\n".join(rows) + "\n", encoding="utf-8")
    made_by = {"stage": "bench"}
    with (
        CacheWriter(data.ir_labels, "ir_label", made_by) as ir_labels,
        CacheWriter(data.label_cache, "label", made_by) as labels,
    ):
        for name, (_, drawn) in zip(ids, shown, strict=True):
            ir_labels.write(name, size.height, size.width, {"label": drawn.class_mask})
            labels.write(name, size.height, size.width, _labels(drawn))
    return data


def _labels(drawn: Scene) -> dict[str, Any]:
    """The arrays of a label cache, by the scene's own objects."""
    objects = torch.arange(int(drawn.object_mask.max()))
    return {
        "semantic": drawn.class_mask,
        "instance_map": drawn.object_mask.astype("uint16"),
        "instance_class": (objects % len(drawn.classes)).numpy().astype("uint16"),
        "instance_score": torch.ones(len(objects)).numpy(),
    }


def stages(data: Data, settings: Settings) -> list[Stage]:
    """The stages in the order of a run; each reads what those before it wrote."""
    folder = data.folder / f"{settings.backbone}_{settings.precision}"
    folder.mkdir()
    start, irn_start, cams = folder / "start.pt", folder / "irn_start.pt", folder / "cams.h5"
    _save_untrained(start, irn_start, data.scenes, settings)
    usual = {"settings": settings, "device": data.device, "workers": data.workers}
    read = {"manifest": data.manifest, **usual}
    trained = {**read, "backbone_weights": start}
    listed = [
        _training(
            "train_cam", "cam", settings, partial(train_cam, labels=data.labels, out=folder / "cam.pt", **trained)
        ),
        _pass("make_cams", partial(make_cams, labels=data.labels, out=cams, weights=start, **read)),
        _training(
            "train_irn",
            "irn",
            settings,
            partial(train_irn, ir_labels=[data.ir_labels], out=folder / "irn.pt", **trained),
        ),
        _pass("infer_fields", partial(infer_fields, weights=irn_start, out=folder / "fields.h5", **read)),
    ]
    if settings.backbone == BACKBONE_OF_OBJECTNESS:
        cells = folder / "cells.pt"
        listed += [
            _pass(
                "train_cell_classifier",
                partial(train_cell_classifier, labels=data.labels, cams=[cams], out=cells, **read),
            ),
            _pass(
                "refine_cams",
                partial(refine_cams, cams=[cams], cell_classifier=cells, out=folder / "refined.h5", **read),
            ),
        ]
    for network in FINAL_NETWORKS:
        weights, name = folder / f"{network.name}.pt", network.name
        train = partial(
            train_final_network, network, labels=data.labels, label_caches=[data.label_cache], out=weights, **trained
        )
        found = partial(predict, weights=[weights], out=folder / f"predicted_{name}", **read)
        listed += [_training(f"train_{name}", name, settings, train), _pass(f"predict_{name}", found)]
    return listed


def _training(title: str, section: str, settings: Settings, run: Callable[[], None]) -> Stage:
    epochs: int = value(Settings(), section).epochs
    return Stage(title, epochs, value(settings, section).batch_size, run)


def _pass(title: str, run: Callable[[], None]) -> Stage:
    return Stage(title, 1, 1, run)


def _save_untrained(start: Path, irn_start: Path, scenes: list[Scene], settings: Settings) -> None:
    """A classifier and an IRNet with random values, whose features are about as large as trained ones."""
    torch.manual_seed(0)
    for path, kind, network in (
        (start, "cam", Classifier(settings.backbone, CLASSES)),
        (irn_start, "irn", IRNet(settings.backbone)),
    ):
        images = torch.stack([network.backbone.normalise(torch.from_numpy(drawn.pixels)) for drawn in scenes[:2]])
        calibrate(network, images)
        names = [f"class_{index}" for index in range(CLASSES)] if kind == "cam" else None
        more = {} if kind == "cam" else {"mean_displacement": (0.0, 0.0)}
        save_weights(path, kind, network, {"stage": "bench"}, names, value(settings, kind).crop_size, **more)


# ---- loading alone


def training_view(data: Data, settings: Settings) -> Callable[[int], Any]:
    """What the classifier sees of an image in training: read, resized and cropped."""
    section, records = settings.cam, images_of(data.manifest, None)
    view = partial(
        classifier_view,
        records=records,
        targets=np.zeros((len(records), CLASSES), np.float32),
        long_side=section.long_side,
        crop_size=section.crop_size,
        seed=settings.seed,
    )
    return partial(_viewed, view=view)


def scaled_view(data: Data, settings: Settings) -> Callable[[int], Any]:
    """What class attention maps are computed from: an image at every scale."""
    return partial(_scaled, records=images_of(data.manifest, None), settings=settings)


def _viewed(image: int, view: Callable[[SampleId], Any]) -> Any:
    return view(SampleId(0, image))


def _scaled(image: int, records: list[ImageRecord], settings: Settings) -> Any:
    return scaled_images(read_record(records[image]), settings)
