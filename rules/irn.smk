# Inter-pixel relation labels, IRNet, and its fields.


use rule stage as make_ir_labels with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        cams=from_stage("refine_cams", "make_cams"),
        corrected=from_stage("read_corrections/corrected.h5"),
    output:
        out="<folder>/{shard}.h5",
    pathvars:
        **places("make_ir_labels"),
    message:
        "Making inter-pixel relation labels, shard {wildcards.shard} of {wildcards.split}"


use rule stage as train_irn with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        ir_labels=from_stage("make_ir_labels"),
        backbone_weights=backbone,
    output:
        out="<folder>/weights.pt",
        metrics="<folder>/metrics.jsonl",
    pathvars:
        **places("train_irn"),
    message:
        "Training IRNet"


use rule stage as infer_fields with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        weights=from_stage("train_irn/weights.pt"),
    output:
        out="<folder>/{shard}.h5",
    pathvars:
        **places("infer_fields"),
    message:
        "Inferring boundary and displacement, shard {wildcards.shard} of {wildcards.split}"
