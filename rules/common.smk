# A run's configurations, and for each file in the store the inputs, options and resources of the job that makes it.
import sys
from pathlib import Path
from shlex import quote

from snakemake.logging import logger

sys.path.insert(0, workflow.basedir)

from irn.errors import IrnError
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.reading import check_config, check_files
from irn.terminal.attach import attach, finish
from irn.workflow import job, options
from irn.workflow.recipes import STORE
from irn.workflow.run import Run, check_data
from irn.workflow.stages import ALL_STAGES, EXPORTS, behind

try:
    # The processes of jobs need not check again, here and below.
    if workflow.is_main_process:
        check_files([Path(path) for path in workflow.configfiles])
    run = Run(check_config(config))
    if workflow.is_main_process:
        check_data(run)
except IrnError as error:
    print(error, file=sys.stderr)
    sys.exit(2)

display = attach(logger, workflow.output_settings, run) if workflow.is_main_process else None


# In every rule, irn is the package of this checkout, run by the Python of the rule's conda environment or else by this one.
in_conda = "conda" in {str(method) for method in workflow.deployment_settings.deployment_method}
python = "python" if in_conda else quote(sys.executable)
command = f"IRN_PROGRESS_EVERY=2 PYTHONPATH={quote(str(workflow.basedir))} {python} -m irn"
# Four braces: the f-string halves them, and Snakemake's formatting of the prefix halves them again.
shell.prefix(f'irn() {{{{ {command} "$@"; }}}}; ')
conda_env = f"{workflow.basedir}/envs/irn.yaml"


wildcard_constraints:
    key=r"[0-9a-f]{12}",
    split=r"[^/]+",
    shard=r"\d+-of-\d+",


def recipe_of(wildcards=None, stage=None):
    """The recipe of the file that is asked for; of a stage on request, that of the run's own configuration."""
    return run.configurations[0][stage] if stage else run.recipes[wildcards.key]


# ---- Paths in the store. What is made on request has no wildcards, so that its rule can be a target.


def paths(stage):
    """The paths of a stage: `output(name)`, `log` and `benchmark`."""
    on_request = ALL_STAGES[stage].on_request
    return job.Paths(ALL_STAGES[stage], str(recipe_of(stage=stage).folder) if on_request else "")


def shown(path, category, **more):
    """An output in the report that Snakemake makes itself."""
    return report(path, caption=f"captions/{Path(path).stem}.rst", category=category, **more)


# ---- Inputs


def everything(wildcards):
    """The run's files. results/<run>/ is made on the way: Snakemake calls nothing else when there is nothing to do."""
    show_run()
    return run.files()


def show_run():
    if workflow.is_main_process and not workflow.dryrun:
        try:
            suit_arrays()
            run.show(stages_of(workflow.dag_settings.targets))
        except OSError as error:
            print(f"snakemake: results/ cannot be written ({error}); free it, or name --directory", file=sys.stderr)
            sys.exit(2)


def stages_of(targets):
    """The names in targets, each a rule or a file in the store."""
    return ALL_STAGES.keys() & {Path(name).parts[2] if STORE in Path(name).parents else name for name in targets}


def from_stage(source, name="", to=None):
    """The files of a stage, or that of a name, that the job reads; `to` is the job's stage if that is on request."""

    def files(wildcards):
        if to:
            show_run()
        recipe = recipe_of(wildcards, to)
        inputs = recipe.inputs(source, wildcards.get("split"), wildcards.get("shard"))
        return awaited(recipe, wildcards, [file for file in inputs if file.endswith(name)])

    return files


def corrected(wildcards):
    """The cache of corrected masks; none without corrections."""
    return from_stage("read_corrections", "corrected.h5")(wildcards)


def class_labels(wildcards):
    """The classes of the images: by corrected masks where there are some, and otherwise by the data set."""
    corrected_rows = from_stage("read_corrections", "labels.csv")(wildcards)
    return corrected_rows or from_stage("build_manifest", "labels.csv")(wildcards)


def class_maps(to=None):
    """The refined class maps, or those of the classifier where nothing refines them."""
    refined, plain = from_stage("refine_cams", to=to), from_stage("make_cams", to=to)
    return lambda wildcards: refined(wildcards) or plain(wildcards)


def awaited(recipe, wildcards, files):
    """Inputs of what exists are neither made nor compared by time, unless it or something before it is forced."""
    if is_forced(recipe.stage.name) or not recipe.exists(wildcards.get("split"), wildcards.get("shard")):
        return files
    return [ancient(file) for file in files if Path(file).exists()]


def is_forced(stage):
    """Whether --forceall or --forcerun concerns a stage or one that it depends on."""
    dag = workflow.dag_settings
    return dag.forceall or any(stage in (name, *behind(name)) for name in stages_of(dag.forcerun))


def backbone(wildcards):
    """The weights that a network's backbone starts from; none when it starts from scratch."""
    recipe = recipe_of(wildcards)
    pretrained = recipe.settings.pretrained
    if pretrained is None:
        # Empty for networks that start from scratch.
        return from_stage("train_cam", "weights.pt")(wildcards) if not recipe.stage.has(options.FROM_SCRATCH) else []
    if pretrained == "imagenet":
        return from_stage("download_backbone")(wildcards)
    # The key holds its content, so its time does not count.
    return [ancient(pretrained)]


def predictions(wildcards):
    """The predictions of all final networks."""
    return [folder for name in TRAINED_NETWORKS for folder in from_stage(f"predict_{name}")(wildcards)]


def reported(wildcards):
    """All that the report shows. results/<run>/ is made on the way, since the report reads it."""
    show_run()
    return awaited(run.report, wildcards, run.reported)


# ---- Options and resources


def options_of_job(wildcards, threads):
    return job.job_options(recipe_of(wildcards), wildcards.get("split"), wildcards.get("shard"), threads)


def options_on_request(stage):
    return lambda wildcards, threads: job.job_options(recipe_of(stage=stage), None, None, threads)


def labels_option(stage):
    """The table of classes, for a stage that takes it."""
    return lambda wildcards, input: job.with_flag(options.LABELS, [input.labels] if stage.has(options.LABELS) else [])


def backbone_options(wildcards, input):
    return job.with_flag(options.BACKBONE_WEIGHTS, input.backbone) or options.FROM_SCRATCH.flag


def corrected_option(wildcards, input):
    return job.with_flag(options.CORRECTED, input.corrected)


def cores(stage):
    return ALL_STAGES[stage].resources.cores


def needs(stage):
    return job.resources(ALL_STAGES[stage], run.settings.gpus)
