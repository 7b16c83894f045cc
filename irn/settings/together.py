"""Rules that concern several settings, or the files that they name, once each value is right by itself."""

from collections.abc import Callable
from pathlib import Path

from irn.data.dataset import has_ground_truth, mask_folders
from irn.data.kinds import KINDS
from irn.data.listing import matching
from irn.errors import IrnError, nearest
from irn.io.beginnings import check_beginning
from irn.io.files import dictionaries_of_maps
from irn.settings.final_networks import FINAL_NETWORKS
from irn.settings.settings import Settings, value

LAST_STRIDE = {"mask_rcnn": 32}  # pixels of a cell of a network's last level, where that is not 16
POOLING = ("resnest", "skresne")  # families of timm whose attention has batch norm of pooled features
Rule = Callable[[Settings], str | None]


def check_together(settings: Settings) -> None:
    """Raise IrnError for the first of the rules that the settings break."""
    for rule in RULES:
        if message := rule(settings):
            raise IrnError(f"config: {message}")


def _data_has_a_root(settings: Settings) -> str | None:
    kind, root = settings.dataset.kind, settings.dataset.root
    is_drawn = KINDS[kind].is_drawn
    if not is_drawn and root is None:
        return (
            f"dataset.root is null, but dataset.kind {kind!r} needs the folder of the data set;"
            f" set it, such as dataset: {{kind: {kind}, root: path/of/the/data}}"
        )
    if is_drawn and root is not None:
        return (
            f"dataset.root is {root!r}, but the demonstration data is drawn in the store;"
            " set it to null: dataset: {root: null}"
        )
    return None


def _paths_of_data_exist(settings: Settings) -> str | None:
    for name in ("root", "labels_csv", "class_masks", "object_masks", "corrected"):
        path = getattr(settings.dataset, name)
        if path is not None and not Path(path).exists():
            return f"dataset.{name} is {path!r}, which does not exist; {_right_path(name, Path(path))}"
    return None


def _right_path(name: str, path: Path) -> str:
    """What to write in place of a path that leads nowhere."""
    if "~" in path.parts[:1]:
        return f"~ is not expanded here: write dataset: {{{name}: {path.expanduser()}}}"
    others = [other.name for other in matching(path.parent, "*")]
    meant = path.name.strip() if path.name.strip() in others else nearest(path.name, others)
    if meant:
        return f"did you mean dataset: {{{name}: {path.with_name(meant)}}}?"
    return f"fix the path, such as dataset: {{{name}: /path/of/it}}"


def _irnet_has_a_backbone(settings: Settings) -> str | None:
    if settings.pretrained is None and settings.cam.external is not None:
        return (
            "pretrained is null, but with cam.external no classifier is trained that IRNet could start from;"
            " set pretrained to imagenet or to the path of a state dict, such as pretrained: imagenet"
        )
    return None


def _pretrained_is_a_file(settings: Settings) -> str | None:
    pretrained = settings.pretrained
    if pretrained not in (None, "imagenet") and not Path(pretrained).is_file():
        return f"pretrained is {pretrained!r}, which is not a file; expected imagenet, null or the path of a state dict"
    if pretrained not in (None, "imagenet"):
        try:
            check_beginning(Path(pretrained))
        except IrnError as error:
            return f"pretrained names {error}"
    return None


def _objectness_is_a_file(settings: Settings) -> str | None:
    path = settings.refine.objectness_file
    if path is not None and not path.is_file():
        return (
            f"refine.objectness is {settings.refine.objectness!r}, which is not a file; expected none, packaged, or the"
            " path of a weights file of irn train-objectness"
        )
    return None


def _start_is_a_file(settings: Settings) -> str | None:
    path = settings.irn.start_file
    if path is None:
        return None
    if not path.is_file():
        return (
            f"irn.start is {settings.irn.start!r}, which is not a file; expected none, or the path of a weights file of"
            " irn train-irn"
        )
    try:
        check_beginning(path)
    except IrnError as error:
        return f"irn.start names {error}"
    return None


