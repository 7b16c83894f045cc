# A fault of SLURM's executor, met before jobs are submitted.


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


onstart:
    check_arrays()
