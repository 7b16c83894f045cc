# The final networks, each trained on the labels or on ground truth, and their predictions of held-out images.


def taught_by(wildcards, input):
    """The options for what a final network learns from: the labels, or ground truth."""
    stage = run.recipes[wildcards.key].stage.name
    network = TRAINED_NETWORKS[stage.removeprefix("train_")]
    masks = ground_truth if network.learns == "objects" else class_masks
    return optional("--label-caches", input.label_caches) or masks(wildcards)


for name, network in TRAINED_NETWORKS.items():
    train, predict = f"train_{name}", f"predict_{name}"
    teacher = "the labels" if name == network.name else "ground truth"

    rule:
        name:
            train
        input:
            manifest=made("build_manifest", "manifest.csv"),
            labels=made("build_manifest", "labels.csv"),
            label_caches=made("make_labels"),
            backbone=backbone,
        output:
            weights=f"results/store/{train}/{{key}}/weights.pt",
            metrics=f"results/store/{train}/{{key}}/metrics.jsonl",
        log:
            f"results/store/{train}/{{key}}/{train}.log",
        benchmark:
            f"results/store/{train}/{{key}}/benchmark.tsv"
        conda:
            conda_env
        threads: cores(train)
        resources:
            **needs(train),
        params:
            command=ALL_STAGES[train].words,
            options=options,
            start=start,
            taught_by=taught_by,
        message:
            f"Training {network.title} on {teacher}"
        shell:
            "irn {params.command} --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
            " --metrics {output.metrics} {params.taught_by} {params.start} {params.options} > {log} 2>&1"

    rule:
        name:
            predict
        input:
            manifest=made("build_manifest", "manifest.csv"),
            weights=made(train),
        output:
            predictions=directory(f"results/store/{predict}/{{key}}/predictions"),
        log:
            f"results/store/{predict}/{{key}}/{predict}.log",
        benchmark:
            f"results/store/{predict}/{{key}}/benchmark.tsv"
        conda:
            conda_env
        threads: cores(predict)
        resources:
            **needs(predict),
        params:
            options=options,
        message:
            f"Segmenting images by {network.title}, trained on {teacher}"
        shell:
            "irn predict --weights {input.weights} --manifest {input.manifest} --out {output.predictions}"
            " {params.options} > {log} 2>&1"
