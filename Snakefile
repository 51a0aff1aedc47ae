# snakemake --cores all tables | figures | claims | report | all | golan2024 | fetch | base_rows   (see README.md)
from snakemake.utils import min_version

min_version("9.3")


report: "workflow/report/workflow.rst"


# beside this file, wherever Snakemake runs; --config and --configfile go over it
configfile: os.path.join(workflow.current_basedir, "config.yaml")


include: "workflow/rules/common.smk"


# Targets ask for all that lies on the way too: a file between two others that is gone, such as the output of a job that
# failed, is no reason to Snakemake to make anything.
rule all:
    default_target: True
    input:
        upstream([SHOWN.provenance()]),


rule tables:
    input:
        upstream(made for paper in PAPERS for made in SHOWN.tables(paper)),


rule figures:
    input:
        upstream(made for paper in PAPERS for made in SHOWN.figures(paper)),


rule claims:
    input:
        upstream(made for paper in PAPERS for made in SHOWN.verdicts(paper)),


rule survey:
    input:
        upstream(made for paper in PAPERS for made in SHOWN.surveys(paper)),


rule report:
    input:
        upstream([SHOWN.provenance()]),


for name in PAPERS:

    rule:
        name:
            name
        input:
            upstream(SHOWN.outputs(name)),


include: "workflow/rules/fetch.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/import.smk"
include: "workflow/rules/boost.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/survey.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/base_rows.smk"


# Jobs of this machine: none waits for a limit that clusters need, and those of one thread find their imports done.
# SIGTERM lets running jobs end. What runs is shown; a run that failed says last why.
onstart:
    claim_results()
    lift_default_rate_limit(workflow)
    terminate_apart(workflow)
    if workflow.local_exec and any(entry["threads"] == 1 for entry in SCALE["jobs"].values()):
        warm.start()
    runs.note(RESULTS, ROOT, getattr(workflow, "touch", False))
    hooks.start(workflow, Path(RESULTS))


onsuccess:
    warm.stop()
    hooks.stop(success=True)


onerror:
    warm.stop()
    hooks.stop(success=False)
