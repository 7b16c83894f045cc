# Inter-pixel relation labels, IRNet, and its fields.


rule make_ir_labels:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        cams=class_maps(),
        corrected=corrected,
    output:
        ir_labels=paths("make_ir_labels").output(),
    log:
        paths("make_ir_labels").log,
    benchmark:
        paths("make_ir_labels").benchmark
    conda:
        conda_env
    threads: cores("make_ir_labels")
    resources:
        **needs("make_ir_labels"),
    params:
        options=options_of_job,
        corrected=corrected_option,
    message:
        "Making inter-pixel relation labels, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn make-ir-labels --manifest {input.manifest} --cams {input.cams:q} --out {output.ir_labels:q}"
        " {params.corrected} {params.options} > {log:q} 2>&1"


rule train_irn:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        ir_labels=from_stage("make_ir_labels"),
        backbone=backbone,
    output:
        weights=paths("train_irn").output("weights.pt"),
        metrics=paths("train_irn").output("metrics.jsonl"),
    log:
        paths("train_irn").log,
    benchmark:
        paths("train_irn").benchmark
    conda:
        conda_env
    threads: cores("train_irn")
    resources:
        **needs("train_irn"),
    params:
        options=options_of_job,
    message:
        "Training IRNet"
    shell:
        "irn train-irn --manifest {input.manifest} --ir-labels {input.ir_labels:q} --out {output.weights}"
        " --metrics {output.metrics} --backbone-weights {input.backbone:q} {params.options} > {log} 2>&1"


rule infer_fields:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        weights=from_stage("train_irn", "weights.pt"),
    output:
        fields=paths("infer_fields").output(),
    log:
        paths("infer_fields").log,
    benchmark:
        paths("infer_fields").benchmark
    conda:
        conda_env
    threads: cores("infer_fields")
    resources:
        **needs("infer_fields"),
    params:
        options=options_of_job,
    message:
        "Inferring boundary and displacement, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn infer-fields --manifest {input.manifest} --weights {input.weights} --out {output.fields:q}"
        " {params.options} > {log:q} 2>&1"
