# Generators that are files: each use takes rows of its own.
rule import_samples:
    input:
        lambda w: list(MADE.of(w.training).generated(w.generator, w.use).outside),
    output:
        f"{RESULTS}/{{training}}samples/{{generator}}/boost=none/{{use}}.npz",
    log:
        f"{RESULTS}/{{training}}logs/samples/{{generator}}/{{use}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/samples/{{generator}}/{{use}}.tsv"
    wildcard_constraints:
        generator=configuration.alternatives(MADE.imported()),
    conda:
        ENVIRONMENT
    threads: job("data", "threads")
    resources:
        **resources_of("data"),
    params:
        script=script("import_samples.py"),
        flags=lambda w: flags.imported(MADE.of(w.training), w.generator, w.use),
        seeds=lambda w: MADE.of(w.training).generated(w.generator, w.use).settings["seeds"],
        per_seed=lambda w: MADE.of(w.training).generated(w.generator, w.use).settings["per_seed"],
        skip=lambda w: MADE.of(w.training).generated(w.generator, w.use).settings["skip"],
        made_from=digest_of(lambda w: MADE.of(w.training).generated(w.generator, w.use)),
    message:
        "Dealing out {wildcards.generator} ({wildcards.use})"
    shell:
        "python {params.script:q} {params.flags:q} --seeds {params.seeds} --per-seed {params.per_seed}"
        " --skip {params.skip} --threads {threads} --out {output:q} > {log:q} 2>&1"
