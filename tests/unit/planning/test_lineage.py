"""What results are made from: the digest of one changes with all that lies upstream, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from pagboost.errors import InputError
from pagboost.planning import configuration, flags, lineage, sourcecode
from pagboost.planning.lineage import Digests, Result, upstream
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import PLACES, Results

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture(scope="module")
def digits() -> dict:
    return configuration.load(ROOT, CONFIG)


@pytest.fixture
def scale(digits) -> dict:
    """The digits scale, to be changed, in results/x."""
    return json.loads(json.dumps(digits, default=str)) | {"folder": "results/x"}  # without YAML's shared entries


def digests(scale: dict) -> dict[str, str]:
    """{file: digest} of all that lies upstream of the report, and of a cell that no table shows."""
    results, digest = Results(scale), Digests()
    outputs = Outputs(results)
    asked = [outputs.page(), results.metrics("ct1", "rn50_joint_sgld")]
    files = upstream(asked)
    made = {result.file: result for result in asked}
    for paper in scale["papers"]:
        made |= {one.file: one for one in outputs.outputs(paper)}
    return {file: digest.of(made.get(file) or results.find(file)) for file in files}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The files of other digests, without the folder they all lie in."""
    return {file.removeprefix("results/x/") for file in before if before[file] != after.get(file)}


@pytest.mark.parametrize("name", ["digits", "digits_full", "cifar10", "cifar10_small", "cifar10_gpu", "imagenet"])
def test_every_result_of_every_scale_is_found_by_its_file(name):
    scale = configuration.load(ROOT, CONFIG | {"scale": name})
    results = Results(scale)
    results.check()
    files = upstream([Outputs(results).page()])
    shown = {one.file for paper in scale["papers"] for one in Outputs(results).outputs(paper)}
    for file in {*files} - shown - {f"{scale['folder']}/report.html"}:
        assert results.find(file).file == file
    assert not Path(files[0]).exists() or files[0].startswith(scale["folder"])
    assert len(files) == len(set(files)) > 20


def test_inputs_come_before_what_is_made_from_them(scale):
    files = upstream([Outputs(Results(scale)).page()])
    place = {file: i for i, file in enumerate(files)}
    order = ["data/digits16/train.npz", "weights/ct.safetensors", "samples/ct1/boost=none/train.npz"]
    order += ["weights/rn50_joint.safetensors", "samples/ct1/boost=rn50_joint/eval.npz"]
    order += ["metrics/ct1/boost=rn50_joint.json", "tables/golan2024/table1.csv", "report.html"]
    places = [place[f"results/x/{name}"] for name in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("keys", "value", "first", "untouched"),
    [
        ("boosts.rn50_joint_bce.alpha", 0.3, "samples/cd1/boost=rn50_joint_bce/eval.npz", "weights/rn50_joint.saf"),
        ("trainings", [1], "weights/cnn_a.safetensors", "data/digits16/train.npz"),
        ("seeds", [0, 1], "samples/ct1/boost=none/eval.npz", "samples/ct1/boost=none/train.npz"),
        ("models.ct.training.lr", 0.5, "weights/ct.safetensors", "weights/edm.safetensors"),
        ("models.edm.network.model_channels", 8, "weights/cd.safetensors", "weights/ct.safetensors"),
        ("models.cnn_b.network.depth", 2, "references/digits16/cross.npz", "samples/ct1/boost=rn50_joint/eval.npz"),
        ("generators.ct1.sampler.sigmas", [60.0], "weights/wrn_joint.safetensors", "weights/ct.safetensors"),
        ("generators.cgan.published.eps", 4.0, "steps/cgan/boost=bigroc.json", "samples/cgan/boost=none/eval.npz"),
        ("eps_choice.multiples", [1], "samples/cgan/boost=bigroc/eval.npz", "samples/ct1/boost=rn50_joint/eval.npz"),
        ("boosts.bigroc_wide.steps", 9, "samples/cgan/boost=bigroc_linf/eval.npz", "samples/cgan/boost=bigroc/eval"),
        ("datasets.digits16.split_seed", 1, "data/digits16/heldout.npz", "data/digits32/heldout.npz"),
        ("protocols.small.n", 20, "metrics/ct1/boost=none.json", "references/digits16/train.npz"),
        ("protocols.validation.k", 5, "references/digits16/validation.npz", "references/digits16/train.npz"),
        ("evaluation", {"resamplings": 40}, "metrics/ct1/boost=none.json", "samples/ct1/boost=none/eval.npz"),
        ("studies.targeted.steps", 3, "studies/targeted.json", "studies/interpolation.json"),
        ("papers.golan2024.names.generators.ct1", "CT!", "tables/golan2024/table1.md", "metrics/ct1/boost=none.json"),
        ("papers.golan2024.tables.table1.title", "T", "tables/golan2024/table1.md", "tables/golan2024/table2.md"),
        ("jobs.boost.gpu", 1, "samples/ct1/boost=rn50_joint/eval.npz", "samples/ct1/boost=none/eval.npz"),
        ("datasets.digits16.class_names", list("abcdefghij"), "surveys/kawar2023/table2.html", "data/digits16/train"),
    ],
)
def test_a_setting_reaches_all_that_is_made_by_it_and_nothing_else(scale, keys, value, first, untouched):
    before = digests(scale)
    entry = scale
    *path, last = keys.split(".")
    for key in path:
        entry = entry[key]
    assert entry.get(last) != value
    entry[last] = value
    found = changed(before, digests(scale))
    assert first in found and "report.html" in found
    assert not [file for file in found if file.startswith(untouched)]
    if first.startswith(("samples", "weights", "data", "references")):
        assert [file for file in found if file.startswith("metrics")]


