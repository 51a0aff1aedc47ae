"""Who made what: rows from a plan, Snakemake's memory, logs and benchmarks; empty where nobody knows."""

from __future__ import annotations

import csv
import hashlib
import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.planning import configuration, provenance, runs
from pagboost.planning.lineage import Digests
from pagboost.planning.memory import Memory
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results

from .test_remembered import noted

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
RUN = {"started": 100.0, "code": "abc-dirty", "packages": {"torch": "2.11"}, "machine": "Linux", "warm": True}


@pytest.fixture
def scale(tmp_path, monkeypatch) -> dict:
    """The digits scale of two trainings and no papers, whose results lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    return configuration.load(ROOT, CONFIG | {"trainings": [0, 1], "papers": []})


def made(results: Results, file: str, digest: str, *, log: str, threads: int = 1, **measured: str) -> None:
    """A file, what Snakemake remembers of its job, its log and its benchmark."""
    path = Path(results.folder, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.encode())
    record = {"rule": "some_rule", "params": [f"'{digest}'"], "shellcmd": f"--threads {threads}"}
    noted(Path(".snakemake"), str(path), record | {"starttime": 101.0, "endtime": 0, "log": [log]})
    tsv = Path(log.replace("/logs/", "/benchmarks/")).with_suffix(".tsv")
    tsv.parent.mkdir(parents=True, exist_ok=True)
    tsv.write_text("\t".join(measured) + "\n" + "\t".join(measured.values()) + "\n")


def rows(scale: dict) -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in provenance.rows(Outputs(Results(scale)), ".snakemake")}


def test_a_row_says_all_that_is_known(scale):
    results = Results(scale)
    sampled = results.generated("ct1", "eval")
    log = f"{results.folder}/logs/samples/ct1/eval.log"
    measured = {"s": "12.5", "max_rss": "812.25"}
    made(results, "samples/ct1/boost=none/eval.npz", Digests().of(sampled), log=log, threads=2, **measured)
    file = runs.file_of(results.folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(RUN) + "\n")
    (row,) = rows(scale).values()
    parts = provenance.digests_of_parts(sampled)
    assert row == {
        "file": "samples/ct1/boost=none/eval.npz",
        "sha256": hashlib.sha256(b"samples/ct1/boost=none/eval.npz").hexdigest(),
        "rule": "some_rule",
        "script": "sample.py",
        "training": "0",
        "seeds": "0 1 2",
        "made_from": Digests().of(sampled),
        "as_planned": "yes",
        **parts,
        "commit": "abc-dirty",
        "packages": "torch 2.11",
        "device": "cpu",
        "machine": "Linux",
        "finished": "1970-01-01T00:00:00Z",
        "seconds": "12.5",
        "memory_mb": "812.25",
    }
    assert len(parts["code"]) == len(parts["settings"]) == provenance.SHORT


@pytest.mark.parametrize(("said", "memory"), [("", ""), ("peak memory 9 MB\nleased x\npeak memory 312 MB\n", "312")])
def test_memory_of_a_job_in_a_shared_process_is_what_its_log_says(scale, said, memory):
    results = Results(scale)
    file = runs.file_of(results.folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(RUN) + "\n")
    log = Path(results.folder, "logs/samples/ct1/eval.log")
    made(results, "samples/ct1/boost=none/eval.npz", "0" * 32, log=str(log), s="1.0", max_rss="18.0")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(said)
    (row,) = rows(scale).values()
    assert (row["seconds"], row["memory_mb"]) == ("1.0", memory)


def test_what_other_code_made_does_not_get_today_s_digests(scale):
    results = Results(scale)
    made(results, "metrics/ct1/boost=none.json", "0" * 32, log="x/logs/a.log", s="1", max_rss="NA")
    (row,) = rows(scale).values()
    assert (row["made_from"], row["as_planned"], row["code"], row["settings"]) == ("0" * 32, "no", "", "")
    assert (row["seconds"], row["memory_mb"], row["packages"]) == ("1", "", "")  # of no run that was noted


def test_results_that_were_copied_here_alone_have_names_and_hashes(scale):
    path = Path(Results(scale).folder, "weights", "ddpm_at_450.safetensors")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    (row,) = rows(scale).values()
    told = {name for name, value in row.items() if value}
    assert told == {"file", "sha256", "script", "training", "device"}  # the scale has no GPU


def test_weights_kept_on_the_way_are_of_the_training_s_job(scale):
    results = Results(scale)
    kept = next(iter(results.checkpoints))
    digest = Digests().of(results.weights(results.checkpoints[kept]))
    made(results, f"weights/{kept}.safetensors", digest, log="x/logs/a.log", s="1")
    (row,) = rows(scale).values()
    assert row["as_planned"] == "yes"


def test_further_trainings_and_cells_that_nothing_shows_have_rows(scale):
    results = Results(scale)
    files = ("training=1/metrics/ct2/boost=rn50_joint.json", "metrics/ct2/boost=rn50_joint.json")
    for file in files:
        made(results, file, "0" * 32, log="x/logs/a.log", s="1")
    Path(results.folder, "metrics", "mine.json").write_text("{}")  # somebody's own
    found = rows(scale)
    assert {file: row["training"] for file, row in found.items()} == {files[0]: "1", files[1]: "0"}
    assert found[files[0]]["seeds"] == "0 1 2"


def test_bf16_on_a_cpu_is_what_the_scale_says(scale):
    scale["jobs"]["boost"]["cpu_bf16"] = True
    made(Results(scale), "samples/ct1/boost=bigroc_wide/eval.npz", "0" * 32, log="x/logs/a.log", s="1")
    assert rows(scale)["samples/ct1/boost=bigroc_wide/eval.npz"]["device"] == "cpu-bf16"


def test_the_gpu_of_a_job_is_what_its_log_says(scale):
    scale["jobs"]["sample"]["gpu"] = 1
    results = Results(scale)
    log = f"{results.folder}/logs/samples/ct1/eval.log"
    made(results, "samples/ct1/boost=none/eval.npz", "0" * 32, log=log, s="1")
    assert rows(scale)["samples/ct1/boost=none/eval.npz"]["device"] == ""  # no log, nobody knows
    Path(log).parent.mkdir(parents=True)
    Path(log).touch()
    assert rows(scale)["samples/ct1/boost=none/eval.npz"]["device"] == "cpu"
    Path(log).write_text("12:00:00 leased GPU-b after 3 s\n12:00:01 done\n")
    assert rows(scale)["samples/ct1/boost=none/eval.npz"]["device"] == "GPU-b"
    runs.file_of(results.folder).write_text(json.dumps(RUN | {"gpus": {"GPU-b": "NVIDIA H100"}}) + "\n")
    assert rows(scale)["samples/ct1/boost=none/eval.npz"]["device"] == "NVIDIA H100"


def test_what_was_touched_is_of_nobody_s_packages_and_time(scale):
    results = Results(scale)
    file = runs.file_of(results.folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"started": 100.5, "touched": True}) + "\n" + json.dumps(RUN) + "\n")
    made(results, "metrics/ct1/boost=none.json", "0" * 32, log="x/logs/a.log", s="1")
    (row,) = rows(scale).values()
    assert (row["packages"], row["commit"], row["machine"], row["finished"]) == ("", "", "", "")


def test_results_without_memory_are_compared_with_the_table(scale, tmp_path):
    results = Results(scale)
    digests = {name: Digests().of(results.metrics(name, "none")) for name in ("ct1", "ct2", "cd1", "cd2")}
    for name, digest in digests.items():
        made(results, f"metrics/{name}/boost=none.json", digest, log="x/logs/a.log", s="1")
    table = tmp_path / "provenance.csv"
    provenance.save(table, list(rows(scale).values()))
    shutil.rmtree(".snakemake")
    assert list(provenance.differences(Outputs(results), provenance.load(table), ".snakemake")) == []
    Path(results.folder, "metrics/ct1/boost=none.json").write_text("another")
    Path(results.folder, "metrics/ct2/boost=none.json").unlink()
    scale["generators"]["cd2"]["sampler"] = scale["generators"]["cd1"]["sampler"] | {"sigmas": [60.0, 1.0]}
    found = list(provenance.differences(Outputs(Results(scale)), provenance.load(table), ".snakemake"))
    said = {line.removeprefix(f"{results.folder}/metrics/").replace("/boost=none.json", "") for line in found}
    assert said == {
        "ct1: has another content than when it was made",
        "ct2: is not there",
        "cd2: was made by other code, from other settings or other inputs",
    }


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "file,sha256,made_from\n"])
def test_another_table_is_refused(tmp_path, text):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match="p.csv: .*a table that make_provenance.py wrote"):
        provenance.load(tmp_path / "p.csv")


def test_every_column_is_explained_and_saved_in_order(tmp_path):
    row = dict.fromkeys(provenance.COLUMNS, "x")
    provenance.save(tmp_path / "p.csv", [row])
    with open(tmp_path / "p.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [row]
    assert all(provenance.COLUMNS.values())


def test_it_is_made_after_the_page_and_part_of_nothing(scale):
    outputs = Outputs(Results(scale))
    last = outputs.provenance()
    assert last.before() == [outputs.page()]
    assert last.file == f"{scale['folder']}/provenance.csv"
    assert "provenance.csv" not in Digests().of(outputs.page())


def test_facts_noted_together_are_written_once(tmp_path, monkeypatch):
    memory = Memory(tmp_path / "m.json")
    with memory.at_once():
        memory.note("a", 1)
        assert not (tmp_path / "m.json").exists()
    assert Memory(tmp_path / "m.json").get("a") == 1
    memory.note("b", 2)
    assert Memory(tmp_path / "m.json").get("b") == 2


def test_of_a_set_made_in_parts_all_jobs_count(scale):
    scale["samples"]["eval"]["shards"] = 3
    results = Results(scale)
    whole = results.generated("ct1", "eval")
    parts = whole.inputs["shards"]
    assert len(parts) > 1
    for result in (whole, *parts):
        name = Path(result.file).relative_to(results.folder).as_posix()
        log = f"{results.folder}/logs/{Path(name).stem}.log"
        made(results, name, Digests().of(result), log=log, threads=2, s="10.5", max_rss=str(100 + len(name)))
    found = rows(scale)
    for part in parts:
        Path(part.file).unlink()  # which Snakemake does with them
    assert list(found) == list(rows(scale)) == ["samples/ct1/boost=none/eval.npz"]
    (row,) = rows(scale).values()
    assert (row["script"], row["seeds"], row["as_planned"]) == ("sample.py", "0 1 2", "yes")
    assert row["seconds"] == f"{10.5 * (len(parts) + 1):.2f}"
    assert float(row["memory_mb"]) > 100 + len("samples/ct1/boost=none/eval.npz")


def test_the_script_says_what_differs_and_what_to_do(scale, monkeypatch, capsys):
    results = Results(scale)
    digest = Digests().of(results.metrics("ct1", "none"))
    made(results, "metrics/ct1/boost=none.json", digest, log="x/logs/a.log", s="1")
    provenance.save(Path(results.folder, "provenance.csv"), list(rows(scale).values()))
    arguments = ["--config", json.dumps({"trainings": [0, 1], "papers": []})]
    monkeypatch.setattr(sys, "argv", ["check_provenance.py", *arguments])
    script = str(ROOT / "src" / "check_provenance.py")
    runpy.run_path(script, run_name="__main__")
    assert capsys.readouterr().out.startswith("all 1 files are what was made, and would be made so today")
    Path(results.folder, "metrics/ct1/boost=none.json").unlink()
    with pytest.raises(SystemExit, match="1"):
        runpy.run_path(script, run_name="__main__")
    assert capsys.readouterr().out == "results/digits/metrics/ct1/boost=none.json: is not there\n"
