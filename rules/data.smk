# Images, their class labels, and the weights that networks start from.


rule make_demo_data:
    output:
        data=directory(paths("make_demo_data").output("data")),
    log:
        paths("make_demo_data").log,
    benchmark:
        paths("make_demo_data").benchmark
    conda:
        conda_env
    threads: cores("make_demo_data")
    resources:
        **needs("make_demo_data"),
    params:
        options=options_of_job,
    message:
        "Drawing the demonstration images"
    shell:
        "irn make-demo-data --out {output.data} {params.options} > {log} 2>&1"


rule build_manifest:
    input:
        root=from_stage("make_demo_data"),
    output:
        manifest=paths("build_manifest").output("manifest.csv"),
        labels=paths("build_manifest").output("labels.csv"),
    log:
        paths("build_manifest").log,
    benchmark:
        paths("build_manifest").benchmark
    # So that mistakes in the data are found before anything is submitted to a cluster.
    localrule: True
    conda:
        conda_env
    threads: cores("build_manifest")
    resources:
        **needs("build_manifest"),
    params:
        options=options_of_job,
        data=lambda w: job.data_options(recipe_of(w)),
    message:
        "Listing the images of the data set"
    shell:
        "irn build-manifest {params.data} --out-manifest {output.manifest} --out-labels {output.labels}"
        " {params.options} > {log} 2>&1"


rule read_corrections:
    input:
        manifest=from_stage("build_manifest", "manifest.csv"),
        labels=from_stage("build_manifest", "labels.csv"),
    output:
        corrected=paths("read_corrections").output("corrected.h5"),
        labels=paths("read_corrections").output("labels.csv"),
    log:
        paths("read_corrections").log,
    benchmark:
        paths("read_corrections").benchmark
    # For the same reason.
    localrule: True
    conda:
        conda_env
    threads: cores("read_corrections")
    resources:
        **needs("read_corrections"),
    params:
        options=options_of_job,
        corrected=lambda w: recipe_of(w).settings.dataset.corrected,
    message:
        "Reading corrected masks"
    shell:
        "irn read-corrections --manifest {input.manifest} --labels {input.labels} --corrected {params.corrected:q}"
        " --out {output.corrected} --out-labels {output.labels} {params.options} > {log} 2>&1"


# The only rule that may need internet access.
rule download_backbone:
    output:
        backbone=paths("download_backbone").output("backbone.pt"),
    log:
        paths("download_backbone").log,
    benchmark:
        paths("download_backbone").benchmark
    localrule: True
    conda:
        conda_env
    threads: cores("download_backbone")
    resources:
        **needs("download_backbone"),
    params:
        options=options_of_job,
    message:
        "Getting ImageNet weights"
    shell:
        "irn download-backbone --out {output.backbone} {params.options} > {log} 2>&1"
