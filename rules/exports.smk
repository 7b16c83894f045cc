# Labels for other programs, on request, as in snakemake export_coco; a rule for each row of EXPORTS.


for export in EXPORTS:
    place = paths(export.name)

    rule:
        name:
            export.name
        input:
            manifest=from_stage("build_manifest", "manifest.csv", to=export.name),
            labels=from_stage("build_manifest", "labels.csv", to=export.name),
            label_caches=from_stage("make_labels", to=export.name),
        output:
            [file if Path(file).suffix else directory(file) for file in map(place.output, export.makes)],
        log:
            place.log,
        benchmark:
            place.benchmark
        conda:
            conda_env
        threads: cores(export.name)
        resources:
            **needs(export.name),
        params:
            command=export.words,
            labels=labels_option(export),
            out=lambda w, output: job.place_of_export(output),
            options=options_on_request(export.name),
        message:
            export.help
        shell:
            "irn {params.command} --manifest {input.manifest} {params.labels} --label-caches {input.label_caches:q}"
            " --out {params.out} {params.options} > {log} 2>&1"