def _batches_can_be_split(settings: Settings) -> str | None:
    for name in _trained(settings):
        section = value(settings, name)
        if not section.can_split(max(settings.gpus, 1), settings.accumulate):
            return (
                f"{name}.batch_size is {section.batch_size}, too few images for gpus: {settings.gpus}"
                f" and accumulate: {settings.accumulate}; raise it, or lower these"
            )
    return None


def _batch_norm_has_several_values(settings: Settings) -> str | None:
    """From scratch batch norm learns, and needs more than one value: of another image, or of another cell."""
    if settings.pretrained is not None:
        return None
    for name in _trained(settings):
        section = value(settings, name)
        images = section.images_of_part(max(settings.gpus, 1), settings.accumulate)
        pooled = settings.backbone.startswith(POOLING)
        if name != "irn" and images < 2 and (pooled or section.crop_size <= LAST_STRIDE.get(name, 16)):
            why = f"{settings.backbone} has batch norm of pooled features" if pooled else "a crop is one cell"
            larger = "" if pooled else f", raise {name}.crop_size"
            return (
                f"{name}.batch_size is {section.batch_size} with accumulate: {settings.accumulate}, so that batch norm,"
                f" which learns from scratch, sees one image at a time, and {why}; expected 2 images in each part:"
                f" raise {name}.batch_size, lower accumulate{larger}, or set pretrained to imagenet"
            )
    return None


def _trained(settings: Settings) -> list[str]:
    """The sections of the networks that are trained."""
    trained = [] if settings.cam.external else ["cam"]
    trained += ["irn"] if settings.irn.epochs else []
    return trained + [network.name for network in FINAL_NETWORKS if value(settings, f"{network.name}.labels") != "none"]


def _irnet_has_ground_truth(settings: Settings) -> str | None:
    if settings.irn.labels == "ground_truth" and _folder_of("object_masks", settings) is None:
        return (
            "irn.labels is 'ground_truth', but there are no object masks; set dataset.object_masks to them, or"
            " irn.labels to pseudo"
        )
    return None


def _final_networks_have_ground_truth(settings: Settings) -> str | None:
    for network in FINAL_NETWORKS:
        labels = value(settings, f"{network.name}.labels")
        masks = {"classes": "class_masks", "objects": "object_masks"}[network.learns]
        if labels in ("ground_truth", "both") and _folder_of(masks, settings) is None:
            return (
                f"{network.name}.labels is {labels!r}, but there are no {masks.replace('_', ' ')};"
                f" set dataset.{masks} to them, or {network.name}.labels to pseudo"
            )
    return None


def _folder_of(masks: str, settings: Settings) -> Path | None:
    """Where the masks of a kind are, if there are any."""
    class_masks, object_masks = mask_folders(settings.dataset, Path(settings.dataset.root or ""))
    return class_masks if masks == "class_masks" else object_masks


def _ablation_has_ground_truth(settings: Settings) -> str | None:
    if settings.ablation and not has_ground_truth(settings.dataset):
        return (
            "ablation is true, but there are no class masks to score against;"
            " set dataset.class_masks to them, or ablation to false"
        )
    return None


def _external_cams_are_caches(settings: Settings) -> str | None:
    for path in settings.cam.external or ():
        if mistake := dictionaries_of_maps(Path(path)):
            return f"cam.external names {mistake}"
        if not Path(path).is_file():
            return f"cam.external names {path!r}, which is not a file; fix the path of the CAM cache"
    return None


RULES: tuple[Rule, ...] = (
    _data_has_a_root,
    _paths_of_data_exist,
    _irnet_has_a_backbone,
    _pretrained_is_a_file,
    _objectness_is_a_file,
    _start_is_a_file,
    _batches_can_be_split,
    _batch_norm_has_several_values,
    _irnet_has_ground_truth,
    _final_networks_have_ground_truth,
    _ablation_has_ground_truth,
    _external_cams_are_caches,
)
