# What people read. `report` puts it into Snakemake's own report; the texts of its captions (`said`) are functions of input,
# and so no part of what Snakemake remembers of a job. Nor are lists of paths: a folder may be moved.
rule table:
    input:
        unpack(inputs_of(lambda w: SHOWN.table(w.paper, w.table, "csv"))),
    output:
        csv=report(
            f"{RESULTS}/tables/{{paper}}/{{table}}.csv",
            caption="../report/table.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Tables",
            labels=lambda w: captions.labels(PAPERS[w.paper]["tables"][w.table], "CSV, for machines"),
        ),
        md=report(
            f"{RESULTS}/tables/{{paper}}/{{table}}.md",
            caption="../report/table.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Tables",
            labels=lambda w: captions.labels(PAPERS[w.paper]["tables"][w.table], "Markdown, for people"),
        ),
        tex=f"{RESULTS}/tables/{{paper}}/{{table}}.tex",
    log:
        f"{RESULTS}/logs/tables/{{paper}}/{{table}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{paper}}/{{table}}.tsv"
    wildcard_constraints:
        table=configuration.alternatives(set().union(*(paper["tables"] for paper in PAPERS.values()))),
    localrule: is_light("report")
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
        said=lambda w, input: captions.said(PAPERS[w.paper], PAPERS[w.paper]["tables"][w.table]),
    message:
        "Table {wildcards.table} of {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --table {wildcards.table:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --nfe {params.nfe:q} --trainings {params.trainings} --made-from {params.made_from}"
        " --threads {threads} --out-csv {output.csv:q} --out-md {output.md:q} --out-tex {output.tex:q} > {log:q} 2>&1"


rule claims_table:
    input:
        unpack(inputs_of(lambda w: SHOWN.claims(w.paper, "csv"))),
    output:
        csv=report(
            f"{RESULTS}/tables/{{paper}}/claims.csv",
            caption="../report/claims.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Claims",
            labels={"what": "Claims", "where": "", "file": "CSV, for machines"},
        ),
        md=report(
            f"{RESULTS}/tables/{{paper}}/claims.md",
            caption="../report/claims.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Claims",
            labels={"what": "Claims", "where": "", "file": "Markdown, for people"},
        ),
    log:
        f"{RESULTS}/logs/tables/{{paper}}/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{paper}}/claims.tsv"
    localrule: is_light("report")
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
        said=lambda w, input: captions.said(PAPERS[w.paper]),
    message:
        "Claims of {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --without {params.without:q} --trainings {params.trainings}"
        " --made-from {params.made_from} --threads {threads}"
        " --out-csv {output.csv:q} --out-md {output.md:q}"
        " > {log:q} 2>&1"


# Only where there is a second set of trainings.
rule agreement:
    input:
        unpack(inputs_of(lambda w: SHOWN.agreement(w.paper, "csv"))),
    output:
        csv=report(
            f"{RESULTS}/tables/{{paper}}/agreement.csv",
            caption="../report/agreement.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Claims",
            labels={"what": "Agreement of two sets of trainings", "where": "", "file": "CSV, for machines"},
        ),
        md=report(
            f"{RESULTS}/tables/{{paper}}/agreement.md",
            caption="../report/agreement.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Claims",
            labels={"what": "Agreement of two sets of trainings", "where": "", "file": "Markdown, for people"},
        ),
    log:
        f"{RESULTS}/logs/tables/{{paper}}/agreement.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{paper}}/agreement.tsv"
    localrule: is_light("report")
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
        said=lambda w, input: captions.said(PAPERS[w.paper]),
    message:
        "Agreement of two sets of trainings, {wildcards.paper}"
    shell:
        "python {params.script:q} --paper {params.file:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --without {params.without:q} --trainings {params.trainings}"
        " --second-trainings {params.second} --made-from {params.made_from} --threads {threads} --out-csv {output.csv:q} --out-md {output.md:q}"
        " > {log:q} 2>&1"


rule figure:
    input:
        unpack(inputs_of(lambda w: SHOWN.figure(w.paper, w.figure))),
    output:
        report(
            f"{RESULTS}/figures/{{paper}}/{{figure}}.png",
            caption="../report/figure.rst",
            category=lambda w: captions.category(PAPERS[w.paper]),
            subcategory="Figures",
            labels=lambda w: captions.labels(PAPERS[w.paper]["figures"][w.figure], "picture"),
        ),
    log:
        f"{RESULTS}/logs/figures/{{paper}}/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{paper}}/{{figure}}.tsv"
    localrule: is_light("report")
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
        said=lambda w, input: captions.said(PAPERS[w.paper], PAPERS[w.paper]["figures"][w.figure]),
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
        report(
            f"{RESULTS}/report.html",
            caption="../report/page.rst",
            category="All papers",
            labels={"what": "Everything on one page", "where": "", "file": "page"},
        ),
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    localrule: is_light("report")
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_report.py"),
        results=lambda w, output: str(Path(output[0]).parent),
        files=lambda w, input: [paper_file(paper) for paper in PAPERS],
        unavailable=UNAVAILABLE,
        without=WITHOUT,
        trainings=SCALE["trainings"],
        config=lambda w, input: SCALE["files"],
        made_from=digest_of(lambda w: SHOWN.page()),
    message:
        "Report of all papers"
    shell:
        "python {params.script:q} --paper {params.files:q} --results {params.results:q}"
        " --unavailable {params.unavailable:q} --without {params.without:q} --config {params.config:q} --trainings {params.trainings}"
        " --threads {threads} --out {output:q}"
        " > {log:q} 2>&1"


# Beside the results, and part of none: it holds times. Snakemake's memory of other jobs is read from its folder.
rule provenance:
    input:
        **SHOWN.provenance().files(),
    output:
        report(
            f"{RESULTS}/provenance.csv",
            caption="../report/provenance.rst",
            category="All papers",
            labels={"what": "What made each file", "where": "", "file": "CSV, for machines"},
        ),
    log:
        f"{RESULTS}/logs/provenance.log",
    benchmark:
        f"{RESULTS}/benchmarks/provenance.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("make_provenance.py"),
        config=lambda w, input: flags.as_json(CONFIG),
        over=lambda w, input: list(map(str, CONFIG_FILES)),
        made_from=digest_of(lambda w: SHOWN.provenance()),
    message:
        "Provenance of all results"
    shell:
        "python {params.script:q} --config {params.config:q} --over {params.over:q} --threads {threads}"
        " --out {output:q} > {log:q} 2>&1"
