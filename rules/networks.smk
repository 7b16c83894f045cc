# The networks at the end, which learn from the labels or from ground truth, and what they predict of images that they have not seen.


rule train_mask_rcnn:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        label_caches=made("make_labels"),
        backbone=backbone,
    output:
        weights="results/store/train_mask_rcnn/{key}/weights.pt",
        metrics="results/store/train_mask_rcnn/{key}/metrics.jsonl",
    log:
        "results/store/train_mask_rcnn/{key}/train_mask_rcnn.log",
    benchmark:
        "results/store/train_mask_rcnn/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("train_mask_rcnn")
    resources:
        **needs("train_mask_rcnn"),
    params:
        options=options,
        start=start,
        taught_by=lambda w, input: optional("--label-caches", input.label_caches),
    message:
        "Training Mask R-CNN on the labels"
    shell:
        "irn train-mask-rcnn --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
        " --metrics {output.metrics} {params.taught_by} {params.start} {params.options} > {log} 2>&1"


rule predict_mask_rcnn:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        weights=made("train_mask_rcnn"),
    output:
        predictions=directory("results/store/predict_mask_rcnn/{key}/predictions"),
    log:
        "results/store/predict_mask_rcnn/{key}/predict.log",
    benchmark:
        "results/store/predict_mask_rcnn/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("predict_mask_rcnn")
    resources:
        **needs("predict_mask_rcnn"),
    params:
        options=options,
    message:
        "Segmenting images by Mask R-CNN that learned from the labels"
    shell:
        "irn predict --weights {input.weights} --manifest {input.manifest} --out {output.predictions} {params.options} > {log} 2>&1"


rule train_mask_rcnn_gt:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        backbone=backbone,
    output:
        weights="results/store/train_mask_rcnn_gt/{key}/weights.pt",
        metrics="results/store/train_mask_rcnn_gt/{key}/metrics.jsonl",
    log:
        "results/store/train_mask_rcnn_gt/{key}/train_mask_rcnn.log",
    benchmark:
        "results/store/train_mask_rcnn_gt/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("train_mask_rcnn_gt")
    resources:
        **needs("train_mask_rcnn_gt"),
    params:
        options=options,
        start=start,
        taught_by=ground_truth,
    message:
        "Training Mask R-CNN on ground truth"
    shell:
        "irn train-mask-rcnn --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
        " --metrics {output.metrics} {params.taught_by} {params.start} {params.options} > {log} 2>&1"


rule predict_mask_rcnn_gt:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        weights=made("train_mask_rcnn_gt"),
    output:
        predictions=directory("results/store/predict_mask_rcnn_gt/{key}/predictions"),
    log:
        "results/store/predict_mask_rcnn_gt/{key}/predict.log",
    benchmark:
        "results/store/predict_mask_rcnn_gt/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("predict_mask_rcnn_gt")
    resources:
        **needs("predict_mask_rcnn_gt"),
    params:
        options=options,
    message:
        "Segmenting images by Mask R-CNN that learned from ground truth"
    shell:
        "irn predict --weights {input.weights} --manifest {input.manifest} --out {output.predictions} {params.options} > {log} 2>&1"


rule train_deeplab:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        label_caches=made("make_labels"),
        backbone=backbone,
    output:
        weights="results/store/train_deeplab/{key}/weights.pt",
        metrics="results/store/train_deeplab/{key}/metrics.jsonl",
    log:
        "results/store/train_deeplab/{key}/train_deeplab.log",
    benchmark:
        "results/store/train_deeplab/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("train_deeplab")
    resources:
        **needs("train_deeplab"),
    params:
        options=options,
        start=start,
        taught_by=lambda w, input: optional("--label-caches", input.label_caches),
    message:
        "Training DeepLab on the labels"
    shell:
        "irn train-deeplab --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
        " --metrics {output.metrics} {params.taught_by} {params.start} {params.options} > {log} 2>&1"


rule predict_deeplab:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        weights=made("train_deeplab"),
    output:
        predictions=directory("results/store/predict_deeplab/{key}/predictions"),
    log:
        "results/store/predict_deeplab/{key}/predict.log",
    benchmark:
        "results/store/predict_deeplab/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("predict_deeplab")
    resources:
        **needs("predict_deeplab"),
    params:
        options=options,
    message:
        "Segmenting images by DeepLab that learned from the labels"
    shell:
        "irn predict --weights {input.weights} --manifest {input.manifest} --out {output.predictions} {params.options} > {log} 2>&1"


rule train_deeplab_gt:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        labels=made("build_manifest", "labels.csv"),
        backbone=backbone,
    output:
        weights="results/store/train_deeplab_gt/{key}/weights.pt",
        metrics="results/store/train_deeplab_gt/{key}/metrics.jsonl",
    log:
        "results/store/train_deeplab_gt/{key}/train_deeplab.log",
    benchmark:
        "results/store/train_deeplab_gt/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("train_deeplab_gt")
    resources:
        **needs("train_deeplab_gt"),
    params:
        options=options,
        start=start,
        taught_by=class_masks,
    message:
        "Training DeepLab on ground truth"
    shell:
        "irn train-deeplab --manifest {input.manifest} --labels {input.labels} --out {output.weights}"
        " --metrics {output.metrics} {params.taught_by} {params.start} {params.options} > {log} 2>&1"


rule predict_deeplab_gt:
    input:
        manifest=made("build_manifest", "manifest.csv"),
        weights=made("train_deeplab_gt"),
    output:
        predictions=directory("results/store/predict_deeplab_gt/{key}/predictions"),
    log:
        "results/store/predict_deeplab_gt/{key}/predict.log",
    benchmark:
        "results/store/predict_deeplab_gt/{key}/benchmark.tsv"
    conda:
        conda_env
    threads: cores("predict_deeplab_gt")
    resources:
        **needs("predict_deeplab_gt"),
    params:
        options=options,
    message:
        "Segmenting images by DeepLab that learned from ground truth"
    shell:
        "irn predict --weights {input.weights} --manifest {input.manifest} --out {output.predictions} {params.options} > {log} 2>&1"
