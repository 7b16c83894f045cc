"""What the programs that people use read from the exports; run by their own Python, without this package.

python readers.py TOOL PATH OUT

It writes an .npz of masks (height, width) bool, named `<image>|<number>|<class name>`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

Objects = Iterator[tuple[str, str, np.ndarray]]


def ultralytics(path: Path) -> Objects:
    """The data set that YOLO trains on, its polygons drawn as for training, at the size of the image."""
    from ultralytics.data import utils
    from ultralytics.data.dataset import YOLODataset

    utils.check_font = lambda font: None  # it would download one
    data = utils.check_det_dataset(str(path / "data.yaml"), autodownload=False)
    folders = data["train"] if isinstance(data["train"], list) else [data["train"]]
    for folder in folders:
        images = YOLODataset(img_path=folder, data=data, task="segment", augment=False, cache=False)
        for label in images.labels:
            height, width = label["shape"]
            for (index,), outline in zip(label["cls"].astype(int), label["segments"], strict=True):
                mask = utils.polygon2mask((height, width), [(outline * (width, height)).ravel()])
                yield Path(label["im_file"]).stem, data["names"][index], mask


def datumaro(path: Path) -> Objects:
    """An instances file, as CVAT imports it."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset
    from pycocotools import mask as drawing

    data = Dataset.import_from(str(path), "coco_instances")
    names = [label.name for label in data.categories()[AnnotationType.label]]
    for item in data:
        height, width = item.media.size
        groups: dict[int, np.ndarray] = {}
        for number, shape in enumerate(item.annotations):
            if shape.type == AnnotationType.mask:
                mask = np.asarray(shape.image, bool)
            elif shape.type == AnnotationType.polygon:
                runs = drawing.merge(drawing.frPyObjects([shape.points], height, width))
                mask = drawing.decode(runs).astype(bool)
            else:
                continue  # a box that datumaro adds
            key = (shape.group or -number, shape.label)
            groups[key] = groups.get(key, np.zeros((height, width), bool)) | mask
        for (_, label), mask in groups.items():
            yield item.id, names[label], mask


def label_studio(path: Path) -> Objects:
    """Tasks as Label Studio's converter reads them once their predictions have become annotations."""
    import xml.etree.ElementTree as ElementTree

    from label_studio_sdk.converter import brush
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface(path.with_suffix(".xml").read_text(encoding="utf-8"))
    assert ElementTree.parse(path.with_suffix(".xml")).getroot().tag == "View"
    for task in json.loads(path.read_text(encoding="utf-8")):
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction), prediction
            for region in prediction["result"]:
                width, height = region["original_width"], region["original_height"]
                (name,) = region["value"][region["type"]]
                if region["type"] == "brushlabels":
                    mask = brush.decode_rle(region["value"]["rle"]).reshape(height, width, 4)[..., 3] > 0
                else:
                    from pycocotools import mask as drawing

                    points = np.array(region["value"]["points"]) / 100 * (width, height)
                    mask = drawing.decode(
                        drawing.merge(drawing.frPyObjects([points.ravel().tolist()], height, width))
                    ).astype(bool)
                yield task["data"]["image_id"], name, mask


def labelme(path: Path) -> Objects:
    # Its module of pictures imports the toolkit of its windows, which needs libraries of a desktop.
    sys.modules["PyQt5"] = MagicMock()
    from labelme._label_file import read_label_file
    from labelme.utils import shape_to_mask

    for file in sorted(path.glob("*.json")):
        content = read_label_file(str(file))
        other = json.loads(file.read_text())
        groups: dict[object, np.ndarray] = {}
        for number, shape in enumerate(content.shapes):
            mask = shape_to_mask((other["imageHeight"], other["imageWidth"]), shape["points"], shape["shape_type"])
            key = (number if shape["group_id"] is None else f"group {shape['group_id']}", shape["label"])
            groups[key] = groups.get(key, False) | mask
        for (_, label), mask in groups.items():
            yield file.stem, label, mask


if __name__ == "__main__":
    tool, path, out = sys.argv[1:]
    objects = globals()[tool](Path(path))
    np.savez_compressed(out, **{f"{image}|{number}|{name}": mask for number, (image, name, mask) in enumerate(objects)})
