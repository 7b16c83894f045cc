# A run's configurations, and for each file in the store the inputs, options and resources of the job that makes it.
import gc
import sys
from pathlib import Path
from shlex import quote

from snakemake.logging import logger

sys.path.insert(0, workflow.basedir)

from irn.errors import IrnError
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.settings.reading import check_config, check_files
from irn.terminal.attach import attach, finish
from irn.workflow import job
from irn.workflow.history import is_locked
from irn.workflow.recipes import STORE
from irn.workflow.run import Run, check_data
from irn.workflow.snakemake_call import check_stages
from irn.workflow.stages import ALL_STAGES, EXPORTS, behind

try:
    # The processes of jobs need not check again, here and below.
    if workflow.is_main_process:
        check_files([Path(path) for path in workflow.configfiles])
    # A list of many images holds no cycles, and looking for them would take a third of the time.
    gc.disable()
    run = Run(check_config(config))
    if workflow.is_main_process:
        check_stages(sys.argv[1:], {recipe.stage.name for recipe in run.recipes.values()})
        check_data(run)
except IrnError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
finally:
    gc.enable()

keeps_going = bool(workflow.execution_settings and workflow.execution_settings.keep_going)
display = attach(logger, workflow.output_settings, run, keeps_going) if workflow.is_main_process else None


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


def places(stage):
    """The <folder>, <log> and <benchmark> of a stage."""
    on_request = ALL_STAGES[stage].on_request
    return job.places(ALL_STAGES[stage], recipe_of(stage=stage).folder if on_request else None)


def shown(path, category, **more):
    """An output in the report that Snakemake makes itself."""
    return report(path, caption=f"captions/{Path(path).stem}.rst", category=category, **more)


# ---- Inputs


def everything(wildcards):
    """The run's files. results/<run>/ is made on the way: Snakemake calls nothing else when there is nothing to do."""
    show_unless_locked()
    return run.files()


def show_unless_locked():
    """Show the run while Snakemake still plans, unless another one is at work and may refuse this one."""
    if not (is_locked() and workflow.execution_settings.lock):
        show_run()


def show_run():
    if workflow.is_main_process and not workflow.dryrun:
        try:
            suit_arrays()
            run.show(stages_of(workflow.dag_settings.targets))
        except (IrnError, OSError) as error:
            words = f"results/ cannot be written ({error}); free it, or name --directory"
            print(f"snakemake: {error if isinstance(error, IrnError) else words}", file=sys.stderr)
            sys.exit(2)


def stages_of(targets):
    """The names in targets, each a rule or a file in the store."""
    return ALL_STAGES.keys() & {Path(name).parts[2] if STORE in Path(name).parents else name for name in targets}


def from_stage(*sources, to=None):
    """The files of a stage, or its file if that is named (`stage/file`), that the job reads.

    Of several sources it is the first that the configuration has, if any. `to` is the job's stage if that is on request.
    """

    def files(wildcards):
        if to:
            show_unless_locked()
        recipe = recipe_of(wildcards, to)
        inputs = recipe.first_inputs(sources, wildcards.get("split"), wildcards.get("shard"))
        return awaited(recipe, wildcards, inputs)

    return files


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
    if named := job.given_backbone(recipe.settings):
        # The key holds its content, so its time does not count.
        return [ancient(path) for path in named]
    return from_stage("download_backbone", *job.trained_backbone(recipe))(wildcards)


def predictions(wildcards):
    """The predictions of all final networks."""
    return [folder for name in TRAINED_NETWORKS for folder in from_stage(f"predict_{name}")(wildcards)]


def reported(wildcards):
    """All that the report shows. results/<run>/ is made on the way, since the report reads it."""
    show_unless_locked()
    return awaited(run.report, wildcards, run.reported)


# ---- Commands and resources


def command_of_job(wildcards, input, output, threads):
    """The rule's command, with its inputs and outputs and with what the configuration says."""
    recipe = run.recipes[Path(output[0]).relative_to(STORE).parts[1]]
    files = dict(input.items()) | (dict(output.items()) or {"out": job.place_of_export(output)})
    return job.command(recipe, files, wildcards.get("split"), wildcards.get("shard"), threads)


def cores(wildcards, rulename):
    return ALL_STAGES[rulename].resources.cores


# Memory and time grow each time a job is tried again.
needs = dict(
    mem_mb=lambda w, rulename, threads, attempt: ALL_STAGES[rulename].resources.mem_mb(threads) * attempt,
    runtime=lambda w, rulename, attempt: ALL_STAGES[rulename].resources.minutes * attempt,
    gpu=lambda w, rulename: job.gpus(ALL_STAGES[rulename], run.settings.gpus),
)
