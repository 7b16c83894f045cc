# The final networks, each trained on the labels or on ground truth, and their predictions of held-out images.


for name, network in TRAINED_NETWORKS.items():
    train, predict = f"train_{name}", f"predict_{name}"
    teacher = "the labels" if name == network.name else "ground truth"

    rule:
        name:
            train
        input:
            manifest=from_stage("build_manifest", "manifest.csv"),
            labels=class_labels,
            label_caches=from_stage("make_labels"),
            backbone=backbone,
        output:
            weights=paths(train).output("weights.pt"),
            metrics=paths(train).output("metrics.jsonl"),
        log:
            paths(train).log,
        benchmark:
            paths(train).benchmark
        conda:
            conda_env
        threads: cores(train)
        resources:
            **needs(train),
        params:
            command=ALL_STAGES[train].words,
            options=options_of_job,
            backbone=backbone_options,
            taught_by=lambda w, input: job.teacher_options(recipe_of(w), input.label_caches),
        message:
            f"Training {network.title} on {teacher}"
        shell:
            "irn {params.command} --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
            " --metrics {output.metrics} {params.taught_by} {params.backbone} {params.options} > {log} 2>&1"

    rule:
        name:
            predict
        input:
            manifest=from_stage("build_manifest", "manifest.csv"),
            weights=from_stage(train, "weights.pt"),
        output:
            predictions=directory(paths(predict).output("predictions")),
        log:
            paths(predict).log,
        benchmark:
            paths(predict).benchmark
        conda:
            conda_env
        threads: cores(predict)
        resources:
            **needs(predict),
        params:
            options=options_of_job,
        message:
            f"Segmenting by {network.title} ({teacher})"
        shell:
            "irn predict --weights {input.weights} --manifest {input.manifest} --out {output.predictions}"
            " {params.options} > {log} 2>&1"
