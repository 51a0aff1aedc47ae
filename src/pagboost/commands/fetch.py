"""Download files from elsewhere into their cache: say how many GB, then each, resumed and checked."""

from pathlib import Path

from pagboost import cli


def main() -> None:
    from pagboost.options.entries import DOWNLOADS

    flags = cli.parser(__doc__)
    flags.add_argument("urls", nargs="*", metavar="URL", help="https://, file://, hf://owner/repo/file@revision, …")
    flags.add_argument("--sha256", help="of the one URL, whole or its first digits")
    copies = {"default": Path(DOWNLOADS), "help": "folder of the URLs' copies"}
    flags.add_output("--downloads", folder=True, required=False, **copies)
    spec = "all that a configuration names: JSON, FILE.yaml or FILE.yaml:key.path"
    flags.add_argument("--spec", type=cli.spec, action="append", default=[], help=spec)
    by_hand = "files that are needed too: those that are missing are said"
    flags.add_argument("--by-hand", nargs="+", action="extend", default=[], metavar="PATH", help=by_hand)
    flags.add_argument("--list", action="store_true", help="say how much it is, and fetch nothing")
    args = cli.parse(flags)
    if args.sha256 and len(args.urls) != 1:
        flags.error(f"argument --sha256: with {len(args.urls)} URLs, expected one")

    from pagboost.errors import InputError
    from pagboost.sources import addresses, fetching
    from pagboost.sources.remotes import Remote, found

    for spec in args.spec:
        addresses.use_mirrors(spec.get("mirrors", {}))
    for url in args.urls:
        if not addresses.is_url(url):
            raise InputError(f"{url}: expected a URL ({', '.join(addresses.SCHEMES)})")
    remotes = [Remote(url, args.sha256, str(args.downloads)) for url in args.urls]
    planned = fetching.plan(list(dict.fromkeys([*remotes, *found(args.spec)])))
    print(*fetching.lines(planned, args.by_hand), sep="\n", flush=True)
    if not args.list:
        fetching.check_room(planned)
        fetching.fetch(planned)
