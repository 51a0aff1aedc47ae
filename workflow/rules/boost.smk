rule boost:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).boosted(w.generator, w.boost))),
    output:
        samples=f"{RESULTS}/{{training}}samples/{{generator}}/boost={{boost}}/eval.npz",
        choice=f"{RESULTS}/{{training}}steps/{{generator}}/boost={{boost}}.json",
    log:
        f"{RESULTS}/{{training}}logs/boost/{{generator}}/{{boost}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/boost/{{generator}}/{{boost}}.tsv"
    wildcard_constraints:
        boost=configuration.alternatives([] if MADE.shards("eval") > 1 else SCALE["boosts"]),
    group:
        group_of("scored", "boost")
    conda:
        ENVIRONMENT
    threads: job("boost", "threads")
    resources:
        **resources_of("boost"),
    params:
        script=script("boost.py"),
        spec=lambda w: flags.as_json(SCALE["boosts"][w.boost]),
        length=lambda w: flags.boosted(MADE.of(w.training).boosted(w.generator, w.boost)),
        batch=SCALE["samples"]["eval"]["batch_size"],
        device=MADE.device("boost"),
        made_from=digest_of(lambda w: MADE.of(w.training).boosted(w.generator, w.boost)),
    message:
        "Boosting {wildcards.generator} by {wildcards.boost}"
    shell:
        "python {params.script:q} {input.samples:q} --guide {input.guide:q} --boost {params.spec:q}"
        " --batch-size {params.batch} {params.length:q} --choice-out {output.choice:q}"
        " --device {params.device} --threads {threads} --out {output.samples:q} > {log:q} 2>&1"
