"""Which metrics score what: the one place that lists them."""

from irn.ops.average_precision import PieceAP, VocAP
from irn.ops.coco_ap import CocoAP, PieceSizeAP
from irn.ops.iou import CamIoU, IoU, RefinedIoU
from irn.ops.metric import Column, Metric

OF_LABEL_MAPS: tuple[type[Metric], ...] = (IoU,)
# By what is scored: CAMs, refined or not, as `ClassMaps`, semantic labels, instance labels as
# `Pieces`; and of final networks, by what they learn, label maps and instances as `Masks`.
METRICS: dict[str, tuple[type[Metric], ...]] = {
    "cam": (CamIoU,),
    "refined": (RefinedIoU,),
    "semantic": OF_LABEL_MAPS,
    "instance": (PieceAP, PieceSizeAP),
    "classes": OF_LABEL_MAPS,
    "objects": (VocAP, CocoAP),
}


def columns() -> dict[str, Column]:
    """All scores there are, in the order of tables, by the name of the rows of classes."""
    return {column.name: column for metrics in METRICS.values() for metric in metrics for column in metric.columns}


def mean_names(by_size: bool = False) -> list[str]:
    """The names of their means: of those over objects of all sizes, or of those by size."""
    return [column.mean for column in columns().values() if column.by_size == by_size]


def leading(scored: str) -> str:
    """The mean by which what is scored, a key of METRICS, is compared."""
    return next(column.mean for metric in METRICS[scored] for column in metric.columns if column.leads)


def comparing(scored: str) -> list[type[Metric]]:
    """The metrics by which what is scored is compared, without those that tell more of it."""
    return [metric for metric in METRICS[scored] if any(column.leads for column in metric.columns)]
