# Paths, targets and resources that the rules share.
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from irn.config import check_config
from irn.errors import IrnError
from irn.store import PER_IMAGE, Plan

try:
    config = check_config(config)
    plan = Plan(config)
except IrnError as error:
    print(error, file=sys.stderr)
    sys.exit(2)


# In every rule, irn is the package of this checkout, by the Python of the rule's conda environment or else by the one that runs Snakemake.
in_conda = "conda" in {
    str(method) for method in workflow.deployment_settings.deployment_method
}
python = "python" if in_conda else f"'{sys.executable}'"
command = f"PYTHONPATH='{workflow.basedir}' {python} -m irn"
# Braces are halved here, and once more when Snakemake formats the prefix.
shell.prefix(f'irn() {{{{ {command} "$@"; }}}}; ')
device = "cuda" if config["gpus"] else "cpu"
conda_env = f"{workflow.basedir}/envs/{'cuda' if config['gpus'] else 'cpu'}.yaml"


wildcard_constraints:
    shard=r"\d+-of-\d+",


def store(stage):
    """Where the files of a stage lie; stages that this configuration does without have no place."""
    return (
        str(plan.folder(stage))
        if stage in plan.stages
        else f"results/store/{stage}/unused"
    )


def shards(stage):
    return plan.shards(stage)


def shard_of(stage):
    """The file of the same shard, or all files of a cache that came from elsewhere."""
    if stage == "make_cams" and config["cam"]["external"]:
        return shards(stage)
    return f"{store(stage)}/{{shard}}.h5"


def shard_option(wildcards):
    return wildcards.shard.replace("-of-", "/")


def split_list(splits):
    return " ".join(f"'{name}'" for name in splits)


def training_labels(wildcards):
    """The IR labels that IRNet learns from.

    Trained weights are what their key says, so neither newer label files nor another
    number of shards, whose files do not exist yet, may train them again.
    """
    files = shards("make_ir_labels")
    dag = workflow.dag_settings
    forced = (
        dag.forceall
        or {"train_irn", "make_ir_labels", weights("train_irn")} & dag.forcerun
    )
    if forced or not Path(weights("train_irn")).is_file():
        return files
    return [ancient(path) for path in files if Path(path).is_file()]


def weights(stage):
    return f"{store(stage)}/weights.pt"


def backbone_file(stage):
    """The weights that a network's backbone starts from; none when it starts from scratch."""
    if config["pretrained"] == "imagenet":
        return f"{store('download_backbone')}/backbone.pt"
    if config["pretrained"]:
        return config["pretrained"]
    return weights("train_cam") if stage == "train_irn" else []


def everything():
    """All that a run has made when it is complete."""
    files = [f"results/{config['run']}/run.json"]
    for stage in plan.stages:
        if stage in PER_IMAGE:
            files += shards(stage)
        elif stage.startswith("train_"):
            files.append(weights(stage))
    if "evaluate" in plan.stages:
        files.append(f"results/{config['run']}/scores.csv")
    return files


def more(first):
    """A resource that grows each time a job is tried again."""
    return lambda wildcards, attempt: first * attempt


onstart:
    # So that the files of stages that are done can be looked at while others run.
    plan.open()
