# Label synthesis: random walk, then semantic and instance labels.


rule random_walk:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        cams=made("make_cams"),
        fields=made("infer_fields"),
    output:
        walks="results/store/random_walk/{key}/{split}/{shard}.h5",
    log:
        "results/store/random_walk/{key}/{split}/{shard}.log",
    benchmark:
        "results/store/random_walk/{key}/{split}/{shard}.benchmark.tsv"
    conda:
        conda_env
    threads: cores("random_walk")
    resources:
        **needs("random_walk"),
    params:
        options=options,
    message:
        "Walking class attention maps over instances, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn random-walk --manifest {input.manifest} --cams {input.cams:q} --fields {input.fields:q} --out {output.walks:q}"
        " {params.options} > {log:q} 2>&1"


rule make_labels:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        walks=made("random_walk"),
    output:
        labels="results/store/make_labels/{key}/{split}/{shard}.h5",
    log:
        "results/store/make_labels/{key}/{split}/{shard}.log",
    benchmark:
        "results/store/make_labels/{key}/{split}/{shard}.benchmark.tsv"
    conda:
        conda_env
    threads: cores("make_labels")
    resources:
        **needs("make_labels"),
    params:
        options=options,
    message:
        "Making semantic and instance labels, shard {wildcards.shard} of {wildcards.split}"
    shell:
        "irn make-labels --manifest {input.manifest} --walks {input.walks:q} --out {output.labels:q}"
        " {params.options} > {log:q} 2>&1"
