# Scores and pictures.


rule evaluate:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        labels=from_stage("build_manifest", "labels.csv"),
        cams=from_stage("make_cams"),
        refined_cams=from_stage("refine_cams"),
        label_caches=from_stage("make_labels"),
        predictions=predictions,
        corrected=corrected,
    output:
        scores=shown(paths("evaluate").output("scores.csv"), "Scores"),
        thresholds=shown(paths("evaluate").output("thresholds.csv"), "Scores"),
    log:
        paths("evaluate").log,
    benchmark:
        paths("evaluate").benchmark
    conda:
        conda_env
    threads: cores("evaluate")
    resources:
        **needs("evaluate"),
    params:
        options=options_of_job,
        corrected=corrected_option,
        masks=lambda w: job.ground_truth_options(recipe_of(w)),
        predictions=lambda w: job.predictions_option(recipe_of(w)),
        refined=lambda w, input: job.with_flag(options.REFINED_CAMS, input.refined_cams),
    message:
        "Scoring against ground truth"
    shell:
        "irn evaluate --manifest {input.manifest} --labels {input.labels} --cams {input.cams:q}"
        " --label-caches {input.label_caches:q} {params.refined} {params.masks} {params.corrected}"
        " {params.predictions}"
        " --out {output.scores} --thresholds-out {output.thresholds} {params.options} > {log} 2>&1"


rule ablation:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        labels=from_stage("build_manifest", "labels.csv"),
        cams=class_maps(),
        walks=from_stage("random_walk"),
        corrected=corrected,
    output:
        table=paths("ablation").output("ablation.csv"),
        figure=paths("ablation").output("ablation.svg"),
    log:
        paths("ablation").log,
    benchmark:
        paths("ablation").benchmark
    conda:
        conda_env
    threads: cores("ablation")
    resources:
        **needs("ablation"),
    params:
        options=options_of_job,
        corrected=corrected_option,
        masks=lambda w: job.ground_truth_options(recipe_of(w)),
    message:
        "Scoring each part of the method"
    shell:
        "irn ablation --manifest {input.manifest} --labels {input.labels} --cams {input.cams:q} --walks {input.walks:q}"
        " {params.masks} {params.corrected} --out {output.table} --figure {output.figure} {params.options}"
        " > {log} 2>&1"


rule show:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        labels=class_labels,
        cams=from_stage("make_cams"),
        refined_cams=from_stage("refine_cams"),
        ir_labels=from_stage("make_ir_labels"),
        fields=from_stage("infer_fields"),
        walks=from_stage("random_walk"),
        label_caches=from_stage("make_labels"),
    output:
        panels=shown(directory(paths("show").output("panels")), "Pictures", patterns=["{image}.png"]),
    log:
        paths("show").log,
    benchmark:
        paths("show").benchmark
    conda:
        conda_env
    threads: cores("show")
    resources:
        **needs("show"),
    params:
        options=options_of_job,
        refined=lambda w, input: job.with_flag(options.REFINED_CAMS, input.refined_cams),
    message:
        "Drawing images, stage by stage"
    shell:
        "irn show --manifest {input.manifest} --labels {input.labels} --cams {input.cams:q} {params.refined}"
        " --ir-labels {input.ir_labels:q} --fields {input.fields:q} --walks {input.walks:q}"
        " --label-caches {input.label_caches:q} --out {output.panels} {params.options} > {log} 2>&1"


rule gather_scores:
    input:
        scores=lambda w: awaited(run.gathering, w, [scored.files()[0] for scored in run.gathering.reads.values()]),
    output:
        scores=shown(paths("gather_scores").output("scores.csv"), "Scores"),
        sweep=shown(paths("gather_scores").output("sweep.csv"), "Scores"),
    log:
        paths("gather_scores").log,
    benchmark:
        paths("gather_scores").benchmark
    localrule: True
    conda:
        conda_env
    threads: cores("gather_scores")
    resources:
        **needs("gather_scores"),
    params:
        record=lambda w: run.gathering.folder / "key.json",
    message:
        "Gathering all scores"
    shell:
        "irn gather-scores --configurations {params.record} --out {output.scores} --sweep-out {output.sweep}"
        " > {log} 2>&1"


rule report:
    input:
        shown=reported,
    output:
        report=shown(paths("report").output("report.html"), "Report"),
    log:
        paths("report").log,
    benchmark:
        paths("report").benchmark
    conda:
        conda_env
    threads: cores("report")
    resources:
        **needs("report"),
    params:
        options=options_of_job,
        run=run.folder,
    message:
        "Making the report"
    shell:
        "irn report --run {params.run} --out {output.report} {params.options} > {log} 2>&1"


# On request, as in snakemake suggest_thresholds; such rules have no wildcards.
rule suggest_thresholds:
    input:
        manifest=from_stage("build_manifest", "manifest.csv", to="suggest_thresholds"),
        cams=class_maps(to="suggest_thresholds"),
        walks=from_stage("random_walk", to="suggest_thresholds"),
        corrected=from_stage("read_corrections", "corrected.h5", to="suggest_thresholds"),
    output:
        table=paths("suggest_thresholds").output("suggested.csv"),
    log:
        paths("suggest_thresholds").log,
    benchmark:
        paths("suggest_thresholds").benchmark
    conda:
        conda_env
    threads: cores("suggest_thresholds")
    resources:
        **needs("suggest_thresholds"),
    params:
        options=options_on_request("suggest_thresholds"),
        corrected=corrected_option,
    message:
        "Suggesting thresholds"
    shell:
        "irn suggest-thresholds --manifest {input.manifest} --cams {input.cams:q} --walks {input.walks:q}"
        " --out {output.table} {params.corrected} {params.options} > {log} 2>&1"
