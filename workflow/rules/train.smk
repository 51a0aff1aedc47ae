rule train:
    input:
        unpack(inputs_of(lambda w: fitting.weights(MADE.of(w.training), w.model))),
    output:
        weights=f"{RESULTS}/{{training}}weights/{{model}}.safetensors",
    log:
        f"{RESULTS}/{{training}}logs/weights/{{model}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/weights/{{model}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("train", "threads")
    resources:
        **{**resources_of("train"), "gpu": lambda wildcards: devices.gpus_of(SCALE, wildcards.model)},
    params:
        script=script("train.py"),
        spec=lambda w: flags.as_json(MADE.of(w.training).weights(w.model).settings["spec"]),
        classes=lambda w: MADE.of(w.training).weights(w.model).settings["num_classes"],
        inputs=lambda w: flags.trained(MADE.of(w.training).weights(w.model)),
        seed=lambda w: MADE.of(w.training).training,
        device=lambda w: MADE.of(w.training).weights(w.model).settings["device"],
        made_from=digest_of(lambda w: MADE.of(w.training).weights(w.model)),
    message:
        "Training {wildcards.model}"
    shell:
        "python {params.script:q} --spec {params.spec:q} --num-classes {params.classes}"
        " {params.inputs:q} --seed={params.seed} --device {params.device} --gpus {resources.gpu} --threads {threads}"
        " --out {output.weights:q}"
        " > {log:q} 2>&1"


# The critical path runs through these: with equal priorities, generators that nothing waits for would go first.
use rule train as train_awaited with:
    wildcard_constraints:
        model=configuration.alternatives(MADE.awaited()),
    priority: 20


# Nothing is trained: no images, no GPU.
use rule train as read_weights with:
    wildcard_constraints:
        model=configuration.alternatives(MADE.read_from_elsewhere()),
    priority: 20
    resources:
        **{**resources_of("train"), "gpu": 0},
    message:
        "Reading {wildcards.model} from elsewhere"


# Weights that are kept on the way are outputs of the same job.
use rule train as train_with_checkpoints with:
    output:
        weights=f"{RESULTS}/{{training}}weights/{{model}}.safetensors",
        kept=[
            f"{RESULTS}/{{training}}weights/{{model}}_at_{iterations}.safetensors"
            for iterations in flags.kept_iterations(MADE)
        ],
    wildcard_constraints:
        model=configuration.alternatives(MADE.checkpoints.values()),
    priority: 20


ruleorder: read_weights > train_with_checkpoints > train_awaited > train
