# The classifier and its class attention maps.


rule train_cam:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        labels=from_stage("build_manifest", "labels.csv"),
        backbone=backbone,
    output:
        weights=paths("train_cam").output("weights.pt"),
        metrics=paths("train_cam").output("metrics.jsonl"),
    log:
        paths("train_cam").log,
    benchmark:
        paths("train_cam").benchmark
    conda:
        conda_env
    threads: cores("train_cam")
    resources:
        **needs("train_cam"),
    params:
        options=options_of_job,
        backbone=backbone_options,
    message:
        "Training the classifier"
    shell:
        "irn train-cam --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
        " --metrics {output.metrics} {params.backbone} {params.options} > {log} 2>&1"


rule make_cams:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        labels=from_stage("build_manifest", "labels.csv"),
        weights=from_stage("train_cam", "weights.pt"),
        external=lambda w: [ancient(file) for file in recipe_of(w).settings.cam.external or ()],
    output:
        cams=paths("make_cams").output(),
    log:
        paths("make_cams").log,
    benchmark:
        paths("make_cams").benchmark
    conda:
        conda_env
    threads: cores("make_cams")
    resources:
        **needs("make_cams"),
    params:
        options=options_of_job,
        source=lambda w, input: job.source_options(input.weights, input.external),
    message:
        "Making class attention maps, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn make-cams --manifest {input.manifest} --labels {input.labels} --out {output.cams:q}"
        " {params.source} {params.options} > {log:q} 2>&1"


rule refine_cams:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        cams=from_stage("make_cams"),
        backbone=backbone,
    output:
        cams=paths("refine_cams").output(),
    log:
        paths("refine_cams").log,
    benchmark:
        paths("refine_cams").benchmark
    conda:
        conda_env
    threads: cores("refine_cams")
    resources:
        **needs("refine_cams"),
    params:
        options=options_of_job,
        backbone=lambda w, input: job.with_flag(options.BACKBONE_WEIGHTS, input.backbone),
    message:
        "Refining class attention maps, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn refine-cams --manifest {input.manifest} --cams {input.cams:q} --out {output.cams:q}"
        " {params.backbone} {params.options} > {log:q} 2>&1"


# On request, from the masks of the data set.
rule train_objectness:
    input:
        manifest=from_stage("build_manifest", "manifest.csv", to="train_objectness"),
        labels=from_stage("build_manifest", "labels.csv", to="train_objectness"),
    output:
        weights=paths("train_objectness").output("weights.pt"),
        metrics=paths("train_objectness").output("metrics.jsonl"),
    log:
        paths("train_objectness").log,
    benchmark:
        paths("train_objectness").benchmark
    conda:
        conda_env
    threads: cores("train_objectness")
    resources:
        **needs("train_objectness"),
    params:
        options=options_on_request("train_objectness"),
        masks=lambda w: job.ground_truth_options(recipe_of(stage="train_objectness")),
        backbone=lambda w: job.with_flag(options.BACKBONE_WEIGHTS, job.given_backbone(run.settings)),
    message:
        "Training objectness on the masks of the data set"
    shell:
        "irn train-objectness --manifest {input.manifest} --labels {input.labels} {params.masks} --out {output.weights}"
        " --metrics {output.metrics} {params.backbone} {params.options} > {log} 2>&1"
