# Images, their class labels, and the weights that networks start from.


rule make_demo_data:
    output:
        data=directory("results/store/make_demo_data/{key}/data"),
    log:
        "results/store/make_demo_data/{key}/make_demo_data.log",
    benchmark:
        "results/store/make_demo_data/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("make_demo_data")
    resources:
        **needs("make_demo_data"),
    params:
        options=options,
    message:
        "Drawing the demonstration images"
    shell:
        "irn make-demo-data --out {output.data} {params.options} > {log} 2>&1"


rule build_manifest:
    input:
        root=made("make_demo_data"),
    output:
        manifest="results/store/build_manifest/{key}/manifest.csv",
        labels="results/store/build_manifest/{key}/labels.csv",
    log:
        "results/store/build_manifest/{key}/build_manifest.log",
    benchmark:
        "results/store/build_manifest/{key}/benchmark.tsv"
    # So that mistakes in the data are found before anything is submitted to a cluster.
    localrule: True
    conda:
        conda_env
    threads: cores("build_manifest")
    resources:
        **needs("build_manifest"),
    params:
        options=options,
        kind=lambda w: run.recipes[w.key].settings.dataset.kind,
        root=lambda w: data_root(run.recipes[w.key]),
        labels_csv=lambda w: optional(
            "--labels-csv",
            filter(None, [run.recipes[w.key].settings.dataset.labels_csv]),
        ),
        class_masks=lambda w: optional(
            "--class-masks",
            filter(None, [run.recipes[w.key].settings.dataset.class_masks]),
        ),
    message:
        "Listing the images in {params.root}"
    shell:
        "irn build-manifest --kind {params.kind} --root {params.root:q} --out-manifest {output.manifest}"
        " --out-labels {output.labels} {params.labels_csv} {params.class_masks} {params.options} > {log} 2>&1"


# The only rule that may need internet access.
rule download_backbone:
    output:
        backbone="results/store/download_backbone/{key}/backbone.pt",
    log:
        "results/store/download_backbone/{key}/download_backbone.log",
    benchmark:
        "results/store/download_backbone/{key}/benchmark.tsv"
    localrule: True
    conda:
        conda_env
    threads: cores("download_backbone")
    resources:
        **needs("download_backbone"),
    params:
        options=options,
    message:
        "Getting ImageNet weights"
    shell:
        "irn download-backbone --out {output.backbone} {params.options} > {log} 2>&1"
