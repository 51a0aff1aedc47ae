rule data:
    output:
        train=f"{RESULTS}/data/{{dataset}}/train.npz",
        validation=f"{RESULTS}/data/{{dataset}}/validation.npz",
        heldout=f"{RESULTS}/data/{{dataset}}/heldout.npz",
    log:
        f"{RESULTS}/logs/data/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/data/{{dataset}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("data", "threads")
    resources:
        **resources_of("data"),
    params:
        script=script("prepare_data.py"),
        spec=lambda w: flags.as_json(MADE.data(w.dataset, "train").settings["spec"]),
        folder=lambda w: f"{RESULTS}/data/{w.dataset}",
        made_from=digest_of(lambda w: MADE.data(w.dataset, "train")),
    message:
        "Data set {wildcards.dataset}"
    shell:
        "python {params.script:q} --spec {params.spec:q} --threads {threads} --out {params.folder:q} > {log:q} 2>&1"
