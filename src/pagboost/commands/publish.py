"""Copy a finished run's tables, claims and figures, with their provenance, to where they can be committed.

Or, with --hub-folder, put one of its networks where `hf upload` takes it: weights, config.json and a model card.
"""

import shutil
from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.planning import configuration, paper_flags

    flags = cli.parser(__doc__)
    paper_flags.add_papers(flags, required=False)
    flags.add_argument("--results", type=Path, help="folder of a scale's finished run")
    paper_flags.add_configuration(flags)
    paper_flags.add_unavailable(flags)
    paper_flags.add_without(flags)
    cli.add_trainings(flags)
    flags.add_output("--out", folder=True, required=False, help="folder to fill")
    flags.add_output("--hub-folder", folder=True, required=False, help="new folder for one network, of --weights")
    flags.add_argument("--weights", type=Path, metavar="MODEL.safetensors", help="the network of --hub-folder")
    flags.add_argument("--license", default="mit", help="of the weights, as the hub calls it (mit, cc-by-nc-4.0, …)")
    flags.add_argument("--scale", type=Path, metavar="SCALE.yaml", help="the configuration that trained the network")
    args = cli.parse(flags)
    if args.hub_folder:
        if not args.weights or args.out:
            flags.error("--hub-folder: expected with --weights, the network that it is for, and without --out")
        from pagboost.report import hub

        scale = configuration.with_bases(configuration.ROOT, args.scale)[0] if args.scale else {}
        papers = [paper["key"] for paper in args.paper]
        hub.write(args.hub_folder, args.weights, args.license, scale, args.results, papers)
        return
    if not (args.paper and args.results and args.out):
        flags.error("expected --paper, --results and --out, or --hub-folder")

    from pagboost import artifacts
    from pagboost.report import left_out, page

    papers = [left_out.shown(paper, args.without.get(paper["key"])) for paper in args.paper]
    facts = page.provenance(papers, args.results, args.unavailable, args.config, args.trainings[1:])
    kinds = [(kind, paper) for paper in papers for kind in ("tables", "figures") if kind == "tables" or paper[kind]]
    folders = [args.results / kind / paper["key"] for kind, paper in kinds]
    found = [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".md", ".png")]
    copies = {args.out / path.parent.name / path.name: path for path in found}
    if (made := args.results / "provenance.csv").is_file():
        copies[args.out / made.name] = made
    cli.check_outputs(flags, args, {"--out": [*copies, args.out / "provenance.json"]}, read=copies.values())
    for target, path in copies.items():
        with artifacts.atomic(target) as temporary:
            shutil.copyfile(path, temporary)
    artifacts.save_json(args.out / "provenance.json", dict(facts))
