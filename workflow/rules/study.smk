# A method on held-out images under several networks; the judge only looks at the results.
rule study:
    input:
        images=lambda w: split_file(study_entry(w)["dataset"], study_entry(w)["split"]),
        others=lambda w: [path for _, _, path in study_files(w)],
    output:
        arrays=study("{study}", "npz"),
        values=study("{study}", "json"),
    log:
        f"{RESULTS}/logs/studies/{{study}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/studies/{{study}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("study", "threads")
    resources:
        **resources_of("study"),
    params:
        script=script("study.py"),
        spec=lambda w: as_json(study_entry(w)),
        others=study_flags,
    message:
        "Study {wildcards.study}"
    shell:
        "python {params.script} --spec {params.spec:q} --data {input.images} {params.others}"
        " --threads {threads} --arrays {output.arrays} --out {output.values} > {log} 2>&1"
