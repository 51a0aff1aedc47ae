rule table:
    input:
        lambda w: shown_from(PAPERS[w.paper]["tables"][w.table]),
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
        results=lambda w, output: Path(output[0]).parents[2],
        file=lambda w: paper_file(w.paper),
        spec=lambda w: as_json(PAPERS[w.paper]["tables"][w.table]),
        unavailable=as_json(SCALE["unavailable"]),
        nfe=as_json(NFE),
    message:
        "Table {wildcards.table} of {wildcards.paper}"
    shell:
        "python {params.script} --paper {params.file} --table {wildcards.table} --results {params.results}"
        " --unavailable {params.unavailable:q} --nfe {params.nfe:q} --threads {threads}"
        " --out-csv {output.csv} --out-md {output.md} --out-tex {output.tex} > {log} 2>&1"


rule claims_table:
    input:
        lambda w: shown_from(*PAPERS[w.paper]["claims"]),
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
        results=lambda w, output: Path(output[0]).parents[2],
        file=lambda w: paper_file(w.paper),
        spec=lambda w: as_json(PAPERS[w.paper]["claims"]),
        unavailable=as_json(SCALE["unavailable"]),
    message:
        "Claims of {wildcards.paper}"
    shell:
        "python {params.script} --paper {params.file} --results {params.results} --unavailable {params.unavailable:q}"
        " --threads {threads} --out-csv {output.csv} --out-md {output.md} > {log} 2>&1"


rule figure:
    input:
        lambda w: shown_from(PAPERS[w.paper]["figures"][w.figure]),
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
        results=lambda w, output: Path(output[0]).parents[2],
        file=lambda w: paper_file(w.paper),
        spec=lambda w: as_json(PAPERS[w.paper]["figures"][w.figure]),
        unavailable=as_json(SCALE["unavailable"]),
    message:
        "Figure {wildcards.figure} of {wildcards.paper}"
    shell:
        "python {params.script} --paper {params.file} --figure {wildcards.figure} --results {params.results}"
        " --unavailable {params.unavailable:q} --threads {threads} --out {output} > {log} 2>&1"


rule page:
    input:
        [output for paper in PAPERS for output in paper_outputs(paper)],
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
        results=lambda w, output: Path(output[0]).parent,
        files=[paper_file(paper) for paper in PAPERS],
        unavailable=as_json(SCALE["unavailable"]),
        config=CONFIG_FILES,
    message:
        "Report of all papers"
    shell:
        "python {params.script} --paper {params.files} --results {params.results} --unavailable {params.unavailable:q}"
        " --config {params.config} --threads {threads} --out {output} > {log} 2>&1"
