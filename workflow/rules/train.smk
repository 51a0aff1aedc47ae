def training_inputs(wildcards):
    """The files a recipe reads besides its data, by role."""
    entry = SCALE["models"][wildcards.model]
    roles = {
        role: weights(model)
        for role, model in entry.get("inputs", {}).items()
        if role != "fakes"
    }
    fakes = [
        samples(generator, "none", "train")
        for generator in entry.get("inputs", {}).get("fakes", [])
    ]
    return {
        "data": split_file(entry["dataset"], "train"),
        **roles,
        **({"fakes": fakes} if fakes else {}),
    }


def input_flags(wildcards, input):
    """--input ROLE=PATH for each of them."""
    files = [
        (role, path)
        for role, path in training_inputs(wildcards).items()
        if role != "data"
    ]
    return [
        f"--input={r}={p}"
        for r, paths in files
        for p in ([paths] if isinstance(paths, str) else paths)
    ]


rule train:
    input:
        unpack(training_inputs),
    output:
        weights("{model}"),
    log:
        f"{RESULTS}/logs/weights/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{model}}.tsv"
    priority: 10  # all else waits for these
    conda:
        ENVIRONMENT
    threads: job("train", "threads")
    resources:
        **resources_of("train"),
    params:
        spec=lambda w: as_json(SCALE["models"][w.model]),
        classes=lambda w: SCALE["datasets"][SCALE["models"][w.model]["dataset"]][
            "num_classes"
        ],
        inputs=input_flags,
        seed=SCALE["training_seed"],
    message:
        "Training {wildcards.model}"
    shell:
        "python {SRC}/train.py --spec {params.spec:q} --data {input.data} --num-classes {params.classes} {params.inputs}"
        " --seed {params.seed} --threads {threads} --out {output} > {log} 2>&1"
