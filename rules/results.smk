# Scores, pictures, and the folder in which a run's results are seen.


rule evaluate:
    input:
        manifest=rules.build_manifest.output.manifest,
        labels=rules.build_manifest.output.labels,
        cams=shards("make_cams"),
        label_caches=shards("make_labels"),
    output:
        scores=f"{store('evaluate')}/scores.csv",
        thresholds=f"{store('evaluate')}/thresholds.csv",
    log:
        f"{store('evaluate')}/evaluate.log",
    benchmark:
        f"{store('evaluate')}/benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads, attempt: (1000 + 300 * threads) * attempt,
        runtime=more(60),
    params:
        class_masks=lambda wildcards: plan.masks("class"),
        object_masks=lambda wildcards: (
            f"--object-masks {quote(str(plan.masks('object')))}"
            if plan.masks("object")
            else ""
        ),
        cam_threshold=config["evaluate"]["cam_threshold"],
        split=config["dataset"]["eval_split"],
    message:
        "Scoring split {params.split}"
    shell:
        "irn evaluate"
        " --manifest {input.manifest}"
        " --labels {input.labels}"
        " --cams {input.cams:q}"
        " --label-caches {input.label_caches}"
        " --class-masks {params.class_masks:q}"
        " {params.object_masks}"
        " --out {output.scores}"
        " --thresholds-out {output.thresholds}"
        " --cam-threshold {params.cam_threshold}"
        " --split {params.split:q}"
        " --workers {threads}"
        " > {log} 2>&1"


rule show:
    input:
        manifest=rules.build_manifest.output.manifest,
        labels=rules.build_manifest.output.labels,
        cams=shards("make_cams"),
        ir_labels=shards("make_ir_labels"),
        fields=shards("infer_fields"),
        label_caches=shards("make_labels"),
    output:
        panels=directory(f"{store('show')}/panels"),
    log:
        f"{store('show')}/show.log",
    benchmark:
        f"{store('show')}/benchmark.tsv"
    conda:
        conda_env
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(20),
    params:
        images=config["show"]["images"],
    message:
        "Drawing {params.images} images, stage by stage"
    shell:
        "irn show"
        " --manifest {input.manifest}"
        " --labels {input.labels}"
        " --cams {input.cams:q}"
        " --ir-labels {input.ir_labels}"
        " --fields {input.fields}"
        " --label-caches {input.label_caches}"
        " --count {params.images}"
        " --out {output.panels}"
        " > {log} 2>&1"


scored = "evaluate" in plan.stages


rule link_results:
    input:
        scores=rules.evaluate.output.scores if scored else [],
        labels=shards("make_labels"),
        panels=rules.show.output.panels,
    output:
        run=f"results/{config['run']}/run.json",
        scores=[f"results/{config['run']}/scores.csv"] if scored else [],
    log:
        f"results/{config['run']}/link_results.log",
    benchmark:
        f"results/{config['run']}/link_results.benchmark.tsv"
    localrule: True
    conda:
        conda_env
    threads: 1
    resources:
        mem_mb=more(500),
        runtime=more(5),
    params:
        folders=[f"{stage}={store(stage)}" for stage in plan.stages],
        scores=lambda wildcards, input: f"--scores {input.scores}" if scored else "",
    message:
        "Showing the results in {output.run}"
    shell:
        "irn link-results"
        " --folders {params.folders}"
        " {params.scores}"
        " --out {output.run}"
        " > {log} 2>&1"
