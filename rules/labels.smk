# Label synthesis: random walk, then semantic and instance labels.


rule random_walk:
    input:
        manifest=rules.build_manifest.output.manifest,
        cams=shard_of("make_cams"),
        fields=shard_of("infer_fields"),
        checked=external_checked("random_walk"),
    output:
        walks=f"{store('random_walk')}/{{shard}}.h5",
    log:
        f"{store('random_walk')}/{{shard}}.log",
    benchmark:
        f"{store('random_walk')}/{{shard}}.benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        # A process for each thread; 500 MB hold one that walks a 500 x 375 image.
        mem_mb=lambda wildcards, threads, attempt: (1000 + 500 * threads) * attempt,
        runtime=more(120),
    params:
        beta=config["walk"]["beta"],
        steps=config["walk"]["steps"],
        radius=config["walk"]["radius"],
        split=plan.image_split,
        shard=shard_option,
    message:
        "Walking class attention maps over instances, shard {wildcards.shard}"
    shell:
        "irn random-walk"
        " --manifest {input.manifest}"
        " --cams {input.cams:q}"
        " --fields {input.fields}"
        " --out {output.walks}"
        " --beta {params.beta}"
        " --steps {params.steps}"
        " --radius {params.radius}"
        " --split {params.split:q}"
        " --shard {params.shard}"
        " --device cpu"
        " --workers {threads}"
        " > {log} 2>&1"


rule make_labels:
    input:
        walks=shard_of("random_walk"),
    output:
        labels=f"{store('make_labels')}/{{shard}}.h5",
    log:
        f"{store('make_labels')}/{{shard}}.log",
    benchmark:
        f"{store('make_labels')}/{{shard}}.benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        mem_mb=lambda wildcards, threads, attempt: (1000 + 500 * threads) * attempt,
        runtime=more(120),
    params:
        semantic_threshold=config["labels"]["semantic_threshold"],
        instance_threshold=config["labels"]["instance_threshold"],
    message:
        "Making semantic and instance labels, shard {wildcards.shard}"
    shell:
        "irn make-labels"
        " --walks {input.walks}"
        " --out {output.labels}"
        " --semantic-threshold {params.semantic_threshold}"
        " --instance-threshold {params.instance_threshold}"
        " --workers {threads}"
        " > {log} 2>&1"
