# The classifier and its class attention maps.


use rule stage as train_cam with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        backbone_weights=backbone,
    output:
        out="<folder>/weights.pt",
        metrics="<folder>/metrics.jsonl",
    pathvars:
        **places("train_cam"),
    message:
        "Training the classifier"


use rule stage as make_cams with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        weights=from_stage("train_cam/weights.pt"),
        external=lambda w: [ancient(file) for file in recipe_of(w).settings.cam.external or ()],
    output:
        out="<folder>/{shard}.h5",
    pathvars:
        **places("make_cams"),
    message:
        "Making class attention maps, shard {wildcards.shard} of {wildcards.split}"


use rule stage as train_cell_classifier with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        cams=from_stage("make_cams"),
    output:
        out="<folder>/weights.pt",
    pathvars:
        **places("train_cell_classifier"),
    message:
        "Learning to tell the classes of an image apart"


use rule stage as refine_cams with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        cams=from_stage("make_cams"),
        cell_classifier=from_stage("train_cell_classifier/weights.pt"),
        backbone_weights=backbone,
    output:
        out="<folder>/{shard}.h5",
    pathvars:
        **places("refine_cams"),
    message:
        "Refining class attention maps, shard {wildcards.shard} of {wildcards.split}"


# On request, from the masks of the data set.
use rule stage as train_objectness with:
    input:
        manifest=from_stage("build_manifest/manifest.csv", to="train_objectness"),
        labels=from_stage("build_manifest/labels.csv", to="train_objectness"),
        backbone_weights=ancient(job.given_backbone(run.settings)),
    output:
        out="<folder>/weights.pt",
        metrics="<folder>/metrics.jsonl",
    pathvars:
        **places("train_objectness"),
    message:
        "Training objectness on the masks of the data set"
