# Inter-pixel relation labels, IRNet, and its fields.


rule make_ir_labels:
    input:
        manifest=rules.build_manifest.output.manifest,
        cams=shard_of("make_cams"),
        checked=external_checked("make_ir_labels"),
    output:
        ir_labels=f"{store('make_ir_labels')}/{{shard}}.h5",
    log:
        f"{store('make_ir_labels')}/{{shard}}.log",
    benchmark:
        f"{store('make_ir_labels')}/{{shard}}.benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        # A lattice for each thread; 500 MB hold one of a 500 x 375 image.
        mem_mb=lambda wildcards, threads, attempt: (1000 + 500 * threads) * attempt,
        runtime=more(240),
    params:
        foreground_threshold=config["ir_labels"]["foreground_threshold"],
        background_threshold=config["ir_labels"]["background_threshold"],
        split=plan.image_split,
        shard=shard_option,
    message:
        "Making inter-pixel relation labels, shard {wildcards.shard}"
    shell:
        "irn make-ir-labels"
        " --manifest {input.manifest}"
        " --cams {input.cams:q}"
        " --out {output.ir_labels}"
        " --foreground-threshold {params.foreground_threshold}"
        " --background-threshold {params.background_threshold}"
        " --split {params.split:q}"
        " --shard {params.shard}"
        " --workers {threads}"
        " > {log} 2>&1"


rule train_irn:
    input:
        manifest=rules.build_manifest.output.manifest,
        ir_labels=training_labels,
        backbone=backbone_file("train_irn"),
    output:
        weights=weights("train_irn"),
        metrics=f"{store('train_irn')}/metrics.jsonl",
    log:
        f"{store('train_irn')}/train_irn.log",
    benchmark:
        f"{store('train_irn')}/benchmark.tsv"
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
        mean_split=config["irn"]["mean_split"] or config["dataset"]["train_split"],
        backbone=config["backbone"],
        epochs=config["irn"]["epochs"],
        batch_size=config["irn"]["batch_size"],
        crop_size=config["irn"]["crop_size"],
        scale=config["irn"]["scale"],
        radius=config["irn"]["radius"],
        learning_rate=config["irn"]["learning_rate"],
        head_factor=config["irn"]["head_factor"],
        momentum=config["momentum"],
        weight_decay=config["weight_decay"],
        seed=config["seed"],
        precision=config["precision"],
    message:
        "Training IRNet for {params.epochs} epochs"
    shell:
        "irn train-irn"
        " --manifest {input.manifest}"
        " --ir-labels {input.ir_labels}"
        " --out {output.weights}"
        " --split {params.split:q}"
        " --mean-split {params.mean_split:q}"
        " --backbone {params.backbone}"
        " --backbone-weights {input.backbone:q}"
        " --epochs {params.epochs}"
        " --batch-size {params.batch_size}"
        " --crop-size {params.crop_size}"
        " --scale {params.scale}"
        " --radius {params.radius}"
        " --learning-rate {params.learning_rate}"
        " --head-factor {params.head_factor}"
        " --momentum {params.momentum}"
        " --weight-decay {params.weight_decay}"
        " --metrics {output.metrics}"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --precision {params.precision}"
        " > {log} 2>&1"


rule infer_fields:
    input:
        manifest=rules.build_manifest.output.manifest,
        weights=weights("train_irn"),
    output:
        fields=f"{store('infer_fields')}/{{shard}}.h5",
    log:
        f"{store('infer_fields')}/{{shard}}.log",
    benchmark:
        f"{store('infer_fields')}/{{shard}}.benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        gpu=config["gpus"],
        device=device,
        mem_mb=more(8000),
        runtime=more(240),
    params:
        split=plan.image_split,
        shard=shard_option,
        precision=config["precision"],
    message:
        "Inferring boundaries and displacements, shard {wildcards.shard}"
    shell:
        "irn infer-fields"
        " --manifest {input.manifest}"
        " --weights {input.weights}"
        " --out {output.fields}"
        " --split {params.split:q}"
        " --shard {params.shard}"
        " --device {resources.device}"
        " --precision {params.precision}"
        " > {log} 2>&1"
