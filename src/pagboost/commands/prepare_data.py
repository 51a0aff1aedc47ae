"""Write the splits of a data set as sample files."""

from typing import get_args

from pagboost import cli


def main() -> None:
    from pagboost.options.types import Split

    flags = cli.parser(__doc__)
    flags.add_argument("--spec", type=cli.spec, required=True, help="data set entry: JSON or FILE.yaml:datasets.NAME")
    flags.add_output("--out", folder=True, help="folder for one <split>.npz each")
    args = cli.parse(flags)
    cli.check_outputs(flags, args, {"--out": [args.out / f"{name}.npz" for name in get_args(Split)]})

    from pagboost.options.models import Dataset
    from pagboost.options.reading import read
    from pagboost.sources import data

    data.write(read(Dataset, args.spec, "datasets"), args.out)
