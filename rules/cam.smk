# The classifier and its class attention maps.


rule train_cam:
    input:
        manifest=rules.build_manifest.output.manifest,
        labels=rules.build_manifest.output.labels,
        backbone=backbone_file("train_cam"),
    output:
        weights=weights("train_cam"),
        metrics=f"{store('train_cam')}/metrics.jsonl",
    log:
        f"{store('train_cam')}/train_cam.log",
    benchmark:
        f"{store('train_cam')}/benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        gpu=config["gpus"],
        device=device,
        mem_mb=more(16000),
        runtime=more(240),
    params:
        split=config["dataset"]["train_split"],
        backbone=config["backbone"],
        start=lambda wildcards, input: (
            f"--backbone-weights {quote(input.backbone)}"
            if input.backbone
            else "--from-scratch"
        ),
        epochs=config["cam"]["epochs"],
        batch_size=config["cam"]["batch_size"],
        crop_size=config["cam"]["crop_size"],
        long_side=config["cam"]["long_side"],
        learning_rate=config["cam"]["learning_rate"],
        head_factor=config["cam"]["head_factor"],
        momentum=config["momentum"],
        weight_decay=config["weight_decay"],
        seed=config["seed"],
        precision=config["precision"],
    message:
        "Training the classifier for {params.epochs} epochs"
    shell:
        "irn train-cam"
        " --manifest {input.manifest}"
        " --labels {input.labels}"
        " --out {output.weights}"
        " --split {params.split:q}"
        " --backbone {params.backbone}"
        " {params.start}"
        " --epochs {params.epochs}"
        " --batch-size {params.batch_size}"
        " --crop-size {params.crop_size}"
        " --long-side {params.long_side}"
        " --learning-rate {params.learning_rate}"
        " --head-factor {params.head_factor}"
        " --momentum {params.momentum}"
        " --weight-decay {params.weight_decay}"
        " --metrics {output.metrics}"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --precision {params.precision}"
        " > {log} 2>&1"


rule make_cams:
    input:
        manifest=rules.build_manifest.output.manifest,
        labels=rules.build_manifest.output.labels,
        weights=weights("train_cam"),
    output:
        cams=f"{store('make_cams')}/{{shard}}.h5",
    log:
        f"{store('make_cams')}/{{shard}}.log",
    benchmark:
        f"{store('make_cams')}/{{shard}}.benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        gpu=config["gpus"],
        device=device,
        mem_mb=more(8000),
        runtime=more(240),
    params:
        scales=config["cam"]["scales"],
        split=plan.image_split,
        shard=shard_option,
        precision=config["precision"],
    message:
        "Making class attention maps, shard {wildcards.shard}"
    shell:
        "irn make-cams"
        " --manifest {input.manifest}"
        " --labels {input.labels}"
        " --weights {input.weights}"
        " --out {output.cams}"
        " --scales {params.scales}"
        " --split {params.split:q}"
        " --shard {params.shard}"
        " --device {resources.device}"
        " --precision {params.precision}"
        " > {log} 2>&1"
