# People's opinions: a page to answer, and the table of whatever answers there are. None is ever simulated.
rule survey_page:
    input:
        unpack(inputs_of(lambda w: SHOWN.survey(w.survey))),
    output:
        report(
            f"{RESULTS}/surveys/{{survey}}.html",
            caption="../report/survey.rst",
            category=lambda w: captions.category(PAPERS[w.survey.partition("/")[0]]),
            subcategory="Surveys",
            labels=lambda w: captions.labels(SHOWN.survey_spec(w.survey), "page"),
        ),
    log:
        f"{RESULTS}/logs/surveys/{{survey}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/surveys/{{survey}}.tsv"
    localrule: is_light("report")
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("survey.py"),
        names=lambda w: SHOWN.names_argument(w.survey),
        pairs=lambda w: SHOWN.pairs(w.survey),
        seed=lambda w: SHOWN.survey_spec(w.survey)["seed"],
        made_from=digest_of(lambda w: SHOWN.survey(w.survey)),
        said=lambda w, input: captions.said(PAPERS[w.survey.partition("/")[0]], SHOWN.survey_spec(w.survey)),
    message:
        "Survey {wildcards.survey}"
    shell:
        "python {params.script:q} {input.sets:q} --names {params.names:q} --pairs {params.pairs} --seed={params.seed}"
        " --threads {threads} --out {output:q} > {log:q} 2>&1"


rule survey_table:
    input:
        unpack(inputs_of(lambda w: SHOWN.answered(w.survey))),
        answers=lambda w: SHOWN.answers(w.survey),
    output:
        csv=report(
            f"{RESULTS}/tables/{{survey}}.csv",
            caption="../report/table.rst",
            category=lambda w: captions.category(PAPERS[w.survey.partition("/")[0]]),
            subcategory="Tables",
            labels=lambda w: captions.labels(SHOWN.survey_spec(w.survey), "CSV, for machines"),
        ),
        md=report(
            f"{RESULTS}/tables/{{survey}}.md",
            caption="../report/table.rst",
            category=lambda w: captions.category(PAPERS[w.survey.partition("/")[0]]),
            subcategory="Tables",
            labels=lambda w: captions.labels(SHOWN.survey_spec(w.survey), "Markdown, for people"),
        ),
        tex=f"{RESULTS}/tables/{{survey}}.tex",
    log:
        f"{RESULTS}/logs/tables/{{survey}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables/{{survey}}.tsv"
    localrule: is_light("report")
    conda:
        ENVIRONMENT
    threads: job("report", "threads")
    resources:
        **resources_of("report"),
    params:
        script=script("survey_table.py"),
        spec=lambda w: flags.as_json(SHOWN.survey_spec(w.survey)),
        page=lambda w: [f"--survey={page}" for page in SHOWN.answered(w.survey).files().values()],
        made_from=digest_of(lambda w: SHOWN.answered(w.survey)),
        said=lambda w, input: captions.said(PAPERS[w.survey.partition("/")[0]], SHOWN.survey_spec(w.survey)),
    message:
        "Table {wildcards.survey}"
    shell:
        "python {params.script:q} {input.answers:q} {params.page:q} --reported {params.spec:q} --threads {threads}"
        " --out-csv {output.csv:q} --out-md {output.md:q} --out-tex {output.tex:q} > {log:q} 2>&1"


ruleorder: survey_table > table
