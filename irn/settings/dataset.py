"""The settings of the data set."""

from typing import Annotated

from pydantic import Field

from irn.data.kinds import KINDS, in_words
from irn.records import Colours
from irn.settings import types as t
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.types import Expected, Section, setting


class Demo(Section, stages=("make_demo_data",)):
    """The demonstration data."""

    images: Annotated[int, Field(ge=2), Expected("a whole number of at least 2")] = setting(
        360, "Number of images to draw, at least 2; five sixths are for training."
    )
    size: Annotated[int, Field(ge=64, le=1024), Expected("a whole number of pixels from 64 to 1024")] = setting(
        192, "Long side of the images in pixels, 64 to 1024."
    )
    seed: t.Seed = setting(0, "Seed of the drawing, independent of the seed of training.")


class Dataset(Section, stages=("build_manifest",)):
    """The images, their annotations, and the splits to use."""

    kind: Annotated[str, t.Choice(*KINDS)] = setting(
        "voc",
        f"Layout of the data: {in_words()}.",
        flag="",
    )
    root: t.Path = setting(
        None,
        "Folder of the data set: the one with `JPEGImages/` (VOC) or `annotations/` (COCO); null for `demo`.",
        flag="",
    )
    splits: t.Names = setting(
        None,
        "Splits to list. VOC layout: names of lists in `ImageSets/Segmentation/`, or paths of lists. COCO layout:"
        " names of instances files, such as `train2014`, or `train` if there is only one year. An image in several"
        " splits belongs to the first. null: `train` and `val` (VOC and COCO layouts), all (`folder`).",
        ("build_manifest", "check_data"),
    )
    value_range: t.ValueRange = setting(
        None,
        "Range of pixel values in 16-bit and floating-point images, such as [0, 65535]: the first becomes black,"
        " the second white. It is the same for all images, so that their brightness stays comparable. null: such"
        " images are refused, except with three colours of 16 bits, of which the upper 8 are read. 8-bit images are"
        " read as they are.",
        ("build_manifest", "check_data", "predict"),
    )
    colour_profiles: Annotated[bool, Expected("true or false")] = setting(
        True,
        "Whether colours are converted to sRGB where an image has another ICC profile, such as Display P3 of phones"
        " or Adobe RGB. The release read all images as if they were sRGB.",
        ("build_manifest", "check_data", "predict"),
    )
    max_side: t.LargestSide = setting(
        None,
        "Largest working size: images whose long side is longer, in pixels, are scaled down for class attention"
        " maps, CRF, IRNet and walk; caches and labels keep the size of the image. A multiple of 16; 1024 suits"
        " photographs from a phone. null: no limit, as in the paper.",
        (
            "make_cams",
            "train_cell_classifier",
            "refine_cams",
            "make_ir_labels",
            "train_irn",
            "infer_*",
            "random_walk",
            "predict*",
            "ablation",
        ),
    )
    labels_csv: t.Path = setting(
        None, "Table of the classes in each image, used instead of the data set's own; null for none.", flag=""
    )
    leave_out: t.Names = setting(
        None,
        "Names that are not to be classes, such as [ignore, DontCare]. What is called so is not learned, and void in"
        " ground truth and corrected masks that have names (COCO, shapes, CVAT's colours); index PNGs have to be"
        " numbered without it. null: none.",
        (
            "build_manifest",
            "check_data",
            "read_corrections",
            "evaluate",
            "ablation",
            "train_irn",
            "train_objectness",
            *(f"train_{row.name}" for row in FINAL_NETWORKS),
        ),
    )
    train_split: t.Splits = setting(
        "train",
        "Splits that both networks are trained on and whose labels are exported, joined by `+`. The paper's are"
        " `train+train_aug`, 10,582 images.",
        t.NO_STAGE,
        flag="",
    )
    eval_split: t.Splits = setting(
        "train",
        "Splits to score and draw, joined by `+`. The paper's is `train`, 1,464 images.",
        t.NO_STAGE,
        flag="",
    )
    class_masks: t.Path = setting(
        None,
        "Class masks to score against: a folder of `<image_id>.png` (0 background, 1 + class index, 255 ignored),"
        " a COCO instances file or a folder of such files, or outlines of labelme, Label Studio or YOLO. null: those of"
        " the data set, in `SegmentationClass/` or, in COCO layout, `annotations/`. Without masks there are no scores.",
        ("evaluate", "ablation"),
        flag="",
    )
    object_masks: t.Path = setting(
        None,
        "Object masks to score against: a folder of `<image_id>.png` (0 none, 255 ignored, any other value one"
        " object), a COCO instances file or a folder of such files, or outlines of labelme, Label Studio or YOLO. null:"
        " those of the data set, in `SegmentationObject/` or, in COCO layout, `annotations/`. Without them there is no"
        " AP.",
        ("evaluate", "ablation"),
        flag="",
    )
    corrected: t.Path = setting(
        None,
        "Masks of some images that were corrected by hand: a folder of index PNGs as `export_voc` writes it, an"
        " instances file of COCO, Label Studio's JSON export, or a folder of labelme's JSON files. Labels take them"
        " over, IRNet and final networks learn from them, and these images are not scored. null for none.",
        ("read_corrections",),
        flag="",
    )
    demo: Demo = Demo()

    def colours(self) -> Colours:
        """How the values in image files become RGB."""
        return Colours(self.value_range, self.colour_profiles)

    @property
    def held_out_split(self) -> str:
        """The splits to score that no network is trained on, joined by `+`; all to score if there are none."""
        scored, trained = self.eval_split.split("+"), self.train_split.split("+")
        return "+".join([split for split in scored if split not in trained] or scored)
