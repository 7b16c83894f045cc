# Scores and pictures.


rule evaluate:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        cams=made("make_cams"),
        label_caches=made("make_labels"),
        predictions=predicted,
    output:
        scores=report(
            "results/store/evaluate/{key}/scores.csv",
            caption="captions/scores.rst",
            category="Scores",
        ),
        thresholds=report(
            "results/store/evaluate/{key}/thresholds.csv",
            caption="captions/thresholds.rst",
            category="Scores",
        ),
    log:
        "results/store/evaluate/{key}/evaluate.log",
    benchmark:
        "results/store/evaluate/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("evaluate")
    resources:
        **needs("evaluate"),
    params:
        options=options,
        masks=ground_truth,
        predictions=predictions,
    message:
        "Scoring CAMs, labels and predictions"
    shell:
        "irn evaluate --manifest {input.manifest} --labels {input.labels} --cams {input.cams:q}"
        " --label-caches {input.label_caches:q} {params.masks} {params.predictions} --out {output.scores}"
        " --thresholds-out {output.thresholds} {params.options} > {log} 2>&1"


rule ablation:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        cams=made("make_cams"),
        walks=made("random_walk"),
    output:
        table="results/store/ablation/{key}/ablation.csv",
        figure="results/store/ablation/{key}/ablation.svg",
    log:
        "results/store/ablation/{key}/ablation.log",
    benchmark:
        "results/store/ablation/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("ablation")
    resources:
        **needs("ablation"),
    params:
        options=options,
        masks=ground_truth,
    message:
        "Scoring labels with and without each part of the method"
    shell:
        "irn ablation --manifest {input.manifest} --labels {input.labels} --cams {input.cams:q} --walks {input.walks:q}"
        " {params.masks} --out {output.table} --figure {output.figure} {params.options} > {log} 2>&1"


rule show:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        cams=made("make_cams"),
        ir_labels=made("make_ir_labels"),
        fields=made("infer_fields"),
        walks=made("random_walk"),
        label_caches=made("make_labels"),
    output:
        panels=report(
            directory("results/store/show/{key}/panels"),
            patterns=["{image}.png"],
            caption="captions/panels.rst",
            category="Pictures",
        ),
    log:
        "results/store/show/{key}/show.log",
    benchmark:
        "results/store/show/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("show")
    resources:
        **needs("show"),
    params:
        options=options,
    message:
        "Drawing images, stage by stage"
    shell:
        "irn show --manifest {input.manifest} --labels {input.labels} --cams {input.cams:q}"
        " --ir-labels {input.ir_labels:q} --fields {input.fields:q} --walks {input.walks:q}"
        " --label-caches {input.label_caches:q} --out {output.panels} {params.options} > {log} 2>&1"


rule gather_scores:
    input:
        scores=all_scores,
    output:
        scores=report(
            "results/store/gather_scores/{key}/scores.csv",
            caption="captions/gathered.rst",
            category="Scores",
        ),
        sweep=report(
            "results/store/gather_scores/{key}/sweep.csv",
            caption="captions/sweep.rst",
            category="Scores",
        ),
    log:
        "results/store/gather_scores/{key}/gather_scores.log",
    benchmark:
        "results/store/gather_scores/{key}/benchmark.tsv"
    localrule: True
    conda:
        conda_env
    threads: cores("gather_scores")
    resources:
        **needs("gather_scores"),
    params:
        options=options,
        configurations=lambda w: run.gathering.folder / "key.json",
    message:
        "Gathering the scores of all configurations"
    shell:
        "irn gather-scores --configurations {params.configurations} --out {output.scores} --sweep-out {output.sweep} > {log} 2>&1"


rule report:
    input:
        made=all_reported,
    output:
        report=report(
            "results/store/report/{key}/report.html",
            caption="captions/report.rst",
            category="Report",
        ),
    log:
        "results/store/report/{key}/report.log",
    benchmark:
        "results/store/report/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("report")
    resources:
        **needs("report"),
    params:
        options=options,
        run=run.folder,
    message:
        "Making the report"
    shell:
        "irn report --run {params.run} --out {output.report} {params.options} > {log} 2>&1"


# Asked for by name, as in snakemake export_coco; such a rule has no wildcards.


rule suggest_thresholds:
    input:
        manifest=made("build_manifest", "manifest.csv", of="suggest_thresholds"),
        cams=made("make_cams", of="suggest_thresholds"),
        walks=made("random_walk", of="suggest_thresholds"),
    output:
        table=own("suggest_thresholds", "suggested.csv"),
    log:
        own("suggest_thresholds", "suggest_thresholds.log"),
    benchmark:
        own("suggest_thresholds", "benchmark.tsv")
    conda:
        conda_env
    threads: cores("suggest_thresholds")
    resources:
        **needs("suggest_thresholds"),
    params:
        options=lambda w, threads: options(by_name("suggest_thresholds", w), threads),
    message:
        "Looking which thresholds separate foreground best"
    shell:
        "irn suggest-thresholds --manifest {input.manifest} --cams {input.cams:q} --walks {input.walks:q}"
        " --out {output.table} {params.options} > {log} 2>&1"


rule export_coco:
    input:
        manifest=made("build_manifest", "manifest.csv", of="export_coco"),
        labels=made("build_manifest", "labels.csv", of="export_coco"),
        label_caches=made("make_labels", of="export_coco"),
    output:
        instances=own("export_coco", "instances.json"),
    log:
        own("export_coco", "export_coco.log"),
    benchmark:
        own("export_coco", "benchmark.tsv")
    conda:
        conda_env
    threads: cores("export_coco")
    resources:
        **needs("export_coco"),
    params:
        options=lambda w, threads: options(by_name("export_coco", w), threads),
    message:
        "Exporting instances to COCO's format"
    shell:
        "irn export-coco --manifest {input.manifest} --labels {input.labels} --label-caches {input.label_caches:q}"
        " --out {output.instances} {params.options} > {log} 2>&1"


rule export_voc:
    input:
        manifest=made("build_manifest", "manifest.csv", of="export_voc"),
        label_caches=made("make_labels", of="export_voc"),
    output:
        classes=directory(own("export_voc", "SegmentationClass")),
        objects=directory(own("export_voc", "SegmentationObject")),
    log:
        own("export_voc", "export_voc.log"),
    benchmark:
        own("export_voc", "benchmark.tsv")
    conda:
        conda_env
    threads: cores("export_voc")
    resources:
        **needs("export_voc"),
    params:
        options=lambda w, threads: options(by_name("export_voc", w), threads),
        folder=lambda w, output: Path(output.classes).parent,
    message:
        "Exporting labels to the layout of PASCAL VOC"
    shell:
        "irn export-voc --manifest {input.manifest} --label-caches {input.label_caches:q} --out {params.folder}"
        " {params.options} > {log} 2>&1"
