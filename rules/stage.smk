# What the rules of all stages have in common. Each says `use rule stage as NAME with:` and adds its inputs, its outputs, its
# places in the store and a message. Its command has the rule's name; it gets each input and output by the option of its
# name, and the rest from the configuration.


rule stage:
    log:
        "<log>",
    benchmark:
        "<benchmark>"
    pathvars:
        log="{stage}.log",
        benchmark="{stage}.tsv",
    conda:
        conda_env
    threads: cores
    resources:
        **needs,
    params:
        command=command_of_job,
    shell:
        "irn {params.command} > {log:q} 2>&1"
