# What the papers' results need of other places, before any job asks for it: first how many GB. Jobs fetch what is not
# there yet by themselves; here it is done at once, and where there is a network (a cluster's nodes may have none).
rule fetch:
    log:
        f"{RESULTS}/logs/fetch.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=1440,
        gpu=0,
    params:
        script=script("fetch.py"),
        flags=asked(lambda w: flags.fetched(SHOWN)),
    message:
        f"Fetching what {Path(RESULTS).name} needs of other places"
    shell:
        "python {params.script:q} {params.flags:q} --threads {threads} 2>&1 | tee {log:q}"
