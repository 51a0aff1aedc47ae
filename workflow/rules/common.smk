# Configuration only: load, merge, validate, and say where things lie. No computing.
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
from pagboost import configuration
from pagboost.errors import InputError
from pagboost.report import cells

configuration.prefer_this_interpreter()
try:
    SCALE = configuration.load(ROOT, config)
except InputError as error:
    raise WorkflowError(str(error)) from None

ENVIRONMENT = ROOT / "environment.yml"
RESULTS = SCALE["folder"]
PAPERS = SCALE["papers"]
REPORTED = [name for name in SCALE["protocols"] if name != "validation"]  # validation chooses, it never reports
EXTRACTORS = list(dict.fromkeys(SCALE["protocols"][name]["extractor"] for name in REPORTED))
NFE = {name: entry["nfe"] for name, entry in SCALE["generators"].items() if "nfe" in entry}
IMPORTED = [name for name, entry in SCALE["generators"].items() if "samples" in entry]  # files, not networks
CHECKPOINTS = configuration.checkpoints(SCALE["models"])  # weights kept during a training: {MODEL_at_N: MODEL}
SURVEYS = {f"{p}/{t}": spec for p in PAPERS for t, spec in PAPERS[p]["tables"].items() if spec["kind"] == "survey"}
CONFIG_FILES = [os.path.relpath(path) for path in (ROOT / "config.yaml", *SCALE["files"])]


wildcard_constraints:
    dataset=configuration.alternatives(SCALE["datasets"]),
    model=configuration.alternatives(SCALE["models"]),
    generator=configuration.alternatives(SCALE["generators"]),
    boost=configuration.alternatives([cells.RAW, *SCALE["boosts"]]),
    use=configuration.alternatives(SCALE["samples"]),
    protocol=configuration.alternatives(SCALE["protocols"]),
    study=configuration.alternatives(SCALE["studies"]),
    paper=configuration.alternatives(PAPERS),
    survey=configuration.alternatives(SURVEYS),
    figure=r"\w+",


def local(path):
    """A file of the project, relative to where Snakemake runs: moving a checkout changes no params."""
    return os.path.relpath(ROOT / path)


def script(name):
    return local(Path("src", name))


def as_json(value):
    """A slice of the configuration as one argument: a rule reruns when its own slice changes, and only then."""
    return json.dumps(value, sort_keys=True)


def job(rule_name, key):
    """What the scale declares for a rule's jobs: threads, mem_mb, runtime (minutes), gpu."""
    return SCALE["jobs"][rule_name][key]


def resources_of(rule_name):
    return {key: job(rule_name, key) for key in ("mem_mb", "runtime", "gpu")}


def weights(model):
    return f"{RESULTS}/weights/{model}.safetensors"


def dataset_spec(wildcards):
    """What a data set is made of; its classes' names are for people alone."""
    return as_json({key: value for key, value in SCALE["datasets"][wildcards.dataset].items() if key != "class_names"})


def split_file(dataset, split):
    return f"{RESULTS}/data/{dataset}/{split}.npz"


def samples(generator, boost, use):
    return f"{RESULTS}/samples/{generator}/boost={boost}/{use}.npz"


def reference(dataset, protocol):
    """One file for all protocols that look at the same images in the same way (they may differ in n)."""
    seen = [SCALE["protocols"][protocol][key] for key in ("extractor", "split", "k")]
    same = [p for p, entry in SCALE["protocols"].items() if [entry[k] for k in ("extractor", "split", "k")] == seen]
    return reference_file(dataset, same[0])


def reference_file(dataset, protocol):
    return f"{RESULTS}/references/{dataset}/{protocol}.npz"


def first_flags():
    """--first LABEL=N for protocols that look at fewer images per seed than there are."""
    counts = [f"{name}={SCALE['protocols'][name]['n']}" for name in REPORTED if "n" in SCALE["protocols"][name]]
    return ["--first", *counts] if counts else []


def evaluation_flags():
    """What is computed beyond the metrics themselves: seeds have their own deviation, intervals are for the asking."""
    wanted = {"resamplings": 0, "fid_infinity": True} | SCALE.get("evaluation", {})
    return [f"--resamplings={wanted['resamplings']}", *([] if wanted["fid_infinity"] else ["--no-fid-infinity"])]


def study(name, extension):
    return str(cells.study_file(RESULTS, name, extension))


def dataset_of(generator):
    """The data set a generator imitates: that of its model, or the one it draws real images from."""
    return configuration.dataset_of(SCALE["generators"][generator], SCALE["models"])


