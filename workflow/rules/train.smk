rule train:
    input:
        unpack(training_inputs),
    output:
        weights=weights("{model}"),
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
        script=script("train.py"),
        spec=lambda w: as_json(SCALE["models"][w.model]),
        classes=lambda w: SCALE["datasets"][SCALE["models"][w.model]["dataset"]]["num_classes"],
        inputs=input_flags,
        seed=SCALE["training_seed"],
    message:
        "Training {wildcards.model}"
    shell:
        "python {params.script} --spec {params.spec:q} --data {input.data} --num-classes {params.classes} {params.inputs}"
        " --seed {params.seed} --threads {threads} --out {output.weights} > {log} 2>&1"


# The critical path runs through these: with equal priorities, generators that nothing waits for would go first.
use rule train as train_awaited with:
    wildcard_constraints:
        model=configuration.alternatives(awaited()),
    priority: 20


# Weights that are kept on the way are outputs of the same job.
use rule train as train_with_checkpoints with:
    output:
        weights=weights("{model}"),
        kept=[weights(f"{{model}}_at_{iterations}") for iterations in kept_iterations()],
    wildcard_constraints:
        model=configuration.alternatives(CHECKPOINTS.values()),
    priority: 20


ruleorder: train_with_checkpoints > train_awaited > train
