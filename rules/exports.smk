# Labels for other programs, on request, as in snakemake export_coco; a rule for each row of EXPORTS, like that in stage.smk.


for export in EXPORTS:

    rule:
        name:
            export.name
        input:
            manifest=from_stage("build_manifest/manifest.csv", to=export.name),
            labels=from_stage("build_manifest/labels.csv", to=export.name),
            label_caches=from_stage("make_labels", to=export.name),
            doubt=from_stage("find_doubt", to=export.name),
        output:
            [f"<folder>/{name}" if Path(name).suffix else directory(f"<folder>/{name}") for name in export.makes],
        log:
            "<log>",
        benchmark:
            "<benchmark>"
        pathvars:
            **places(export.name),
        conda:
            conda_env
        threads: cores
        resources:
            **needs,
        params:
            command=command_of_job,
        message:
            export.help
        shell:
            "irn {params.command} > {log:q} 2>&1"
