# Scores and pictures.


use rule stage as evaluate with:
    input:
        predictions,
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        cams=from_stage("make_cams"),
        refined_cams=from_stage("refine_cams"),
        label_caches=from_stage("make_labels"),
        corrected=from_stage("read_corrections/corrected.h5"),
    output:
        out=shown("<folder>/scores.csv", "Scores"),
        thresholds_out=shown("<folder>/thresholds.csv", "Scores"),
    pathvars:
        **places("evaluate"),
    message:
        "Scoring against ground truth"


use rule stage as ablation with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
        cams=from_stage("make_cams"),
        refined_cams=from_stage("refine_cams"),
        walks=from_stage("random_walk"),
        corrected=from_stage("read_corrections/corrected.h5"),
    output:
        out="<folder>/ablation.csv",
        figure="<folder>/ablation.svg",
    pathvars:
        **places("ablation"),
    message:
        "Scoring each part of the method"


use rule stage as show with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("read_corrections/labels.csv", "build_manifest/labels.csv"),
        cams=from_stage("make_cams"),
        refined_cams=from_stage("refine_cams"),
        ir_labels=from_stage("make_ir_labels"),
        fields=from_stage("infer_fields"),
        walks=from_stage("random_walk"),
        label_caches=from_stage("make_labels"),
    output:
        out=shown(directory("<folder>/panels"), "Pictures", patterns=["{image}.png"]),
    pathvars:
        **places("show"),
    message:
        "Drawing images, stage by stage"


use rule stage as gather_scores with:
    input:
        lambda w: awaited(run.gathering, w, [scored.files()[0] for scored in run.gathering.reads.values()]),
    output:
        out=shown("<folder>/scores.csv", "Scores"),
        sweep_out=shown("<folder>/sweep.csv", "Scores"),
    pathvars:
        **places("gather_scores"),
    localrule: True
    message:
        "Gathering all scores"


use rule stage as report with:
    input:
        reported,
    output:
        out=shown("<folder>/report.html", "Report"),
    pathvars:
        **places("report"),
    message:
        "Making the report"


# On request, as in snakemake suggest_thresholds; such rules have no wildcards.
use rule stage as suggest_thresholds with:
    input:
        manifest=from_stage("build_manifest/manifest.csv", to="suggest_thresholds"),
        cams=from_stage("refine_cams", "make_cams", to="suggest_thresholds"),
        walks=from_stage("random_walk", to="suggest_thresholds"),
        corrected=from_stage("read_corrections/corrected.h5", to="suggest_thresholds"),
    output:
        out="<folder>/suggested.csv",
    pathvars:
        **places("suggest_thresholds"),
    message:
        "Suggesting thresholds"
