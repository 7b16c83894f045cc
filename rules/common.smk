# One run's configurations, and for each of its files the inputs, options and resources that its key stands for.
import sys
from pathlib import Path
from shlex import quote

sys.path.insert(0, workflow.basedir)

from irn.settings.reading import check_config, check_files
from irn.settings.table import of_stage
from irn.errors import IrnError
from irn.io.progress import notices_in
from irn.settings.final_networks import TRAINED_NETWORKS
from irn.workflow.store import STORE, Run, glance_at_data, data_root, masks
from irn.workflow.options import WORKERS
from irn.workflow.stages import ALL_STAGES, behind

try:
    # The jobs' own processes need not look again, here and below.
    if workflow.is_main_process:
        check_files([Path(path) for path in workflow.configfiles])
    run = Run(check_config(config))
    if workflow.is_main_process:
        glance_at_data(run)
except IrnError as error:
    print(error, file=sys.stderr)
    sys.exit(2)


# In every rule, irn is the package of this checkout, by the Python of the rule's conda environment or else by the one that runs Snakemake.
in_conda = "conda" in {
    str(method) for method in workflow.deployment_settings.deployment_method
}
python = "python" if in_conda else quote(sys.executable)
command = f"PYTHONPATH={quote(str(workflow.basedir))} {python} -m irn"
# Four braces: the f-string halves them, and Snakemake's formatting of the prefix halves them again.
shell.prefix(f'irn() {{{{ {command} "$@"; }}}}; ')


wildcard_constraints:
    key=r"[0-9a-f]{12}",
    split=r"[^/]+",
    shard=r"\d+-of-\d+",


def everything(wildcards):
    """The run's files. On the way results/<run>/ is made to show them, since Snakemake tells nobody when nothing is to be done."""
    show_run()
    return run.files()


def show_run():
    if workflow.is_main_process and not workflow.dryrun:
        run.show()


def by_name(stage, wildcards):
    """The wildcards of what is asked for by name, whose files can have none, and are those of the run's own configuration.

    As in `everything`, results/<run>/ is made to show them on the way.
    """
    if stage not in run.asked:
        run.asked.add(stage)
        show_run()
    return type(wildcards)(fromdict={"key": run.each[0][stage].key})


def own(stage, name=""):
    """A file, or the folder, of a stage in the run's own configuration."""
    return str(run.each[0][stage].folder / name)


def made(stage, name="", of=None):
    """The files of a stage that the file asked for is made from, or the one of a name; `of` is what is asked for by name, if anything."""

    def files(wildcards):
        wildcards = by_name(of, wildcards) if of else wildcards
        recipe = run.recipes[wildcards.key]
        found = recipe.inputs(stage, wildcards.get("split"), wildcards.get("shard"))
        return waited_for(wildcards, [file for file in found if file.endswith(name)])

    return files


def waited_for(wildcards, files):
    """What is made waits for nothing: neither newer nor missing inputs make it again, unless it or something before it is forced."""
    recipe = run.recipes[wildcards.key]
    if is_forced(recipe.stage.name) or not is_made(recipe, wildcards):
        return files
    return [ancient(file) for file in files if Path(file).exists()]


def is_made(recipe, wildcards):
    if recipe.stage.per_image:
        return (recipe.folder / wildcards.split / f"{wildcards.shard}.h5").exists()
    return all(Path(file).exists() for file in recipe.files())


def is_forced(stage):
    """Whether --forceall or --forcerun concerns a stage or one that it depends on."""
    dag = workflow.dag_settings
    forced = {
        Path(item).parts[2] if STORE in Path(item).parents else item
        for item in dag.forcerun
    }
    return dag.forceall or any(stage in (name, *behind(name)) for name in forced)


def backbone(wildcards):
    """The weights that a network's backbone starts from; none when it starts from scratch."""
    recipe = run.recipes[wildcards.key]
    pretrained = recipe.settings.pretrained
    if pretrained is None:
        return made("train_cam")(wildcards) if recipe.stage.name == "train_irn" else []
    if pretrained == "imagenet":
        return made("download_backbone")(wildcards)
    # Known by its content, so its time does not count.
    return [ancient(pretrained)]


