# Paths, targets and resources that the rules share.
import sys
from pathlib import Path
from shlex import quote

sys.path.insert(0, workflow.basedir)

from irn.config import check_config
from irn.errors import IrnError
from irn.store import Plan

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
python = "python" if in_conda else quote(sys.executable)
command = f"PYTHONPATH={quote(str(workflow.basedir))} {python} -m irn"
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


def external_checked(stage):
    """What says that CAMs from elsewhere are sound, for files that are still to be made; it changes nothing in others."""
    return lambda wildcards: (
        f"{store('check_cams')}/checked"
        if "check_cams" in plan.stages
        and not Path(store(stage), f"{wildcards.shard}.h5").is_file()
        else []
    )


def shard_option(wildcards):
    return wildcards.shard.replace("-of-", "/")


def split_list(splits):
    return " ".join(map(quote, splits))


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
    if forced or not irn_is_trained():
        return files
    return [ancient(path) for path in files if Path(path).is_file()]


def irn_is_trained():
    """Whether IRNet's weights are there, and no older than the file of the backbone that they stand on.

    Snakemake does not look at times of a job behind ancient files that are made again.
    """
    trained, backbone = Path(weights("train_irn")), Path(backbone_file("train_irn"))
    if not (trained.is_file() and backbone.is_file()):
        return False
    known_by_content = config["pretrained"] not in (None, "imagenet")
    return known_by_content or backbone.stat().st_mtime <= trained.stat().st_mtime


def weights(stage):
    return f"{store(stage)}/weights.pt"


def backbone_file(stage):
    """The weights that a network's backbone starts from; none when it starts from scratch."""
    if config["pretrained"] == "imagenet":
        return f"{store('download_backbone')}/backbone.pt"
    if config["pretrained"]:
        # Known by its content, so its time does not count.
        return ancient(config["pretrained"])
    return weights("train_cam") if stage == "train_irn" else []


def everything():
    """All that a run has made when it is complete."""
    files = [f"results/{config['run']}/run.json"]
    if "evaluate" in plan.stages:
        files.append(f"results/{config['run']}/scores.csv")
    return files + [file for stage in plan.stages for file in plan.files(stage)]


def more(first):
    """A resource that grows each time a job is tried again."""
    return lambda wildcards, attempt: first * attempt


def check_arrays():
    """Refuse limits under which SLURM's executor waits without end for the rest of a job array."""
    if not getattr(workflow.executor_settings, "array_jobs", None):
        return
    limits = [name for name in workflow.global_resources if not name.startswith("_")]
    if workflow.resource_settings.cores:
        limits.append("cores")
    if workflow.resource_settings.nodes < config["shards"]:
        limits.append("jobs")
    if limits and config["shards"] > 1:
        raise IrnError(
            f"snakemake: a limit on {', '.join(limits)} holds shards back, and a job array would wait for them for ever;"
            " take profiles/slurm by --workflow-profile and drop the limit, or add --slurm-array-jobs ''"
        )


onstart:
    try:
        check_arrays()
    except IrnError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # So that the files of stages that are done can be looked at while others run.
    plan.open()
