def generator_inputs(wildcards):
    """A generator's weights, and those of the classifier that guides it."""
    entry = SCALE["generators"][wildcards.generator]
    if "dataset" in entry:
        return {"real": split_file(entry["dataset"], entry["split"])}
    guide = (
        {"classifier": weights(entry["classifier"])} if "classifier" in entry else {}
    )
    return {"weights": weights(entry["model"]), **guide}


def generator_flags(wildcards, input):
    """--weights, --classifier or --real, whichever files there are, and the sampler."""
    files = [f"--{role}={path}" for role, path in generator_inputs(wildcards).items()]
    sampler = SCALE["generators"][wildcards.generator].get("sampler")
    return files + ([f"--sampler={as_json(sampler)}"] if sampler else [])


rule sample:
    input:
        unpack(generator_inputs),
    output:
        samples("{generator}", "none", "{use}"),
    log:
        f"{RESULTS}/logs/samples/{{generator}}/{{use}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples/{{generator}}/{{use}}.tsv"
    priority: 10
    conda:
        ENVIRONMENT
    threads: job("sample", "threads")
    resources:
        **resources_of("sample"),
    params:
        flags=generator_flags,
        seeds=lambda w: seeds_of(w.use),
        per_seed=lambda w: per_seed(w.generator, w.use),
        batch=lambda w: SCALE["samples"][w.use]["batch_size"],
    message:
        "Sampling {wildcards.generator} ({wildcards.use})"
    shell:
        "python {SRC}/sample.py {params.flags:q} --seeds {params.seeds} --per-seed {params.per_seed}"
        " --batch-size {params.batch} --threads {threads} --out {output} > {log} 2>&1"
