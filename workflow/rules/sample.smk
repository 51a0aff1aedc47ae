rule sample:
    input:
        unpack(generator_inputs),
    output:
        samples("{generator}", "none", "{use}"),
    log:
        f"{RESULTS}/logs/samples/{{generator}}/{{use}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{generator}}/{{use}}.tsv"
    wildcard_constraints:
        generator=configuration.alternatives(name for name in SCALE["generators"] if name not in IMPORTED),
    priority: 10
    conda:
        ENVIRONMENT
    threads: job("sample", "threads")
    resources:
        **resources_of("sample"),
    params:
        script=script("sample.py"),
        flags=generator_flags,
        seeds=lambda w: seeds_of(w.use),
        per_seed=lambda w: per_seed(w.generator, w.use),
        batch=lambda w: SCALE["samples"][w.use]["batch_size"],
    message:
        "Sampling {wildcards.generator} ({wildcards.use})"
    shell:
        "python {params.script} {params.flags:q} --seeds {params.seeds} --per-seed {params.per_seed}"
        " --batch-size {params.batch} --threads {threads} --out {output} > {log} 2>&1"
