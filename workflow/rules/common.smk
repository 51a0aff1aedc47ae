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
CONFIG_FILES = [os.path.relpath(path) for path in (ROOT / "config.yaml", *SCALE["files"])]


wildcard_constraints:
    dataset=configuration.alternatives(SCALE["datasets"]),
    model=configuration.alternatives(SCALE["models"]),
    generator=configuration.alternatives(SCALE["generators"]),
    boost=configuration.alternatives([cells.RAW, *SCALE["boosts"]]),
    use=configuration.alternatives(SCALE["samples"]),
    protocol=configuration.alternatives(SCALE["protocols"]),
    paper=configuration.alternatives(PAPERS),
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


def split_file(dataset, split):
    return f"{RESULTS}/data/{dataset}/{split}.npz"


def samples(generator, boost, use):
    return f"{RESULTS}/samples/{generator}/boost={boost}/{use}.npz"


def reference(dataset, protocol):
    return f"{RESULTS}/references/{dataset}/{protocol}.npz"


def dataset_of(generator):
    """The data set a generator imitates: that of its model, or the one it draws real images from."""
    entry = SCALE["generators"][generator]
    return entry["dataset"] if "dataset" in entry else SCALE["models"][entry["model"]]["dataset"]


def seeds_of(use):
    """Sampling seeds: those of config.yaml for what is reported, fixed others for training and choosing."""
    return SCALE["samples"][use].get("seeds", SCALE["seeds"])


def per_seed(generator, use):
    """Images per seed; a real split may hold fewer and says so itself."""
    return SCALE["generators"][generator].get("per_seed", SCALE["samples"][use]["per_seed"])


def published_steps(generator):
    """What a paper published for a generator, and the multiples of its path length that are tried here."""
    return {**SCALE["generators"][generator]["published"], **SCALE["step_choice"]}


def paper_cells(*parts):
    """All (generator, boost) that the given tables, figures and claims need and this scale can have."""
    return cells.cells(list(parts), SCALE["unavailable"])


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
    return paper_tables(paper) + paper_figures(paper)


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


def input_flags(wildcards, input):
    """--input ROLE=PATH for each of them."""
    files = [(role, path) for role, path in training_inputs(wildcards).items() if role != "data"]
    return [f"--input={r}={p}" for r, paths in files for p in ([paths] if isinstance(paths, str) else paths)]


def awaited():
    """Models that other jobs than their own sampling wait for: guides, extractors, and what these are made from."""
    models = SCALE["models"]
    first = {entry["guide"] for entry in SCALE["boosts"].values()}
    first |= {entry["extractor"] for entry in SCALE["protocols"].values()}
    for _ in models:  # at most as many rounds as the longest chain
        for inputs in [models[name].get("inputs", {}) for name in first]:
            fakes = [SCALE["generators"][name]["model"] for name in inputs.get("fakes", [])]
            first = first | {name for role, name in inputs.items() if role != "fakes"} | set(fakes)
    return first


def generator_inputs(wildcards):
    """A generator's weights, and those of the classifier that guides it."""
    entry = SCALE["generators"][wildcards.generator]
    if "dataset" in entry:
        return {"real": split_file(entry["dataset"], entry["split"])}
    guide = {"classifier": weights(entry["classifier"])} if "classifier" in entry else {}
    return {"weights": weights(entry["model"]), **guide}


def generator_flags(wildcards, input):
    """--weights, --classifier or --real, whichever files there are, and the sampler."""
    files = [f"--{role}={path}" for role, path in generator_inputs(wildcards).items()]
    sampler = SCALE["generators"][wildcards.generator].get("sampler")
    return files + ([f"--sampler={as_json(sampler)}"] if sampler else [])


def measured(*parts):
    """Metrics of all cells that parts of a paper show."""
    return [cells.metrics_file(RESULTS, *cell) for cell in paper_cells(*parts)]


def chosen(*parts):
    """The chosen numbers of steps of all boosted cells that parts of a paper show."""
    return [cells.steps_file(RESULTS, *cell) for cell in cells.boosted(paper_cells(*parts))]
