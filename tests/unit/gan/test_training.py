"""The GAN loop: averaging, standing statistics, determinism, and failures that are noticed."""

import pytest
import torch
from torch import nn

from pagboost import training
from pagboost.errors import InputError
from pagboost.gan import biggan
from pagboost.gan import training as gan_training

CPU = torch.device("cpu")
GENERATOR = dict(
    kind="biggan_generator", size=8, channels=1, num_classes=3, z_dim=8, embedding_dim=4, widths=[8, 8], patch=1
)
DISCRIMINATOR = dict(kind="biggan_discriminator", size=8, channels=1, num_classes=3, widths=[8, 8], halvings=1)
OPTIONS = dict(
    discriminator=DISCRIMINATOR,
    iterations=4,
    batch_size=8,
    discriminator_steps=2,
    lr_generator=1e-3,
    lr_discriminator=2e-3,
    betas=[0.0, 0.999],
    ema_decay=0.5,
    ema_start=0,
    standing_batches=2,
    orthogonal=0.0,
)


def small_data(n=48):
    draws = torch.Generator().manual_seed(0)
    return training.Data(torch.rand(n, 1, 8, 8, generator=draws), torch.arange(n) % 3, 3)


def train(seed=0, **changes):
    run = training.Run(seed, CPU)
    return gan_training.train_biggan(small_data(), GENERATOR, run, {}, **{**OPTIONS, **changes})


def weights(trained):
    return torch.cat([p.flatten() for p in trained.network.parameters()])


def latents(batch_size=16):
    return gan_training._latents(8, 3, batch_size, torch.Generator().manual_seed(1), CPU)


def small_generator():
    torch.manual_seed(0)
    options = {key: value for key, value in GENERATOR.items() if key != "kind"}
    return biggan.generator(**options)


def test_equal_seeds_train_equal_generators_and_others_do_not():
    a, b, c = train(seed=0), train(seed=0), train(seed=1)
    assert torch.equal(weights(a), weights(b))
    assert not torch.allclose(weights(a), weights(c))
    assert not a.network.training
    assert a.spec == GENERATOR
    assert a.facts["diversity"] > gan_training.MIN_DIVERSITY


def test_the_average_lags_behind_and_starts_when_told():
    raw, waiting, averaged = (
        weights(train(ema_decay=decay, ema_start=start)) for decay, start in [(0, 0), (0.9, 4), (0.9, 0)]
    )
    assert torch.equal(raw, waiting)  # an average that has not started is the network itself
    assert not torch.allclose(raw, averaged)


def test_the_orthogonal_penalty_changes_the_training():
    plain, penalised = train(), train(orthogonal=1e-1)
    assert not torch.equal(plain.network.stem.weight, penalised.network.stem.weight)


def test_training_moves_the_generated_mean_to_the_real_one():
    bright = training.Data(0.9 + 0.1 * small_data().x, small_data().y, 3)
    run = training.Run(0, CPU)
    options = {**OPTIONS, "iterations": 40, "lr_generator": 5e-3, "lr_discriminator": 5e-3}
    trained = gan_training.train_biggan(bright, GENERATOR, run, {}, **options)
    z, y = next(latents(64))
    with torch.no_grad():
        before, after = ((g(z, y).mean() + 1) / 2 for g in (small_generator().eval(), trained.network))
    assert abs(after - 0.95) < 0.5 * abs(before - 0.95)


def test_standing_statistics_are_the_mean_over_batches():
    generator = small_generator()
    gan_training.standing_statistics(generator, latents(), 3)
    inputs = []
    norm = generator.blocks[0].norm1.norm
    norm.register_forward_hook(lambda module, args, out: inputs.append(args[0]))
    draws = latents()
    with torch.no_grad():
        for _ in range(3):
            generator(*next(draws))
    expected = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(norm.running_mean, expected, atol=1e-3, rtol=1e-3)
    assert not generator.training
    assert norm.momentum == pytest.approx(0.1)


def test_within_class_std_by_hand():
    x = torch.tensor([0.0, 1.0, 5.0, 5.0]).view(4, 1, 1, 1)  # class 0 at 0 and 1 (mean 1/2), class 1 constant
    assert gan_training.within_class_std(x, torch.tensor([0, 0, 1, 1])) == pytest.approx((0.5 / 4) ** 0.5)


class Collapsed(nn.Module):
    """One image per class, whatever z: its images differ, but not within a class."""

    z_dim = 8

    def forward(self, z, y):
        return (y.float() / 3).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def test_one_image_per_class_counts_as_collapsed():
    with pytest.raises(InputError, match="biggan: the generator collapsed"):
        gan_training.check_diversity(Collapsed(), small_data(), torch.Generator(), CPU, "biggan")


class Broken(Collapsed):
    """NaN everywhere."""

    def forward(self, z, y):
        return super().forward(z, y) * float("nan")


def test_nan_images_count_as_collapsed():
    with pytest.raises(InputError, match="spread nan"):
        gan_training.check_diversity(Broken(), small_data(), torch.Generator(), CPU, "biggan")


def test_divergence_is_noticed():
    with pytest.raises(InputError, match="biggan: loss (nan|inf|-inf)"):
        train(lr_generator=1e30, lr_discriminator=1e30)


@pytest.mark.parametrize("key", ["discriminator_steps", "standing_batches"])
def test_counts_below_one_are_named(key):
    with pytest.raises(InputError, match=f"{key}: 0, expected at least 1"):
        train(**{key: 0})


def test_a_generator_of_another_size_than_the_data_is_named():
    with pytest.raises(InputError, match=r"images \[C, H, W\] of \[1, 16, 16\], expected .* \[1, 8, 8\]"):
        gan_training.train_biggan(small_data(), {**GENERATOR, "size": 16}, training.Run(0, CPU), {}, **OPTIONS)


def test_unknown_discriminator_option_is_named():
    with pytest.raises(InputError, match="biggan.discriminator.depth: unknown key"):
        train(discriminator={**DISCRIMINATOR, "depth": 3})


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    run = training.Run(0, CPU, tmp_path / "state.pt", save_every=0.0)
    update, steps = training.update_average, []

    def counted(*args):
        if len(steps) == 3:
            raise KeyboardInterrupt
        steps.append(args)
        update(*args)

    monkeypatch.setattr(training, "update_average", counted)
    with pytest.raises(KeyboardInterrupt):
        gan_training.train_biggan(small_data(), GENERATOR, run, {}, **{**OPTIONS, "iterations": 5})
    assert run.state.exists()
    steps.clear()
    gan_training.train_biggan(small_data(), GENERATOR, run, {}, **{**OPTIONS, "iterations": 5})
    assert len(steps) == 2
    assert not run.state.exists()