def test_moving_results_changes_no_digest(scale):
    moved = {file.replace("/y/", "/x/"): d for file, d in digests(scale | {"folder": "elsewhere/y"}).items()}
    before = digests(scale)
    assert {f.removeprefix("elsewhere/x/"): d for f, d in moved.items()} == {
        f.removeprefix("results/x/"): d for f, d in before.items()
    }


def test_code_reaches_what_it_makes(scale, monkeypatch):
    before = digests(scale)
    own = sourcecode.digest
    monkeypatch.setattr(
        lineage.sourcecode, "digest", lambda *names: own(*names) + "x" * ("pagboost.generators.vae" in names)
    )
    found = changed(before, digests(scale))
    assert {"weights/vae.safetensors", "samples/vae/boost=none/eval.npz", "tables/ganz2021/claims.csv"} <= found
    assert not [file for file in found if file.startswith(("weights", "samples")) and "/vae" not in file]


# -- boosts


def test_what_a_boost_reads_follows_from_what_it_needs(scale):
    """A chosen length: validation images by an extractor; a fixed one: none; ranks: the training images of its data."""
    entry = scale["boosts"]["rn50_joint_bce"]
    scale["boosts"] |= {"ranked": entry | {"stop": "ranks"}, "fixed": entry | {"fixed_steps": 15}}
    scale["boosts"]["undebiased"] = scale["boosts"]["fixed"] | {"labels": "argmax"}
    scale["generators"]["unpublished"] = {k: v for k, v in scale["generators"]["ct1"].items() if k != "published"}
    results = Results(scale)
    plain, ranked, larger = (results.boosted(*cell).files() for cell in (
        ("ct1", "rn50_joint_bce"), ("ct1", "ranked"), ("biggan_2x", "ranked")
    ))  # fmt: skip
    assert ranked == plain | {"real": "results/x/data/digits16/train.npz"}
    assert larger["real"] == "results/x/data/digits32/train.npz"
    asked = flags.boosted(results.boosted("ct1", "ranked"))
    named = ["--published", "--real", "--validation", "--reference", "--extractor"]
    assert [flag.split("=")[0] for flag in asked] == named
    assert "--real=results/x/data/digits16/train.npz" in asked
    fixed = results.boosted("unpublished", "fixed")
    assert set(fixed.files()) == {"samples", "guide", "validation"}  # which labels are debiased by, if there are none
    assert flags.boosted(fixed) == [f"--validation={fixed.files()['validation']}"]
    undebiased = results.boosted("unpublished", "undebiased")
    assert set(undebiased.files()) == {"samples", "guide"} and flags.boosted(undebiased) == []
    with pytest.raises(InputError, match="generators.unpublished.published.steps: missing key"):
        results.boosted("unpublished", "ranked")
    like = flags.boosted(results.boosted("cgan", "bigroc_linf"))
    folder = "results/x/samples/cgan"
    assert like == [f"--like={folder}/boost=bigroc_wide/eval.npz", f"--validation={folder}/boost=none/validation.npz"]


