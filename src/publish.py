#!/usr/bin/env python3
"""Copy a finished run's tables, claims and figures, with their provenance, to where they can be committed."""

import shutil
from pathlib import Path

from pagboost import cli


def main() -> None:
    flags = cli.parser(__doc__)
    flags.add_argument("--paper", required=True, nargs="+", type=cli.spec, help="FILE.yaml or JSON, one or more")
    flags.add_argument("--results", required=True, type=Path, help="folder of a scale's finished run")
    flags.add_argument("--config", nargs="*", type=Path, default=[], help="configuration files to state hashes of")
    flags.add_argument("--unavailable", type=cli.spec, default={}, help="{generator, boost or protocol: why}")
    flags.add_argument("--out", required=True, type=Path, help="folder to fill")
    args = cli.parse(flags)

    from pagboost import artifacts
    from pagboost.report import page

    facts = page.provenance(args.paper, args.results, args.unavailable, args.config)
    for paper in args.paper:
        for kind in ("tables", "figures"):
            for path in sorted((args.results / kind / paper["key"]).iterdir()):
                if path.suffix in (".csv", ".md", ".png"):
                    with artifacts.atomic(args.out / paper["key"] / path.name) as temporary:
                        shutil.copyfile(path, temporary)
    artifacts.save_json(args.out / "provenance.json", dict(facts))


if __name__ == "__main__":
    cli.run(main)
