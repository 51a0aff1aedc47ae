# Configuration only: load, validate, and say what jobs are declared to need. No computing.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.current_basedir).parents[1]
sys.path.insert(0, str(ROOT / "src"))
from pagboost.machine import parents, warm
from pagboost.errors import InputError
from pagboost.planning import base_rows, captions, configuration, devices, fitting, flags, running, runs, submitting
from pagboost.planning.lineage import Digests, upstream
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results
from pagboost.planning.scheduling import lift_default_rate_limit, terminate_apart
from pagboost.planning.watching import hooks
from pagboost.report import cells

configuration.prefer_this_interpreter()
parents.announce()
# As a module of another workflow this one has the settings that it is given there: the files are the other's.
# (is_module says nothing: to Snakemake the outermost workflow is one too, without a parent.)
WITHIN_ANOTHER = getattr(workflow.modifier, "parent_modifier", None) is not None
CONFIG_FILES = [] if WITHIN_ANOTHER else [Path(path).absolute() for path in workflow.overwrite_configfiles]
try:
    CONFIG = configuration.with_defaults(ROOT, config)
    SCALE = configuration.load(ROOT, CONFIG, CONFIG_FILES)
    MADE = Results(SCALE)
    MADE.check()
    SHOWN = Outputs(MADE)
except InputError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    running.claim(Path(".snakemake"))
else:
    running.join(Path(".snakemake"))
DIGESTS = Digests(Path(".snakemake", "pagboost"), plans=workflow.is_main_process, keeps=lambda: not workflow.dryrun)
ENVIRONMENT = ROOT / "environment.yml"
RESULTS = SCALE["folder"]
PAPERS = SCALE["papers"]
UNAVAILABLE = flags.as_json(SCALE["unavailable"])
WITHOUT = flags.as_json(SCALE["without"])


wildcard_constraints:
    training=r"(training=\d+/)?",  # of those beyond the first
    dataset=configuration.alternatives(SCALE["datasets"]),
    model=configuration.alternatives(SCALE["models"]),
    generator=configuration.alternatives(SCALE["generators"]),
    boost=configuration.alternatives([cells.RAW, *SCALE["boosts"]]),
    use=configuration.alternatives(SCALE["samples"]),
    protocol=configuration.alternatives(SCALE["protocols"]),
    study=configuration.alternatives(SCALE["studies"]),
    paper=configuration.alternatives(PAPERS),
    survey=configuration.alternatives(SHOWN.survey_names()),
    figure=r"\w+",


# Paths of the project are no part of what Snakemake remembers of a job (that holds texts and numbers alone): a checkout
# may be moved. What its files hold is (made_from).
def script(name):
    return ROOT / "src" / name


def paper_file(paper):
    return SCALE["paper_files"][paper]


def job(rule_name, key):
    """What the scale declares for a rule's jobs: threads, mem_mb, runtime (minutes), gpu."""
    return SCALE["jobs"][rule_name][key]


def resources_of(rule_name):
    """What its jobs ask for: that, and more of it after a failure (docs/cluster.md)."""
    declared = SCALE["jobs"][rule_name]
    return {
        "mem_mb": lambda wildcards, attempt: submitting.memory(declared, attempt, not workflow.local_exec),
        "runtime": lambda wildcards, attempt: submitting.minutes(declared, attempt),
        "gpu": declared["gpu"],
    }


def group_of(name, rule_name):
    return submitting.group(name, SCALE["jobs"][rule_name])


def is_light(rule_name):
    return submitting.light(SCALE["jobs"][rule_name])


def asked(result_of):
    """A function of wildcards from one that says which result they name; what cannot be made is said in one line."""

    def checked(wildcards):
        try:
            return result_of(wildcards)
        except InputError as error:
            raise WorkflowError(str(error)) from None

    return checked


def inputs_of(result_of):
    """An input function: the files, by role, that a result's job reads."""
    return lambda wildcards: asked(result_of)(wildcards).files()


def claim_results():
    """Nobody else makes these results meanwhile."""
    try:
        running.claim_results(Path(RESULTS), Path.cwd())
    except InputError as error:
        raise WorkflowError(str(error)) from None


def digest_of(result_of):
    """A params function: when anything upstream of a result changes, its job runs again, whatever was lost between."""
    return lambda wildcards: DIGESTS.asked(asked(result_of)(wildcards))
