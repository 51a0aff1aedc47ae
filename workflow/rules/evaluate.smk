rule reference:
    input:
        unpack(inputs_of(lambda w: MADE.reference(w.dataset, w.protocol))),
        outside=lambda w: list(MADE.reference(w.dataset, w.protocol).outside),
    output:
        f"{RESULTS}/references/{{dataset}}/{{protocol}}.npz",
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
        images=lambda w: flags.reference(MADE.reference(w.dataset, w.protocol)),
        device=MADE.device("reference"),
        made_from=digest_of(lambda w: MADE.reference(w.dataset, w.protocol)),
    message:
        "Reference {wildcards.protocol} of {wildcards.dataset}"
    shell:
        "python {params.script:q} {params.images:q} --extractor {input.extractor:q} --device {params.device} --threads {threads} --out {output:q} > {log:q} 2>&1"


rule evaluate:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).metrics(w.generator, w.boost))),
    output:
        f"{RESULTS}/{{training}}metrics/{{generator}}/boost={{boost}}.json",
    log:
        f"{RESULTS}/{{training}}logs/metrics/{{generator}}/{{boost}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/metrics/{{generator}}/{{boost}}.tsv"
    group:
        group_of("scored", "evaluate")
    conda:
        ENVIRONMENT
    threads: job("evaluate", "threads")
    resources:
        **resources_of("evaluate"),
    params:
        script=script("evaluate.py"),
        references=lambda w: flags.references(MADE.of(w.training), w.generator),
        options=lambda w: flags.evaluated(MADE, MADE.of(w.training).metrics(w.generator, w.boost)),
        device=MADE.device("evaluate"),
        made_from=digest_of(lambda w: MADE.of(w.training).metrics(w.generator, w.boost)),
    message:
        "Scoring {wildcards.generator}, boost {wildcards.boost}"
    shell:
        "python {params.script:q} {input.samples:q} --extractor {input.extractors:q}"
        " --reference {params.references:q} {params.options:q} --device {params.device} --threads {threads}"
        " --out {output:q} > {log:q} 2>&1"
