# Inter-pixel relation labels, IRNet, and its fields.


rule make_ir_labels:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        cams=made("make_cams"),
    output:
        ir_labels="results/store/make_ir_labels/{key}/{split}/{shard}.h5",
    log:
        "results/store/make_ir_labels/{key}/{split}/{shard}.log",
    benchmark:
        "results/store/make_ir_labels/{key}/{split}/{shard}.benchmark.tsv"
    conda:
        conda_env
    threads: cores("make_ir_labels")
    resources:
        **needs("make_ir_labels"),
    params:
        options=options,
    message:
        "Making inter-pixel relation labels, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn make-ir-labels --manifest {input.manifest} --cams {input.cams:q} --out {output.ir_labels:q}"
        " {params.options} > {log:q} 2>&1"


rule train_irn:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        ir_labels=made("make_ir_labels"),
        backbone=backbone,
    output:
        weights="results/store/train_irn/{key}/weights.pt",
        metrics="results/store/train_irn/{key}/metrics.jsonl",
    log:
        "results/store/train_irn/{key}/train_irn.log",
    benchmark:
        "results/store/train_irn/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("train_irn")
    resources:
        **needs("train_irn"),
    params:
        options=options,
    message:
        "Training IRNet"
    shell:
        "irn train-irn --manifest {input.manifest} --ir-labels {input.ir_labels:q} --out {output.weights}"
        " --metrics {output.metrics} --backbone-weights {input.backbone:q} {params.options} > {log} 2>&1"


rule infer_fields:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        weights=made("train_irn"),
    output:
        fields="results/store/infer_fields/{key}/{split}/{shard}.h5",
    log:
        "results/store/infer_fields/{key}/{split}/{shard}.log",
    benchmark:
        "results/store/infer_fields/{key}/{split}/{shard}.benchmark.tsv"
    conda:
        conda_env
    threads: cores("infer_fields")
    resources:
        **needs("infer_fields"),
    params:
        options=options,
    message:
        "Inferring boundaries and displacements, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn infer-fields --manifest {input.manifest} --weights {input.weights} --out {output.fields:q}"
        " {params.options} > {log:q} 2>&1"
