# Label synthesis: random walk, then semantic and instance labels.


rule random_walk:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        cams=class_maps(),
        fields=from_stage("infer_fields"),
    output:
        walks=paths("random_walk").output(),
    log:
        paths("random_walk").log,
    benchmark:
        paths("random_walk").benchmark
    conda:
        conda_env
    threads: cores("random_walk")
    resources:
        **needs("random_walk"),
    params:
        options=options_of_job,
    message:
        "Spreading maps by random walk, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn random-walk --manifest {input.manifest} --cams {input.cams:q} --fields {input.fields:q}"
        " --out {output.walks:q} {params.options} > {log:q} 2>&1"


rule make_labels:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        walks=from_stage("random_walk"),
        corrected=corrected,
    output:
        labels=paths("make_labels").output(),
    log:
        paths("make_labels").log,
    benchmark:
        paths("make_labels").benchmark
    conda:
        conda_env
    threads: cores("make_labels")
    resources:
        **needs("make_labels"),
    params:
        options=options_of_job,
        corrected=corrected_option,
    message:
        "Making semantic and instance labels, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn make-labels --manifest {input.manifest} --walks {input.walks:q} --out {output.labels:q}"
        " {params.corrected} {params.options} > {log:q} 2>&1"
