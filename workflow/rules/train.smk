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


def awaited():
    """Models that other jobs than their own sampling wait for: guides, extractors, and what these are made from."""
    models = SCALE["models"]
    first = {entry["guide"] for entry in SCALE["boosts"].values()}
    first |= {entry["extractor"] for entry in SCALE["protocols"].values()}
    for _ in models:  # at most as many rounds as the longest chain
        for inputs in [models[name].get("inputs", {}) for name in first]:
            fakes = [
                SCALE["generators"][name]["model"] for name in inputs.get("fakes", [])
            ]
            first = (
                first
                | {name for role, name in inputs.items() if role != "fakes"}
                | set(fakes)
            )
    return first


rule train:
    input:
        unpack(training_inputs),
    output:
        weights("{model}"),
    log:
        f"{RESULTS}/logs/weights/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{model}}.tsv"
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


# The critical path runs through these: with equal priorities, generators that nothing waits for would go first.
use rule train as train_awaited with:
    wildcard_constraints:
        model=configuration.alternatives(awaited()),
    priority: 20


ruleorder: train_awaited > train
