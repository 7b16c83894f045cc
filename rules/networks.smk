# The final networks, each trained on the labels or on ground truth, and their predictions of held-out images.
# `use rule` takes no names from a table, so these rules repeat what is in stage.smk.


for name, network in TRAINED_NETWORKS.items():
    teacher = "these labels" if name == network.name else "ground truth"

    rule:
        name:
            f"train_{name}"
        input:
            manifest=from_stage("build_manifest/manifest.csv"),
            labels=from_stage("read_corrections/labels.csv", "build_manifest/labels.csv"),
            label_caches=from_stage("make_labels"),
            backbone_weights=backbone,
        output:
            out="<folder>/weights.pt",
            metrics="<folder>/metrics.jsonl",
        log:
            "<log>",
        benchmark:
            "<benchmark>"
        pathvars:
            **places(f"train_{name}"),
        conda:
            conda_env
        threads: cores
        resources:
            **needs,
        params:
            command=command_of_job,
        message:
            f"Training {network.title} on {teacher}"
        shell:
            "irn {params.command} > {log:q} 2>&1"

    rule:
        name:
            f"predict_{name}"
        input:
            weights=from_stage(f"train_{name}/weights.pt"),
            manifest=from_stage("build_manifest/manifest.csv"),
        output:
            out=directory("<folder>/predictions"),
        log:
            "<log>",
        benchmark:
            "<benchmark>"
        pathvars:
            **places(f"predict_{name}"),
        conda:
            conda_env
        threads: cores
        resources:
            **needs,
        params:
            command=command_of_job,
        message:
            f"Segmenting by {network.title}" + ("" if name == network.name else " (truth)")
        shell:
            "irn {params.command} > {log:q} 2>&1"
