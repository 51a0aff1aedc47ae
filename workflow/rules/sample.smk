rule sample:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).generated(w.generator, w.use))),
    output:
        f"{RESULTS}/{{training}}samples/{{generator}}/boost=none/{{use}}.npz",
    log:
        f"{RESULTS}/{{training}}logs/samples/{{generator}}/{{use}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/samples/{{generator}}/{{use}}.tsv"
    wildcard_constraints:
        generator=configuration.alternatives(MADE.drawn()),
    priority: 10
    group:
        group_of("drawn", "sample")
    conda:
        ENVIRONMENT
    threads: job("sample", "threads")
    resources:
        **resources_of("sample"),
    params:
        script=script("sample.py"),
        flags=lambda w: flags.generated(MADE.of(w.training).generated(w.generator, w.use)),
        seeds=lambda w: MADE.of(w.training).generated(w.generator, w.use).settings["seeds"],
        per_seed=lambda w: MADE.of(w.training).generated(w.generator, w.use).settings["per_seed"],
        batch=lambda w: SCALE["samples"][w.use]["batch_size"],
        device=MADE.device("sample"),
        made_from=digest_of(lambda w: MADE.of(w.training).generated(w.generator, w.use)),
    message:
        "Sampling {wildcards.generator} ({wildcards.use})"
    shell:
        "python {params.script:q} {params.flags:q} --seeds {params.seeds} --per-seed {params.per_seed}"
        " --batch-size {params.batch} --device {params.device} --threads {threads} --out {output:q} > {log:q} 2>&1"
