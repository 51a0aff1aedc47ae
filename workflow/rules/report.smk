rule table:
    input:
        unpack(inputs_of(lambda w: SHOWN.table(w.paper, w.table, "csv"))),
    output:
        csv=f"{RESULTS}/tables/{{paper}}/{{table}}.csv",
        md=f"{RESULTS}/tables/{{paper}}/{{table}}.md",
        tex=f"{RESULTS}/tables/{{paper}}/{{table}}.tex",
    log:
        f"{RESULTS}/logs/tables/{{paper}}/{{table}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{paper}}/{{table}}.tsv"
    wildcard_constraints:
        table=configuration.alternatives(set().union(*(paper["tables"] for paper in PAPERS.values()))),
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_table.py"),
        results=lambda w, output: str(Path(output[0]).parents[2]),
        file=lambda w: paper_file(w.paper),
        unavailable=UNAVAILABLE,
        trainings=SCALE["trainings"],
        nfe=lambda w: flags.as_json(SHOWN.table(w.paper, w.table, "csv").settings["nfe"]),
        made_from=digest_of(lambda w: SHOWN.table(w.paper, w.table, "csv")),
    message:
        "Table {wildcards.table} of {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --table {wildcards.table:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --nfe {params.nfe:q} --trainings {params.trainings} --threads {threads}"
        " --out-csv {output.csv:q} --out-md {output.md:q} --out-tex {output.tex:q} > {log:q} 2>&1"


rule claims_table:
    input:
        unpack(inputs_of(lambda w: SHOWN.claims(w.paper, "csv"))),
    output:
        csv=f"{RESULTS}/tables/{{paper}}/claims.csv",
        md=f"{RESULTS}/tables/{{paper}}/claims.md",
    log:
        f"{RESULTS}/logs/tables/{{paper}}/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{paper}}/claims.tsv"
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_claims.py"),
        results=lambda w, output: str(Path(output[0]).parents[2]),
        file=lambda w: paper_file(w.paper),
        unavailable=UNAVAILABLE,
        without=WITHOUT,
        trainings=SCALE["trainings"],
        made_from=digest_of(lambda w: SHOWN.claims(w.paper, "csv")),
    message:
        "Claims of {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --without {params.without:q} --trainings {params.trainings}"
        " --threads {threads}"
        " --out-csv {output.csv:q} --out-md {output.md:q}"
        " > {log:q} 2>&1"


# Only where there is a second set of trainings.
rule agreement:
    input:
        unpack(inputs_of(lambda w: SHOWN.agreement(w.paper, "csv"))),
    output:
        csv=f"{RESULTS}/tables/{{paper}}/agreement.csv",
        md=f"{RESULTS}/tables/{{paper}}/agreement.md",
    log:
        f"{RESULTS}/logs/tables/{{paper}}/agreement.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{paper}}/agreement.tsv"
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_agreement.py"),
        results=lambda w, output: str(Path(output[0]).parents[2]),
        file=lambda w: paper_file(w.paper),
        unavailable=UNAVAILABLE,
        without=WITHOUT,
        trainings=SCALE["trainings"],
        second=SCALE.get("second_trainings", []),
        made_from=digest_of(lambda w: SHOWN.agreement(w.paper, "csv")),
    message:
        "Agreement of two sets of trainings, {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --without {params.without:q} --trainings {params.trainings}"
        " --second-trainings {params.second} --threads {threads} --out-csv {output.csv:q} --out-md {output.md:q}"
        " > {log:q} 2>&1"


rule figure:
    input:
        unpack(inputs_of(lambda w: SHOWN.figure(w.paper, w.figure))),
    output:
        f"{RESULTS}/figures/{{paper}}/{{figure}}.png",
    log:
        f"{RESULTS}/logs/figures/{{paper}}/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{paper}}/{{figure}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_figure.py"),
        results=lambda w, output: str(Path(output[0]).parents[2]),
        file=lambda w: paper_file(w.paper),
        unavailable=UNAVAILABLE,
        trainings=SCALE["trainings"],
        made_from=digest_of(lambda w: SHOWN.figure(w.paper, w.figure)),
    message:
        "Figure {wildcards.figure} of {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --figure {wildcards.figure:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --trainings {params.trainings} --threads {threads} --out {output:q}"
        " > {log:q} 2>&1"


rule page:
    input:
        **SHOWN.page().files(),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_report.py"),
        results=lambda w, output: str(Path(output[0]).parent),
        files=[paper_file(paper) for paper in PAPERS],
        unavailable=UNAVAILABLE,
        without=WITHOUT,
        trainings=SCALE["trainings"],
        config=SCALE["files"],
        made_from=digest_of(lambda w: SHOWN.page()),
    message:
        "Report of all papers"
    shell:
        "python {params.script:q} --paper {params.files:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --without {params.without:q} --config {params.config:q} --trainings {params.trainings}"
        " --threads {threads} --out {output:q}"
        " > {log:q} 2>&1"
