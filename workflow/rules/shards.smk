# Sets that a scale splits (samples.<use>.shards): a job for each part, and one that merges them. Parts are deleted then.
from pagboost.planning.sharding import shard as one_of

SPLIT = [use for use in SCALE["samples"] if MADE.shards(use) > 1]
SPLIT_BOOSTS = SCALE["boosts"] if "eval" in SPLIT else []


rule sample_shard:
    input:
        unpack(inputs_of(lambda w: one_of(MADE.of(w.training).generated(w.generator, w.use), w.shard))),
    output:
        temp(f"{RESULTS}/{{training}}shards/samples/{{generator}}/boost=none/{{use}}/{{shard}}.npz"),
    log:
        f"{RESULTS}/{{training}}logs/samples/{{generator}}/{{use}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/samples/{{generator}}/{{use}}/{{shard}}.tsv"
    wildcard_constraints:
        generator=configuration.alternatives(MADE.networks()),
        use=configuration.alternatives(SPLIT),
        shard=r"\d+-of-\d+",
    priority: 10
    conda:
        ENVIRONMENT
    threads: job("sample", "threads")
    resources:
        **resources_of("sample"),
    params:
        script=script("sample.py"),
        flags=lambda w: flags.generated(one_of(MADE.of(w.training).generated(w.generator, w.use), w.shard)),
        seeds=lambda w: one_of(MADE.of(w.training).generated(w.generator, w.use), w.shard).settings["seeds"],
        per_seed=lambda w: one_of(MADE.of(w.training).generated(w.generator, w.use), w.shard).settings["per_seed"],
        batch=lambda w: SCALE["samples"][w.use]["batch_size"],
        device=MADE.device("sample"),
        made_from=digest_of(lambda w: one_of(MADE.of(w.training).generated(w.generator, w.use), w.shard)),
    message:
        "Sampling {wildcards.generator} ({wildcards.use}), shard {wildcards.shard}"
    shell:
        "python {params.script:q} {params.flags:q} --seeds {params.seeds} --per-seed {params.per_seed}"
        " --batch-size {params.batch} --device {params.device} --threads {threads} --out {output:q} > {log:q} 2>&1"


rule merge_samples:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).generated(w.generator, w.use))),
    output:
        f"{RESULTS}/{{training}}samples/{{generator}}/boost=none/{{use}}.npz",
    log:
        f"{RESULTS}/{{training}}logs/samples/{{generator}}/{{use}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/samples/{{generator}}/{{use}}.tsv"
    wildcard_constraints:
        generator=configuration.alternatives(MADE.networks()),
        use=configuration.alternatives(SPLIT),
    priority: 10
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **resources_of("sample") | {"gpu": 0},
    params:
        script=script("merge.py"),
        made_from=digest_of(lambda w: MADE.of(w.training).generated(w.generator, w.use)),
    message:
        "Merging {wildcards.generator} ({wildcards.use})"
    shell:
        "python {params.script:q} {input.shards:q} --threads {threads} --out {output:q} > {log:q} 2>&1"


# How far to walk and towards what, once for all shards
rule plan_boost:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).plan(w.generator, w.boost))),
    output:
        plan=temp(f"{RESULTS}/{{training}}shards/steps/{{generator}}/boost={{boost}}.npz"),
        choice=f"{RESULTS}/{{training}}steps/{{generator}}/boost={{boost}}.json",
    log:
        f"{RESULTS}/{{training}}logs/boost/{{generator}}/{{boost}}/plan.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/boost/{{generator}}/{{boost}}/plan.tsv"
    wildcard_constraints:
        boost=configuration.alternatives(SPLIT_BOOSTS),
    conda:
        ENVIRONMENT
    threads: job("boost", "threads")
    resources:
        **resources_of("boost"),
    params:
        script=script("boost.py"),
        spec=lambda w: flags.as_json(SCALE["boosts"][w.boost]),
        length=lambda w: flags.boosted(MADE.of(w.training).plan(w.generator, w.boost)),
        batch=SCALE["samples"]["eval"]["batch_size"],
        device=MADE.device("boost"),
        made_from=digest_of(lambda w: MADE.of(w.training).plan(w.generator, w.boost)),
    message:
        "Planning to boost {wildcards.generator} by {wildcards.boost}"
    shell:
        "python {params.script:q} {input.samples:q} --guide {input.guide:q} --boost {params.spec:q}"
        " --batch-size {params.batch} {params.length:q} --choice-out {output.choice:q}"
        " --device {params.device} --threads {threads} --plan-out {output.plan:q} > {log:q} 2>&1"


