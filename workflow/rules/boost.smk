rule boost:
    input:
        unpack(boost_inputs),
    output:
        samples=samples("{generator}", "{boost}", "eval"),
        choice=f"{RESULTS}/steps/{{generator}}/boost={{boost}}.json",
    log:
        f"{RESULTS}/logs/boost/{{generator}}/{{boost}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/boost/{{generator}}/{{boost}}.tsv"
    wildcard_constraints:
        boost=configuration.alternatives(SCALE["boosts"]),
    conda:
        ENVIRONMENT
    threads: job("boost", "threads")
    resources:
        **resources_of("boost"),
    params:
        script=script("boost.py"),
        spec=lambda w: as_json(SCALE["boosts"][w.boost]),
        length=boost_flags,
        batch=SCALE["samples"]["eval"]["batch_size"],
    message:
        "Boosting {wildcards.generator} by {wildcards.boost}"
    shell:
        "python {params.script} {input.samples} --guide {input.guide} --boost {params.spec:q} --batch-size {params.batch}"
        " --validation {input.validation} {params.length:q} --choice-out {output.choice} --threads {threads}"
        " --out {output.samples} > {log} 2>&1"
