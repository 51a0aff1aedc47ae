rule data:
    output:
        train=split_file("{dataset}", "train"),
        validation=split_file("{dataset}", "validation"),
        heldout=split_file("{dataset}", "heldout"),
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
        spec=dataset_spec,
        folder=lambda w: f"{RESULTS}/data/{w.dataset}",
    message:
        "Data set {wildcards.dataset}"
    shell:
        "python {params.script} --spec {params.spec:q} --threads {threads} --out {params.folder} > {log} 2>&1"
