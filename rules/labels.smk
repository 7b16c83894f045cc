# Label synthesis: random walk, then semantic and instance labels.


use rule stage as random_walk with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        cams=from_stage("refine_cams", "make_cams"),
        fields=from_stage("infer_fields"),
    output:
        out="<folder>/{shard}.h5",
    pathvars:
        **places("random_walk"),
    message:
        "Spreading maps by random walk, shard {wildcards.shard} of {wildcards.split}"


use rule stage as make_labels with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        walks=from_stage("random_walk"),
        corrected=from_stage("read_corrections/corrected.h5"),
    output:
        out="<folder>/{shard}.h5",
    pathvars:
        **places("make_labels"),
    message:
        "Making semantic and instance labels, shard {wildcards.shard} of {wildcards.split}"


use rule stage as find_doubt with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        ir_labels=from_stage("make_ir_labels"),
        walks=from_stage("random_walk"),
        label_caches=from_stage("make_labels"),
        corrected=from_stage("read_corrections/corrected.h5"),
    output:
        out=shown("<folder>/doubt.csv", "Labels"),
    pathvars:
        **places("find_doubt"),
    message:
        "Looking for doubtful labels"
