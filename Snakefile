# snakemake --cores all tables | figures | claims | report | all | golan2024        (see README.md)
from snakemake.utils import min_version

min_version("9.3")


configfile: "config.yaml"


include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        [output for paper in PAPERS for output in paper_outputs(paper)],
        f"{RESULTS}/report.html",


rule tables:
    input:
        [output for paper in PAPERS for output in paper_tables(paper)],


rule figures:
    input:
        [output for paper in PAPERS for output in paper_figures(paper)],


rule claims:
    input:
        [output for paper in PAPERS for output in paper_claims(paper)],


rule survey:
    input:
        [page for paper in PAPERS for page in paper_surveys(paper)],


rule report:
    input:
        f"{RESULTS}/report.html",


for name in PAPERS:

    rule:
        name:
            name
        input:
            paper_outputs(name),


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/import.smk"
include: "workflow/rules/boost.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/survey.smk"
include: "workflow/rules/report.smk"
