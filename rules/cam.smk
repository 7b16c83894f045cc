# The classifier and its class attention maps.


rule train_cam:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        backbone=backbone,
    output:
        weights="results/store/train_cam/{key}/weights.pt",
        metrics="results/store/train_cam/{key}/metrics.jsonl",
    log:
        "results/store/train_cam/{key}/train_cam.log",
    benchmark:
        "results/store/train_cam/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("train_cam")
    resources:
        **needs("train_cam"),
    params:
        options=options,
        start=start,
    message:
        "Training the classifier"
    shell:
        "irn train-cam --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
        " --metrics {output.metrics} {params.start} {params.options} > {log} 2>&1"


rule make_cams:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        weights=made("train_cam"),
        external=external_cams,
    output:
        cams="results/store/make_cams/{key}/{split}/{shard}.h5",
    log:
        "results/store/make_cams/{key}/{split}/{shard}.log",
    benchmark:
        "results/store/make_cams/{key}/{split}/{shard}.benchmark.tsv"
    conda:
        conda_env
    threads: cores("make_cams")
    resources:
        **needs("make_cams"),
    params:
        options=options,
        source=lambda w, input: optional("--weights", input.weights)
        or optional("--external", input.external),
    message:
        "Making class attention maps, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn make-cams --manifest {input.manifest} --labels {input.labels} --out {output.cams:q}"
        " {params.source} {params.options} > {log:q} 2>&1"
