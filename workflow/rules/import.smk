# Generators that are files: each use takes rows of its own.
rule import_samples:
    input:
        imported_file,
    output:
        samples("{generator}", "none", "{use}"),
    log:
        f"{RESULTS}/logs/samples/{{generator}}/{{use}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{generator}}/{{use}}.tsv"
    wildcard_constraints:
        generator=configuration.alternatives(IMPORTED),
    conda:
        ENVIRONMENT
    threads: job("data", "threads")
    resources:
        **resources_of("data"),
    params:
        script=script("import_samples.py"),
        flags=import_flags,
        seeds=lambda w: seeds_of(w.use),
        per_seed=lambda w: SCALE["samples"][w.use]["per_seed"],
        skip=lambda w: rows_before(w.use),
    message:
        "Dealing out {wildcards.generator} ({wildcards.use})"
    shell:
        "python {params.script} {params.flags:q} --seeds {params.seeds} --per-seed {params.per_seed} --skip {params.skip}"
        " --threads {threads} --out {output} > {log} 2>&1"