# -- trainings


def test_further_trainings_share_what_measures_and_nothing_else(scale):
    before = digests(scale)
    scale["trainings"] = [0, 7]
    results = Results(scale)
    again = results.of("training=7/")
    assert results.of("") is results
    assert again.weights("ct").file == "results/x/training=7/weights/ct.safetensors"
    assert (again.weights("ct").settings["seed"], results.weights("ct").settings["seed"]) == (7, 0)
    assert again.weights("cnn_a") is results.weights("cnn_a")
    assert again.reference("digits16", "train") is results.reference("digits16", "train")
    metrics = again.metrics("ct1", "rn50_joint")
    assert metrics.file == "results/x/training=7/metrics/ct1/boost=rn50_joint.json"
    made = set(upstream([metrics]))
    assert {"results/x/training=7/weights/rn50_joint.safetensors", "results/x/data/digits16/train.npz"} <= made
    assert not {"results/x/weights/rn50_joint.safetensors", "results/x/training=7/weights/cnn_a.safetensors"} & made
    assert results.find(metrics.file) is metrics
    assert results.find("results/x/training=8/metrics/ct1/boost=rn50_joint.json") is None
    with pytest.raises(InputError, match="training=8: expected one of the trainings: 0, 7"):
        results.of("training=8/")
    differing = changed(before, digests(scale))
    shown = ("tables/", "figures/", "report.html")
    assert differing and all(name.startswith(shown) for name in differing)


def test_tables_and_claims_are_over_all_trainings_figures_show_the_first(scale):
    scale["trainings"] = [0, 7]
    outputs = Outputs(Results(scale))
    for made in (outputs.table("golan2024", "table1", "csv"), outputs.claims("golan2024", "csv")):
        shown = set(made.files()["shown"])
        assert {"results/x/metrics/ct1/boost=none.json", "results/x/training=7/metrics/ct1/boost=none.json"} <= shown
    assert not any("training=" in file for file in outputs.figure("golan2024", "figure1").files()["shown"])


# -- files from elsewhere


