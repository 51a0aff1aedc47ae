# People's opinions: a page to answer, and the table of whatever answers there are. None is ever simulated.
rule survey_page:
    input:
        survey_sets,
    output:
        survey_page("{survey}"),
    log:
        f"{RESULTS}/logs/surveys/{{survey}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/surveys/{{survey}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("survey.py"),
        names=class_names,
        pairs=survey_pairs,
        seed=lambda w: survey_of(w)["seed"],
    message:
        "Survey {wildcards.survey}"
    shell:
        "python {params.script} {input} --names {params.names:q} --pairs {params.pairs} --seed {params.seed}"
        " --threads {threads} --out {output} > {log} 2>&1"


rule survey_table:
    input:
        page=answered_page,
        answers=answers,
    output:
        csv=f"{RESULTS}/tables/{{survey}}.csv",
        md=f"{RESULTS}/tables/{{survey}}.md",
        tex=f"{RESULTS}/tables/{{survey}}.tex",
    log:
        f"{RESULTS}/logs/tables/{{survey}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{survey}}.tsv"
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("survey_table.py"),
        spec=lambda w: as_json(survey_of(w)),
        page=answered_flags,
    message:
        "Table {wildcards.survey}"
    shell:
        "python {params.script} {input.answers} {params.page} --reported {params.spec:q} --threads {threads}"
        " --out-csv {output.csv} --out-md {output.md} --out-tex {output.tex} > {log} 2>&1"


ruleorder: survey_table > table