def seeds_of(use):
    """Sampling seeds: those of config.yaml for what is reported, fixed others for training and choosing."""
    return SCALE["samples"][use].get("seeds", SCALE["seeds"])


def per_seed(generator, use):
    """Images per seed; a generator may have a number of its own for what is reported."""
    entry = SCALE["generators"][generator]
    own = "per_seed" in entry and (use == "eval" or "dataset" in entry)
    return entry["per_seed"] if own else SCALE["samples"][use]["per_seed"]


def boost_inputs(wildcards):
    """The samples to boost, the guide, what lengths are chosen and labels are debiased by, and a radius's source."""
    spec, dataset = SCALE["boosts"][wildcards.boost], dataset_of(wildcards.generator)
    radius = spec["eps"]["of"] if isinstance(spec.get("eps"), dict) and "of" in spec["eps"] else None
    return {
        "samples": samples(wildcards.generator, "none", "eval"),
        "guide": weights(spec["guide"]),
        "validation": samples(wildcards.generator, "none", "validation"),
        **({"like": samples(wildcards.generator, radius, "eval")} if radius else {}),
        **(chosen_by(dataset) if configuration.published_keys(spec) else {}),
    }


def chosen_by(dataset):
    """What candidate lengths are scored with."""
    protocol = SCALE["protocols"]["validation"]
    return {"reference": reference(dataset, "validation"), "extractor": weights(protocol["extractor"])}


# Functions of params take wildcards alone: Snakemake does not remember params that are made from input, and a change of
# configuration in one of these would remake nothing.
def boost_flags(wildcards):
    """How long to walk: what a paper published and the multiples of it that are tried here, or whose change counts."""
    published = SCALE["generators"][wildcards.generator].get("published", {})
    keys = configuration.published_keys(SCALE["boosts"][wildcards.boost])
    files = boost_inputs(wildcards)
    for key in keys:
        if key not in published:
            where = f"generators.{wildcards.generator}.published.{key}"
            raise WorkflowError(f"{where}: missing key, boosts.{wildcards.boost} starts from it")
    if not keys:
        return [f"--like={files['like']}"] if "like" in files else []
    choice = SCALE["step_choice" if "steps" in keys else "eps_choice"]
    flags = [f"--published={as_json({**{key: published[key] for key in keys}, **choice})}"]
    return flags + [f"--reference={files['reference']}", f"--extractor={files['extractor']}"]


def shown_from(*parts):
    """The files that tables, figures and claims of a paper are made from, as far as this scale can have them."""
    found = [cells.inputs(RESULTS, part, SCALE["unavailable"]) for part in parts]
    return list(dict.fromkeys(str(path) for paths in found for path in paths))


def paper_file(paper):
    return local(Path("config", "papers", f"{paper}.yaml"))


def paper_claims(paper):
    return [f"{RESULTS}/tables/{paper}/claims.{extension}" for extension in ("csv", "md")]


def paper_tables(paper):
    names = [f"{RESULTS}/tables/{paper}/{table}" for table in PAPERS[paper]["tables"]]
    return [f"{name}.{extension}" for name in names for extension in ("csv", "md", "tex")] + paper_claims(paper)


def paper_figures(paper):
    return [f"{RESULTS}/figures/{paper}/{figure}.png" for figure in PAPERS[paper]["figures"]]


def paper_outputs(paper):
    return paper_tables(paper) + paper_figures(paper) + paper_surveys(paper)


def kept_iterations():
    """The iterations after which trainings keep weights too: one list for all that do (see configuration)."""
    lists = [entry["training"].get("checkpoints") for entry in SCALE["models"].values()]
    return next(filter(None, lists), [])


def training_inputs(wildcards):
    """The files a recipe reads besides its data, by role."""
    entry = SCALE["models"][wildcards.model]
    roles = {role: weights(model) for role, model in entry.get("inputs", {}).items() if role != "fakes"}
    fakes = [samples(generator, "none", "train") for generator in entry.get("inputs", {}).get("fakes", [])]
    return {
        "data": split_file(entry["dataset"], "train"),
        **roles,
        **({"fakes": fakes} if fakes else {}),
    }


def input_flags(wildcards):
    """--input ROLE=PATH for each of them."""
    files = [(role, path) for role, path in training_inputs(wildcards).items() if role != "data"]
    return [f"--input={r}={p}" for r, paths in files for p in ([paths] if isinstance(paths, str) else paths)]


