rule reference:
    input:
        images=lambda w: split_file(w.dataset, SCALE["protocols"][w.protocol]["split"]),
        extractor=lambda w: weights(SCALE["protocols"][w.protocol]["extractor"]),
    output:
        reference_file("{dataset}", "{protocol}"),
    log:
        f"{RESULTS}/logs/references/{{dataset}}/{{protocol}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/references/{{dataset}}/{{protocol}}.tsv"
    priority: 10
    conda:
        ENVIRONMENT
    threads: job("reference", "threads")
    resources:
        **resources_of("reference"),
    params:
        script=script("make_reference.py"),
        split=lambda w: SCALE["protocols"][w.protocol]["split"],
        k=lambda w: SCALE["protocols"][w.protocol]["k"],
    message:
        "Reference {wildcards.protocol} of {wildcards.dataset}"
    shell:
        "python {params.script} {input.images} --extractor {input.extractor} --split {params.split}"
        " --k {params.k} --threads {threads} --out {output} > {log} 2>&1"


rule evaluate:
    input:
        samples=samples("{generator}", "{boost}", "eval"),
        extractors=[weights(name) for name in EXTRACTORS],
        references=lambda w: list(dict.fromkeys(reference(dataset_of(w.generator), name) for name in REPORTED)),
    output:
        f"{RESULTS}/metrics/{{generator}}/boost={{boost}}.json",
    log:
        f"{RESULTS}/logs/metrics/{{generator}}/{{boost}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/metrics/{{generator}}/{{boost}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("evaluate", "threads")
    resources:
        **resources_of("evaluate"),
    params:
        script=script("evaluate.py"),
        references=lambda w: [f"{name}={reference(dataset_of(w.generator), name)}" for name in REPORTED],
        first=first_flags(),
        options=evaluation_flags(),
    message:
        "Scoring {wildcards.generator}, boost {wildcards.boost}"
    shell:
        "python {params.script} {input.samples} --extractor {input.extractors} --reference {params.references}"
        " {params.first} {params.options} --threads {threads} --out {output} > {log} 2>&1"
