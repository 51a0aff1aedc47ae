rule boost:
    input:
        samples=samples("{generator}", "none", "eval"),
        guide=lambda w: weights(SCALE["boosts"][w.boost]["guide"]),
        validation=samples("{generator}", "none", "validation"),
        reference=lambda w: reference(dataset_of(w.generator), "validation"),
        extractor=weights(SCALE["protocols"]["validation"]["extractor"]),
    output:
        samples=samples("{generator}", "{boost}", "eval"),
        steps=f"{RESULTS}/steps/{{generator}}/boost={{boost}}.json",
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
        published=lambda w: as_json(published_steps(w.generator)),
        batch=SCALE["samples"]["eval"]["batch_size"],
    message:
        "Boosting {wildcards.generator} by {wildcards.boost}"
    shell:
        "python {params.script} {input.samples} --guide {input.guide} --boost {params.spec:q} --batch-size {params.batch}"
        " --choose-steps {params.published:q} --validation {input.validation} --reference {input.reference}"
        " --extractor {input.extractor} --steps-out {output.steps} --threads {threads} --out {output.samples}"
        " > {log} 2>&1"
