#!/usr/bin/env python3
"""Copy a finished run's tables, claims and figures, with their provenance, to where they can be committed."""

import shutil
from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.planning import configuration

    flags = cli.parser(__doc__)
    flags.add_argument(
        "--paper", required=True, nargs="+", type=configuration.paper, help="FILE.yaml or JSON, one or more"
    )
    flags.add_argument("--results", required=True, type=Path, help="folder of a scale's finished run")
    flags.add_argument("--config", nargs="*", type=Path, default=[], help="configuration files to state hashes of")
    flags.add_argument("--unavailable", type=cli.reasons, default={}, help="{generator, boost or protocol: why}")
    flags.add_argument("--without", type=configuration.without, default={}, help="what is left out, or a scale file")
    cli.add_trainings(flags)
    flags.add_output("--out", folder=True, help="folder to fill")
    args = cli.parse(flags)

    from pagboost import artifacts
    from pagboost.report import left_out, page

    papers = [left_out.shown(paper, args.without.get(paper["key"])) for paper in args.paper]
    facts = page.provenance(papers, args.results, args.unavailable, args.config, args.trainings[1:])
    folders = [args.results / kind / paper["key"] for paper in args.paper for kind in ("tables", "figures")]
    found = [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".md", ".png")]
    copies = {args.out / path.parent.name / path.name: path for path in found}
    if (made := args.results / "provenance.csv").is_file():
        copies[args.out / made.name] = made
    cli.check_outputs(flags, args, {"--out": [*copies, args.out / "provenance.json"]}, read=copies.values())
    for target, path in copies.items():
        with artifacts.atomic(target) as temporary:
            shutil.copyfile(path, temporary)
    artifacts.save_json(args.out / "provenance.json", dict(facts))


if __name__ == "__main__":
    cli.run(main)
