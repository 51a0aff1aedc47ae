# Before anything that is boosted is trusted: samples as they are have the FIDs that the papers print.
base_rows_of = asked(lambda w: base_rows.wanted(MADE))


rule base_rows:
    input:
        lambda w: upstream(base_rows_of(w)),
    log:
        f"{RESULTS}/logs/base_rows.log",
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        script=script("check_base_rows.py"),
        files=lambda w: [paper_file(paper) for paper in PAPERS],
        results=lambda w: RESULTS,
        generators=lambda w: [Path(one.file).parent.name for one in base_rows_of(w)],
    message:
        "Comparing samples without boosting with the papers' numbers"
    shell:
        "python {params.script:q} --paper {params.files:q} --results {params.results:q}"
        " --generators {params.generators:q} --threads {threads} 2>&1 | tee {log:q}"
