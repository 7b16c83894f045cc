# Faults of SLURM's executor, met before jobs are submitted.


def suit_arrays():
    """Leave to arrays the rules whose jobs fit into one: the executor numbers the tasks of a second beyond the limit."""
    settings = workflow.executor_settings
    if getattr(settings, "array_jobs", None):
        from snakemake_executor_plugin_slurm.utils import get_max_array_size

        limit = min(get_max_array_size(), settings.array_limit)
        fitting, larger = job.arrays_within(run.recipes.values(), settings.array_jobs, limit)
        if larger:
            print(
                f"snakemake: SLURM's arrays hold {limit} jobs here; those of {', '.join(larger)} are more, and go one by one",
                file=sys.stderr,
            )
            settings.array_jobs = ",".join(fitting) or None


def check_arrays():
    """Refuse limits under which the executor waits without end for the rest of a job array."""
    if not getattr(workflow.executor_settings, "array_jobs", None):
        return
    limits = [name for name in workflow.global_resources if not name.startswith("_")]
    if workflow.resource_settings.cores:
        limits.append("cores")
    if workflow.resource_settings.nodes < run.settings.shards:
        limits.append("jobs")
    if limits and run.settings.shards > 1:
        print(
            f"snakemake: a limit on {', '.join(limits)} holds shards back, and a job array would wait for them without"
            " end; take profiles/slurm by --workflow-profile and drop the limit, or add --slurm-array-jobs ''",
            file=sys.stderr,
        )
        sys.exit(2)