def start(wildcards, input):
    """The options for where a backbone starts."""
    return optional("--backbone-weights", input.backbone) or "--from-scratch"


def external_cams(wildcards):
    """The caches that take the place of the classifier's maps, if there are any."""
    external = run.recipes[wildcards.key].settings.cam.external
    return [ancient(file) for file in external or ()]


def ground_truth(wildcards):
    """The options for ground truth."""
    classes, objects = masks(run.recipes[wildcards.key].reads["build_manifest"])
    return f"{optional('--class-masks', [classes])} {optional('--object-masks', filter(None, [objects]))}"


def class_masks(wildcards):
    """The option for ground truth of classes alone."""
    classes, _ = masks(run.recipes[wildcards.key].reads["build_manifest"])
    return optional("--class-masks", [classes])


def predicted(wildcards):
    """The predictions of all final networks."""
    return [
        folder
        for name in TRAINED_NETWORKS
        for folder in made(f"predict_{name}")(wildcards)
    ]


def predictions(wildcards):
    """The option for the predictions of the final networks."""
    reads = run.recipes[wildcards.key].reads
    names = [name for name in TRAINED_NETWORKS if f"predict_{name}" in reads]
    words = [f"{name}={reads[f'predict_{name}'].files()[0]}" for name in names]
    return optional("--predictions", words)


def all_scores(wildcards):
    """The scores of all configurations."""
    scored = run.gathering.reads.values()
    return waited_for(wildcards, [recipe.files()[0] for recipe in scored])


def all_reported(wildcards):
    """All that a report shows. results/<run>/ is made on the way, since the report reads it."""
    show_run()
    return waited_for(wildcards, run.reported)


def options(wildcards, threads):
    """Options of a command beside files, from settings of the key, images, device and processes."""
    recipe = run.recipes[wildcards.key]
    stage, settings = recipe.stage, recipe.settings
    words = []
    for row in of_stage(stage.name):
        given = recipe.record["settings"].get(row.key)
        if row.flag and given is not None:
            words += [
                row.flag,
                *(given if isinstance(given, list) else [given]),
            ]
    if stage.per_image:
        words += [
            "--split",
            wildcards.split,
            "--shard",
            wildcards.shard.replace("-of-", "/"),
        ]
    elif stage.splits:
        words += ["--split", stage.splits.of(settings)]
    if stage.gpu:
        words += ["--device", "cuda" if settings.gpus else "cpu"]
        if settings.gpus > 1 and stage.shares_batches:
            words += ["--processes", settings.gpus]
    elif stage.has(WORKERS):
        words += ["--workers", threads]
    return " ".join(quote(str(word)) for word in words)


def optional(flag, files):
    """An option with its files, or nothing where there are none."""
    words = [quote(str(file)) for file in files]
    return " ".join([flag, *words]) if words else ""


def notices():
    """What looks wrong in what the run made, each line with the place that it is about."""
    if run.settings.sweep and not run.tables:
        yield run.folder, "no masks to score against, so there is no sweep.csv; to compare by eye, give each value a run of its own (run: NAME)"
    for recipe in run.recipes.values():
        for path in sorted(recipe.folder.rglob("*.log")):
            for line in notices_in(path):
                yield path, line


conda_env = f"{workflow.basedir}/envs/irn.yaml"


def cores(stage):
    return ALL_STAGES[stage].cores


def needs(stage):
    """Resources; memory and time grow each time a job is tried again."""
    row = ALL_STAGES[stage]
    base, each = row.memory
    found = {
        "mem_mb": lambda wildcards, threads, attempt: (base + each * threads) * attempt,
        "runtime": lambda wildcards, attempt: row.minutes * attempt,
    }
    gpus = run.settings.gpus
    return found | (
        {"gpu": gpus if row.shares_batches else min(gpus, 1)} if row.gpu else {}
    )
