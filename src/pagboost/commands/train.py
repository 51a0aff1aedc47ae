"""Train one model of the configuration and write its weights."""

import json

from pagboost import cli


def main() -> None:
    from pagboost import train_flags

    flags, args, model = train_flags.parse(__doc__)

    from pagboost import artifacts, networks, recipes, runtime, training
    from pagboost.machine import launching, team
    from pagboost.machine.number_format import noted

    if args.gpus > 1 and not team.is_member():
        with runtime.leased(args.gpus, args.device) as gpus:
            if len(gpus) > 1:
                launching.together(gpus, args.threads)
                return
    runtime.prepare(args.threads)
    state = args.out.with_suffix(".state")
    on_the_way = [training.checkpoint_file(args.out, iterations) for iterations in model.checkpoints()]
    cli.check_outputs(flags, args, {"--out": [state, *on_the_way]})
    if args.data is None:
        data = training.no_data(model.network.image_channels(), args.size, args.num_classes)
    else:
        data = training.load_data(args.data, args.num_classes, args.labels)
    inputs = {role: path for role, path in args.input if role != "fakes"}
    fakes = [path for role, path in args.input if role == "fakes"]
    if fakes:
        inputs["fakes"] = fakes
    given = [("data", args.data)] if args.data else []
    files = [[role, artifacts.identity(path)] for role, path in [*given, *args.input]]
    asked = [args.spec, args.num_classes, args.labels, args.seed, files, *noted(args.device).values()]
    identity = json.dumps(asked, sort_keys=True, default=str)
    with runtime.device(args.device) as device, team.joined(device) as processes:
        run = training.Run(args.seed, device, state, identity=identity, team=processes)
        trained = recipes.train(args.spec, data, run, inputs)
    if not processes.first:
        return
    facts = {
        "kind": model.kind,
        "seed": args.seed,
        "iterations": getattr(model.training, "iterations", 0),  # none where weights come from elsewhere
        "dataset": {"channels": data.x.shape[1], "size": data.x.shape[2], "num_classes": args.num_classes},
        **noted(args.device),
        **trained.facts,
    }
    for iterations, network in trained.checkpoints.items():
        facts_then = facts | {"iterations": iterations, "checkpoint_of": args.out.stem}
        networks.save(training.checkpoint_file(args.out, iterations), network, trained.spec, facts_then)
    networks.save(args.out, trained.network, trained.spec, facts)
