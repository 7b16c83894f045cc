# Images, their class labels, and the weights that networks start from.


rule make_demo_data:
    output:
        data=directory(f"{store('make_demo_data')}/data"),
    log:
        f"{store('make_demo_data')}/make_demo_data.log",
    benchmark:
        f"{store('make_demo_data')}/benchmark.tsv"
    conda:
        conda_env
    threads: 16
    resources:
        mem_mb=more(1000),
        runtime=more(10),
    params:
        images=config["dataset"]["demo"]["images"],
        size=config["dataset"]["demo"]["size"],
        seed=config["dataset"]["demo"]["seed"],
    message:
        "Drawing {params.images} demonstration images"
    shell:
        "irn make-demo-data"
        " --out {output.data}"
        " --images {params.images}"
        " --size {params.size}"
        " --seed {params.seed}"
        " --workers {threads}"
        " > {log} 2>&1"


rule build_manifest:
    input:
        root=[plan.data_root] if config["dataset"]["kind"] == "demo" else [],
        labels_csv=config["dataset"]["labels_csv"] or [],
    output:
        manifest=f"{store('build_manifest')}/manifest.csv",
        labels=f"{store('build_manifest')}/labels.csv",
    log:
        f"{store('build_manifest')}/build_manifest.log",
    benchmark:
        f"{store('build_manifest')}/benchmark.tsv"
    # With check_cams, so that mistakes in the data are found before anything is submitted to a cluster.
    localrule: True
    conda:
        conda_env
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(20),
    params:
        kind=config["dataset"]["kind"],
        root=plan.data_root,
        splits=lambda wildcards: (
            f"--splits {split_list(config['dataset']['splits'])}"
            if config["dataset"]["splits"]
            else ""
        ),
        labels_csv=lambda wildcards, input: (
            f"--labels-csv {quote(input.labels_csv)}" if input.labels_csv else ""
        ),
    message:
        "Listing the images in {params.root}"
    shell:
        "irn build-manifest"
        " --kind {params.kind}"
        " --root {params.root:q}"
        " --out-manifest {output.manifest}"
        " --out-labels {output.labels}"
        " {params.splits}"
        " {params.labels_csv}"
        " > {log} 2>&1"


# Only with cam.external.
rule check_cams:
    input:
        manifest=rules.build_manifest.output.manifest,
        labels=rules.build_manifest.output.labels,
        cams=config["cam"]["external"] or [],
    output:
        checked=touch(f"{store('check_cams')}/checked"),
    log:
        f"{store('check_cams')}/check_cams.log",
    benchmark:
        f"{store('check_cams')}/benchmark.tsv"
    localrule: True
    conda:
        conda_env
    threads: 1
    resources:
        mem_mb=more(1000),
        runtime=more(20),
    params:
        split=plan.image_split,
    message:
        "Checking the CAMs from elsewhere"
    shell:
        "irn check-cams"
        " --manifest {input.manifest}"
        " --labels {input.labels}"
        " --cams {input.cams:q}"
        " --split {params.split:q}"
        " > {log} 2>&1"


# The only rule that needs a network.
rule download_backbone:
    output:
        backbone=f"{store('download_backbone')}/backbone.pt",
    log:
        f"{store('download_backbone')}/download_backbone.log",
    benchmark:
        f"{store('download_backbone')}/benchmark.tsv"
    localrule: True
    conda:
        conda_env
    threads: 1
    resources:
        mem_mb=more(2000),
        runtime=more(30),
    params:
        backbone=config["backbone"],
    message:
        "Downloading ImageNet weights of {params.backbone}"
    shell:
        "irn download-backbone"
        " --backbone {params.backbone}"
        " --out {output.backbone}"
        " > {log} 2>&1"
