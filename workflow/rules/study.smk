# A method on held-out images under several networks; the judge only looks at the results. Or what steps of networks cost.
rule study:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).study(w.study, "npz"))),
    output:
        arrays=f"{RESULTS}/{{training}}studies/{{study}}.npz",
        values=f"{RESULTS}/{{training}}studies/{{study}}.json",
    log:
        f"{RESULTS}/{{training}}logs/studies/{{study}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/studies/{{study}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("study", "threads")
    resources:
        **resources_of("study"),
    params:
        script=script("study.py"),
        spec=lambda w: flags.as_json(SCALE["studies"][w.study]),
        others=lambda w: flags.studied(MADE.of(w.training), w.study),
        device=MADE.device("study"),
        made_from=digest_of(lambda w: MADE.of(w.training).study(w.study, "npz")),
    message:
        "Study {wildcards.study}"
    shell:
        "python {params.script:q} --spec {params.spec:q} {params.others:q}"
        " --device {params.device} --threads {threads} --arrays {output.arrays:q} --out {output.values:q}"
        " > {log:q} 2>&1"