def test_what_a_model_a_folder_or_samples_from_elsewhere_hold_counts(scale, tmp_path):
    for name in ("set/train/a", "set/train/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(b"1")
    (tmp_path / "w.pth").write_bytes(b"w")
    np.savez(tmp_path / "s.npz", arr_0=np.zeros(3))
    options = {"file": str(tmp_path / "set")}
    splits = {"train": 1, "validation": 1, "heldout": 0}
    scale["datasets"]["mine"] = scale["datasets"]["digits16"] | {
        "source": "folder",
        "options": options,
        "splits": splits,
    }
    scale["models"]["public"] = {
        "kind": "pretrained",
        "dataset": "digits16",
        "network": {"kind": "cnn"},
        "training": {"file": str(tmp_path / "w.pth"), "sha256": None},
    }
    scale["generators"]["mine"] = {"samples": str(tmp_path / "s.npz"), "dataset": "digits16"}
    scale["generators"]["web"] = {"samples": "https://x.org/s.npz", "sha256": "0" * 8, "dataset": "digits16"}

    public = Results(scale).weights("public")
    assert public.before() == [] and public.settings["device"] == "cpu"  # no images, no GPU
    assert Results(scale).read_from_elsewhere() == ["public"]

    def seen() -> list[str]:
        results = Results(scale)
        made = [results.data("mine", "train"), results.weights("public"), results.generated("mine", "eval")]
        assert [one.outside for one in made] == [
            [options["file"]],
            [str(tmp_path / "w.pth")],
            [str(tmp_path / "s.npz")],
        ]
        assert results.generated("web", "eval").outside == []
        return [Digests().of(one) for one in (*made, results.metrics("mine", "bigroc_wide"))]

    before = seen()
    (tmp_path / "set/train/a/1.png").write_bytes(b"2")
    (tmp_path / "w.pth").write_bytes(b"v")
    assert [a == b for a, b in zip(before, seen(), strict=True)] == [False, False, True, True]
    np.savez(tmp_path / "s.npz", arr_0=np.ones(3))
    assert [a == b for a, b in zip(before, seen(), strict=True)] == [False, False, False, False]
    scale["datasets"]["mine"]["class_names"] = list("jihgfedcba")  # they may number a folder's classes
    assert seen()[0] != before[0]


# -- what was lost


def chain(folder: Path) -> list[Result]:
    """Three results, each made from the one before, and their files."""
    made: list[Result] = []
    for name in "abc":
        (folder / name).write_text(name)
        made.append(Result(str(folder / name), "boost.py", {}, {"before": made[-1:]}))
    return made


def test_bf16_on_a_cpu_remakes_what_attacks_resnets_and_what_is_made_of_it(scale):
    def seen() -> dict[str, tuple[str, str]]:
        results, digests = Results(scale), Digests()
        made = [results.weights(name) for name in ("wrn_robust", "cd", "wrn_joint")]
        made += [results.boosted("ct1", "bigroc_wide"), results.generated("ct1", "eval")]
        return {one.file.removeprefix(f"{results.folder}/"): (one.settings["device"], digests.of(one)) for one in made}

    before = seen()
    assert {device for device, _ in before.values()} == {"cpu"}
    for rule in ("train", "boost"):
        scale["jobs"][rule]["cpu_bf16"] = True
    after = seen()
    same = {file for file, made in after.items() if made == before[file]}
    assert same == {"weights/cd.safetensors", "samples/ct1/boost=none/eval.npz"}
    assert {device for file, (device, _) in after.items() if file not in same} == {"cpu-bf16"}


def test_a_result_that_lost_its_source_is_asked_for_anew_and_then_stays(tmp_path):
    first, middle, last = chain(tmp_path)
    memory = tmp_path / "memory"

    def asked(plans: bool = True) -> list[str]:
        digest = Digests(memory, plans)
        return [digest.asked(one) for one in (first, middle, last)]

    before = asked()
    assert before == asked()
    (tmp_path / "a").unlink()
    assert asked(plans=False) == before  # a job's own process plans nothing
    lost = asked()
    assert [a == b for a, b in zip(before, lost, strict=True)] == [True, False, False]
    (tmp_path / "a").write_text("made again")
    assert asked() == lost
    (tmp_path / "b").unlink()  # what is not there itself is made anyway
    again = asked()
    assert [a == b for a, b in zip(lost, again, strict=True)] == [True, True, False]


def test_a_dry_run_notes_no_loss(tmp_path):
    _, _, last = chain(tmp_path)
    memory = tmp_path / "memory"
    before = Digests(memory).asked(last)
    (tmp_path / "a").unlink()
    assert Digests(memory, keeps=lambda: False).asked(last) != before
    (tmp_path / "a").write_text("put back")
    assert Digests(memory).asked(last) == before


def test_a_circle_is_one_line(scale):
    scale["models"]["cd"]["inputs"]["teacher"] = "cd"
    with pytest.raises(InputError, match="^weights cd: is made from itself, expected inputs without a circle$"):
        Results(scale).check()


def test_what_is_no_result_is_not_found(scale):
    results = Results(scale)
    for file in (
        "README.md",
        "results/x/metrics/nobody/boost=none.json",
        "results/x/samples/ct1/boost=bigroc/train.npz",
    ):
        assert results.find(file) is None
    assert results.find("results/x/steps/vae/boost=rn50_joint.json") is None  # nothing was published for it
    assert len(PLACES) == 7


def test_a_study_of_gains_looks_at_boosted_sets_and_at_both_splits():
    results = Results(configuration.load(ROOT, CONFIG | {"scale": "digits_full"}))
    given = flags.studied(results, "gains")
    folder = results.folder
    assert f"--set=cd1={folder}/samples/cd1/boost=none/eval.npz" in given
    assert f"--set=cd1_rn50_joint_bce={folder}/samples/cd1/boost=rn50_joint_bce/eval.npz" in given
    assert f"--seen=train={folder}/data/digits16/train.npz" in given
    assert f"--judge=wrn_robust={folder}/weights/wrn_robust.safetensors" in given
    assert f"--scorer=rn50_joint={folder}/weights/rn50_joint.safetensors" in given
    files = results.study("gains", "json").files()
    assert files["images"] == f"{folder}/data/digits16/heldout.npz"
    assert given[0] == f"--data={files['images']}"
    assert {*files["others"]} == {flag.partition("=")[2].partition("=")[2] for flag in given[1:]}
    assert not [flag for flag in flags.studied(results, "gains_bigroc") if flag.startswith("--scorer")]
