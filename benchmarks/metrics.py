#!/usr/bin/env python3
"""Metrics from given features against torch-fidelity's, Fréchet against scipy's sqrtm, features against pytorch-fid.

python benchmarks/metrics.py --n 10000 --threads 2         (ratios are of one run; needs the extra `test`)
python benchmarks/metrics.py --n 50000 --device cuda --alone
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memory
import numpy as np
import torch

from pagboost import networks, rng
from pagboost.metrics import comparison, frechet
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import Folder, SampleFile
from pagboost.metrics.inception_score import inception_score

CPU = torch.device("cpu")
Sets = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def made_up(n: int, dims: int) -> Sets:
    """Features [n, dims], positive with a decaying spectrum as pool3's are, of two sets; logits [n, 1008] of one."""
    draws = rng.generator("benchmark")
    mix = torch.randn(dims, dims, generator=draws) * torch.logspace(0, -2, dims)[:, None] / dims**0.5
    generated, reference = ((torch.randn(n, dims, generator=draws) @ mix * scale + 0.3).relu_() for scale in (2.2, 2.0))
    return generated, reference, torch.randn(n, 1008, generator=draws)


def own(generated: torch.Tensor, reference: torch.Tensor, logits: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Nothing is kept from earlier runs, the reference's statistics and radii included."""
    a, b = frechet.statistics, frechet.statistics
    return {
        "FID": lambda: frechet.distance(a(generated), b(reference)),
        "IS": lambda: inception_score(logits),
        "KID, precision, recall": lambda: comparison.compare(
            comparison.points(generated, "generated", k=3), comparison.points(reference, "reference", k=3)
        ),
    }


def torch_fidelity(generated: torch.Tensor, reference: torch.Tensor, logits: torch.Tensor) -> dict[str, Any]:
    """The same through torch-fidelity's functions of features, with its defaults: 100 subsets of 1,000, k = 3."""
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    fit = metric_fid.fid_features_to_statistics
    return {
        "FID": lambda: metric_fid.fid_statistics_to_metric(fit(generated), fit(reference), verbose=False),
        "IS": lambda: metric_isc.isc_features_to_metric(logits),
        "KID": lambda: metric_kid.kid_features_to_metric(generated, reference, verbose=False),
        "precision, recall": lambda: metric_prc.prc_features_to_metric(generated, reference, verbose=False),
    }


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call, the device's queue included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measured(work: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    """(seconds of one call, MiB that it holds at most beyond what was held before)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        return seconds(work), (torch.cuda.max_memory_allocated() - before) / 2**20
    before = memory.begin()
    return seconds(work), memory.resident("VmHWM") - before


def all_metrics(sets: Sets, device: torch.device, alone: bool) -> None:
    """Seconds and peak memory of each metric, and of all, beside what torch-fidelity needs for the same."""
    n, total = len(sets[0]), {}
    sides = {"pagboost": own} if alone else {"pagboost": own, "torch-fidelity": torch_fidelity}
    for name, functions in sides.items():
        functions(*(x[:4096] for x in sets))["FID"]()  # libraries load and take their buffers before the clock starts
        cost = {metric: measured(work, device) for metric, work in functions(*sets).items()}
        total[name] = sum(s for s, _ in cost.values()), max(mib for _, mib in cost.values())
        parts = "   ".join(f"{metric} {s:.2f} s {mib:.0f} MiB" for metric, (s, mib) in cost.items())
        print(f"{name:14} N = {n}: {total[name][0]:.2f} s, {total[name][1]:.0f} MiB   ({parts})", flush=True)
    for bits in (32, 64):
        matrix = n * n * bits / 8 / 2**20
        print(f"peak / N x N matrix in float{bits} ({matrix:.0f} MiB): {total['pagboost'][1] / matrix:.2f}")
    if not alone:
        time_ratio, memory_ratio = (b / a for a, b in zip(*total.values(), strict=True))
        print(f"torch-fidelity / pagboost: {time_ratio:.2f}x the time, {memory_ratio:.1f}x the memory")


def square_root(generated: torch.Tensor, reference: torch.Tensor) -> None:
    """The distance alone, from means and covariances, against pytorch-fid's, which is scipy's sqrtm."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    a, b = frechet.statistics(generated), frechet.statistics(reference)
    arrays = [x.numpy() for x in (a.mu, a.sigma, b.mu, b.sigma)]
    fast, slow = seconds(lambda: frechet.distance(a, b)), seconds(lambda: calculate_frechet_distance(*arrays))
    print(f"Fréchet distance, D = {len(a.mu)}: {fast:.2f} s, by sqrtm {slow:.2f} s: {slow / fast:.1f}x")


def throughput(count: int, device: torch.device) -> None:
    """Images per second of PNG files through a randomly initialised Inception, against pytorch-fid's own loader.

    An .npz of the same images is the third; it has nothing to decode.
    """
    from PIL import Image
    from pytorch_fid import fid_score, inception

    network = networks.build({"kind": "inception"})
    inception.load_state_dict_from_url = lambda *args, **kwargs: network.model.state_dict()
    theirs = inception.InceptionV3([3]).to(device)
    images = np.random.default_rng(0).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)
    extractor = Extractor("inception", "0" * 64, network)
    size = min(50, count)
    with tempfile.TemporaryDirectory() as name:
        folder, sample_file = Path(name) / "pictures", Path(name) / "samples.npz"
        folder.mkdir()
        np.savez(sample_file, arr_0=images)
        files = [folder / f"{i}.png" for i in range(count)]
        for file, image in zip(files, images, strict=True):
            Image.fromarray(image).save(file)
        fid_score.tqdm = iter
        extract(extractor, images[:size], size, device)  # libraries load before the clock starts
        slow = seconds(lambda: fid_score.get_activations(files, theirs, size, 2048, device))
        fast = seconds(lambda: extract(extractor, Folder(folder), size, device))
        streamed = seconds(lambda: extract(extractor, SampleFile(sample_file), size, device))
    print(
        f"features of {count} PNG files, 256x256: {count / fast:.1f} images/s, by pytorch-fid's loader "
        f"{count / slow:.1f}: {slow / fast:.2f}x; of an .npz {count / streamed:.1f} images/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--dims", type=int, default=2048)
    parser.add_argument("--images", type=int, default=200, help="images of the feature throughput; 0 leaves it out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", action="store_true", help="this project's metrics only, for sizes others cannot do")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    sets = tuple(x.to(device) for x in made_up(options.n, options.dims))
    all_metrics(sets, device, options.alone)
    if not options.alone:
        square_root(*sets[:2])
    if options.images:
        throughput(options.images, device)


if __name__ == "__main__":
    main()
