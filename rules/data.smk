# Images, their class labels, and the weights that networks start from.


use rule stage as make_demo_data with:
    output:
        out=directory("<folder>/data"),
    pathvars:
        **places("make_demo_data"),
    message:
        "Drawing the demonstration images"


# On the login node of a cluster, so that mistakes in the data are found before anything is submitted.
use rule stage as build_manifest with:
    input:
        from_stage("make_demo_data"),
    output:
        out_manifest="<folder>/manifest.csv",
        out_labels="<folder>/labels.csv",
    pathvars:
        **places("build_manifest"),
    localrule: True
    message:
        "Listing the images of the data set"


# For the same reason on the login node.
use rule stage as read_corrections with:
    input:
        manifest=from_stage("build_manifest/manifest.csv"),
        labels=from_stage("build_manifest/labels.csv"),
    output:
        out="<folder>/corrected.h5",
        out_labels="<folder>/labels.csv",
    pathvars:
        **places("read_corrections"),
    localrule: True
    message:
        "Reading corrected masks"


# The only rule that may need internet access.
use rule stage as download_backbone with:
    output:
        out="<folder>/backbone.pt",
    pathvars:
        **places("download_backbone"),
    localrule: True
    message:
        "Preparing ImageNet weights"
