# Weakly supervised instance segmentation with inter-pixel relations: from class labels to instance masks.
#
#   snakemake --cores 2                                              the demonstration
#   snakemake --cores 8 --configfile configs/voc2012_paper.yaml      the paper's run
#
# Settings that a configuration leaves out keep the paper's values. config.yaml is the demonstration, which runs if no file
# is given. Every rule runs one command of the package in irn/.
from snakemake.utils import min_version

min_version("9.16")

if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/stage.smk"
include: "rules/data.smk"
include: "rules/cam.smk"
include: "rules/irn.smk"
include: "rules/labels.smk"
include: "rules/networks.smk"
include: "rules/results.smk"
include: "rules/exports.smk"
include: "rules/slurm.smk"


# From here on no other snakemake is at work on these files. Snakemake knows one onstart alone.
onstart:
    check_arrays()
    show_run()


# The scores, what looks wrong and which setting to change, and what to do next.
onsuccess:
    finish(run, display)


rule all:
    default_target: True
    input:
        everything,