rule boost_shard:
    input:
        unpack(inputs_of(lambda w: one_of(MADE.of(w.training).boosted(w.generator, w.boost), w.shard))),
    output:
        temp(f"{RESULTS}/{{training}}shards/samples/{{generator}}/boost={{boost}}/eval/{{shard}}.npz"),
    log:
        f"{RESULTS}/{{training}}logs/boost/{{generator}}/{{boost}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/boost/{{generator}}/{{boost}}/{{shard}}.tsv"
    wildcard_constraints:
        boost=configuration.alternatives(SPLIT_BOOSTS),
        shard=r"\d+-of-\d+",
    conda:
        ENVIRONMENT
    threads: job("boost", "threads")
    resources:
        **resources_of("boost"),
    params:
        script=script("boost.py"),
        spec=lambda w: flags.as_json(SCALE["boosts"][w.boost]),
        shard=lambda w: one_of(MADE.of(w.training).boosted(w.generator, w.boost), w.shard).settings["shard"],
        batch=SCALE["samples"]["eval"]["batch_size"],
        device=MADE.device("boost"),
        made_from=digest_of(lambda w: one_of(MADE.of(w.training).boosted(w.generator, w.boost), w.shard)),
    message:
        "Boosting {wildcards.generator} by {wildcards.boost}, shard {wildcards.shard}"
    shell:
        "python {params.script:q} {input.samples:q} --guide {input.guide:q} --boost {params.spec:q}"
        " --batch-size {params.batch} --plan {input.plan:q} --shard {params.shard} --device {params.device}"
        " --threads {threads} --out {output:q} > {log:q} 2>&1"


use rule merge_samples as merge_boosts with:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).boosted(w.generator, w.boost))),
    output:
        f"{RESULTS}/{{training}}samples/{{generator}}/boost={{boost}}/eval.npz",
    log:
        f"{RESULTS}/{{training}}logs/boost/{{generator}}/{{boost}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/boost/{{generator}}/{{boost}}.tsv"
    wildcard_constraints:
        boost=configuration.alternatives(SPLIT_BOOSTS),
    priority: 0
    resources:
        **resources_of("boost") | {"gpu": 0},
    params:
        script=script("merge.py"),
        made_from=digest_of(lambda w: MADE.of(w.training).boosted(w.generator, w.boost)),
    message:
        "Merging {wildcards.generator} boosted by {wildcards.boost}"


rule features_shard:
    input:
        unpack(inputs_of(lambda w: one_of(MADE.of(w.training).features(w.generator, w.boost, w.extractor), w.shard))),
    output:
        temp(f"{RESULTS}/{{training}}shards/features/{{generator}}/boost={{boost}}/{{extractor}}/{{shard}}.npz"),
    log:
        f"{RESULTS}/{{training}}logs/features/{{generator}}/{{boost}}/{{extractor}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/features/{{generator}}/{{boost}}/{{extractor}}/{{shard}}.tsv"
    wildcard_constraints:
        extractor=configuration.alternatives(MADE.extractors),
        shard=r"\d+-of-\d+",
    conda:
        ENVIRONMENT
    threads: job("evaluate", "threads")
    resources:
        **resources_of("evaluate"),
    params:
        script=script("featurise.py"),
        settings=lambda w: one_of(MADE.of(w.training).features(w.generator, w.boost, w.extractor), w.shard).settings,
        made_from=digest_of(lambda w: one_of(MADE.of(w.training).features(w.generator, w.boost, w.extractor), w.shard)),
    message:
        "Features of {wildcards.generator}, boost {wildcards.boost}, by {wildcards.extractor}, shard {wildcards.shard}"
    shell:
        "python {params.script:q} {input.samples:q} --extractor {input.extractor:q}"
        " --batch-size {params.settings[batch]} --shard {params.settings[shard]} --device {params.settings[device]}"
        " --threads {threads} --out {output:q} > {log:q} 2>&1"


use rule merge_samples as merge_features with:
    input:
        unpack(inputs_of(lambda w: MADE.of(w.training).features(w.generator, w.boost, w.extractor))),
    output:
        temp(f"{RESULTS}/{{training}}shards/features/{{generator}}/boost={{boost}}/{{extractor}}.npz"),
    log:
        f"{RESULTS}/{{training}}logs/features/{{generator}}/{{boost}}/{{extractor}}.log",
    benchmark:
        f"{RESULTS}/{{training}}benchmarks/features/{{generator}}/{{boost}}/{{extractor}}.tsv"
    wildcard_constraints:
        extractor=configuration.alternatives(MADE.extractors),
    priority: 0
    resources:
        **resources_of("evaluate") | {"gpu": 0},
    params:
        script=script("merge.py"),
        made_from=digest_of(lambda w: MADE.of(w.training).features(w.generator, w.boost, w.extractor)),
    message:
        "Merging features of {wildcards.generator}, boost {wildcards.boost}, by {wildcards.extractor}"


ruleorder: merge_samples > sample