def awaited():
    """Models that other jobs than their own sampling wait for: guides, extractors, and what these are made from."""
    models = SCALE["models"]
    first = {entry["guide"] for entry in SCALE["boosts"].values()}
    first |= {entry["extractor"] for entry in SCALE["protocols"].values()}
    first |= {name for entry in SCALE["studies"].values() for name in entry.get("networks", [])}
    first |= set(CHECKPOINTS.values())
    for _ in models:  # at most as many rounds as the longest chain
        for inputs in [models[name].get("inputs", {}) for name in first]:
            drawn = [SCALE["generators"][name] for name in inputs.get("fakes", [])]
            fakes = [CHECKPOINTS.get(entry["model"], entry["model"]) for entry in drawn if "model" in entry]
            first = first | {name for role, name in inputs.items() if role != "fakes"} | set(fakes)
    return first


def generator_inputs(wildcards):
    """A generator's weights, and those of the classifier that guides it."""
    entry = SCALE["generators"][wildcards.generator]
    if "dataset" in entry:
        return {"real": split_file(entry["dataset"], entry["split"])}
    guide = {"classifier": weights(entry["classifier"])} if "classifier" in entry else {}
    return {"weights": weights(entry["model"]), **guide}


def generator_flags(wildcards):
    """--weights, --classifier or --real, whichever files there are, and the sampler."""
    files = [f"--{role}={path}" for role, path in generator_inputs(wildcards).items()]
    sampler = SCALE["generators"][wildcards.generator].get("sampler")
    return files + ([f"--sampler={as_json(sampler)}"] if sampler else [])


def imported_file(wildcards):
    """The sample file, where it is one of this machine; a URL is fetched by the job."""
    source = SCALE["generators"][wildcards.generator]["samples"]
    return [] if "://" in source else os.path.expanduser(source)


def import_flags(wildcards):
    """Where the images come from, and what they have to be."""
    entry = SCALE["generators"][wildcards.generator]
    dataset = SCALE["datasets"][entry["dataset"]]
    flags = [f"--{key}={entry[key]}" for key in ("sha256", "downloads") if key in entry]
    return [entry["samples"], *flags, f"--size={dataset['size']}", f"--num-classes={dataset['num_classes']}"]


def rows_before(use):
    """How many rows the uses declared before this one take."""
    uses = list(SCALE["samples"])
    return sum(len(seeds_of(name)) * SCALE["samples"][name]["per_seed"] for name in uses[: uses.index(use)])


def study_entry(wildcards):
    return SCALE["studies"][wildcards.study]


def study_files(wildcards):
    """(flag, name, file) of all that a study looks at besides its images."""
    entry = study_entry(wildcards)
    named = [("network", name) for name in entry.get("networks", [])]
    named += [(role, entry[role]) for role in ("judge", "diffusion") if role in entry]
    sets = [
        ("set", name, samples(generator, "none", "eval")) for name, generator in entry.get("generators", {}).items()
    ]
    return [(role, name, weights(name)) for role, name in named] + sets


def study_flags(wildcards):
    return [f"--{role}={name}={path}" for role, name, path in study_files(wildcards)]


# Surveys: a page to answer, and the table of its answers. A survey's name is PAPER/TABLE.
def survey_of(wildcards):
    return SURVEYS[wildcards.survey]


def survey_sets(wildcards):
    """The two sets of samples that a survey compares."""
    generators = survey_of(wildcards)["generators"]
    return [samples(generators[side], "none", "eval") for side in ("a", "b")]


def survey_pairs(wildcards):
    """As many pairs as the paper's survey had, or all there are."""
    spec = survey_of(wildcards)
    return min(spec["pairs"], len(seeds_of("eval")) * per_seed(spec["generators"]["a"], "eval"))


def survey_page(name):
    return f"{RESULTS}/surveys/{name}.html"


def paper_surveys(paper):
    """The pages that this scale can build."""
    possible = [name for name, spec in SURVEYS.items() if len(cells.cells(spec, SCALE["unavailable"])) == 2]
    return [survey_page(name) for name in possible if name.startswith(f"{paper}/")]


def class_names(wildcards):
    """The classes' names as --names takes them: a file, or a JSON list."""
    names = SCALE["datasets"][dataset_of(survey_of(wildcards)["generators"]["a"])]["class_names"]
    return names if isinstance(names, str) else as_json(names)


def answers(wildcards):
    """The exported answers to a survey, one file per rater; none is the usual case."""
    folder = Path(SCALE["answers"], Path(RESULTS).name, wildcards.survey)
    return sorted(map(str, folder.glob("*.json")))


def answered_page(wildcards):
    """The page that answers are checked against; without answers none is needed."""
    return survey_page(wildcards.survey) if answers(wildcards) else []


def answered_flags(wildcards):
    page = answered_page(wildcards)
    return [f"--survey={page}"] if page else []
