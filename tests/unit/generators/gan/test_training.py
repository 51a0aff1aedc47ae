"""The GAN loop: averaging, standing statistics, determinism, and failures that are noticed."""

import pytest
import torch
from torch import nn

from pagboost import networks, training
from pagboost.errors import InputError
from pagboost.generators.gan import losses, methods
from pagboost.generators.gan import training as gan_training
from pagboost.options.reading import read
from pagboost.options.trainings import GAN

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
    method=dict(kind="biggan", orthogonal=0.0),
)


def small_data(n=48):
    draws = torch.Generator().manual_seed(0)
    return training.Data(torch.rand(n, 1, 8, 8, generator=draws), torch.arange(n) % 3, 3)


def train(seed=0, data=None, network=GENERATOR, run=None, **changes):
    options = read(GAN, {**OPTIONS, **changes}, "training")
    return gan_training.train_gan(data or small_data(), network, run or training.Run(seed, CPU), {}, options)


def weights(trained):
    return torch.cat([p.flatten() for p in trained.network.parameters()])


def latents(batch_size=16):
    return gan_training._latents(8, 3, batch_size, torch.Generator().manual_seed(1), CPU)


def small_generator():
    torch.manual_seed(0)
    return networks.build(GENERATOR)


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
    plain, penalised = train(), train(method=dict(kind="biggan", orthogonal=1e-1))
    assert not torch.equal(plain.network.stem.weight, penalised.network.stem.weight)


def test_training_moves_the_generated_mean_to_the_real_one():
    bright = training.Data(0.9 + 0.1 * small_data().x, small_data().y, 3)
    trained = train(data=bright, iterations=40, lr_generator=5e-3, lr_discriminator=5e-3)
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
    num_classes = 3

    def forward(self, z, y):
        return (y.float() / 3).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def test_one_image_per_class_counts_as_collapsed():
    with pytest.raises(InputError, match="biggan: the generator collapsed, its images of a class spread"):
        gan_training.check_diversity(Collapsed(), small_data(), torch.Generator(), CPU, "biggan")


class OneOfFew(Collapsed):
    """Flat images of two greys in turn; there are no classes."""

    num_classes = None

    def forward(self, z, y):
        return (torch.arange(len(z)) % 2 - 0.5).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


def test_an_unconditional_generator_is_measured_over_all_images():
    generator, data = OneOfFew(), small_data()
    real = (data.x - data.x.mean(0)).square().mean().sqrt()
    ratio = gan_training.check_diversity(generator, data, torch.Generator(), CPU, "sngan")
    assert ratio == pytest.approx(0.25 / real.item())  # two greys of [0, 1] that are 1/2 apart
    shifted = training.Data(data.x + data.y.view(-1, 1, 1, 1), data.y, 3)  # classes count for the real spread too
    real = (shifted.x - shifted.x.mean(0)).square().mean().sqrt()
    ratio = gan_training.check_diversity(generator, shifted, torch.Generator(), CPU, "sngan")
    assert ratio == pytest.approx(0.25 / real.item())


class Same(Collapsed):
    """One image, whatever z and y."""

    num_classes = None

    def forward(self, z, y):
        return super().forward(z, torch.ones_like(y))


def test_one_image_for_all_counts_as_collapsed():
    with pytest.raises(InputError, match="sngan: the generator collapsed, its images spread 0.000 times"):
        gan_training.check_diversity(Same(), small_data(), torch.Generator(), CPU, "sngan")


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
    with pytest.raises(InputError, match=f"training.{key}: 0, expected at least 1"):
        train(**{key: 0})


def test_a_generator_of_another_size_than_the_data_is_named():
    with pytest.raises(InputError, match=r"images \[C, H, W\] of \[1, 16, 16\], expected .* \[1, 8, 8\]"):
        train(network={**GENERATOR, "size": 16})


@pytest.mark.parametrize(("key", "value", "expected"), [("num_classes", 4, 3), ("size", 16, 8), ("channels", 3, 1)])
def test_a_discriminator_of_other_images_or_labels_than_the_generator_is_named(key, value, expected):
    with pytest.raises(InputError, match=f"training.discriminator.{key}: {value}, expected {expected}"):
        train(discriminator={**DISCRIMINATOR, key: value})


def test_an_unconditional_discriminator_of_a_conditional_generator_is_named():
    options = dict(size=8, channels=1, num_classes=None, widths=[8, 8], halvings=1, spectral=True)
    with pytest.raises(InputError, match="training.discriminator.num_classes: None, expected 3"):
        train(discriminator={"kind": "resnet_discriminator", **options})


def test_learning_rates_fall_linearly_if_asked(monkeypatch):
    rates = []

    def noted(loss, optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()

    monkeypatch.setattr(training, "descend", noted)
    train(lr_decay=True, discriminator_steps=1, iterations=4)
    assert rates[::2] == pytest.approx([2e-3, 1.5e-3, 1e-3, 0.5e-3])  # the discriminator's turns
    assert rates[1::2] == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.25e-3])
    rates.clear()
    train(iterations=2, discriminator_steps=1)
    assert rates == [2e-3, 1e-3, 2e-3, 1e-3]


class Counter(nn.Module):
    """A method's own state: how many real logits it has been shown."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def update(self, real):
        assert not real.requires_grad
        self.count += len(real)


def test_a_methods_state_is_told_the_real_logits_saved_and_resumed(tmp_path, monkeypatch):
    counters, kill = [], [True]

    def build(options):
        counters.append(Counter())
        return gan_training.Method(
            discriminator_loss=losses.hinge_discriminator,
            generator_loss=losses.hinge_generator,
            after_discriminator=counters[-1].update,
            modules={"counter": counters[-1]},
        )

    monkeypatch.setattr(methods, "biggan", build)
    run, update = training.Run(0, CPU, tmp_path / "state.pt", save_every=0.0), training.update_average

    def killed(*args):
        if kill and counters[-1].count == 3 * 2 * 8:
            kill.clear()
            raise KeyboardInterrupt
        update(*args)

    monkeypatch.setattr(training, "update_average", killed)
    with pytest.raises(KeyboardInterrupt):
        train(run=run)
    train(run=run)
    assert counters[0].count == 3 * 2 * 8
    assert counters[1].count == OPTIONS["iterations"] * 2 * 8


def test_a_turn_shows_terms_what_each_update_sees(monkeypatch):
    turns = []

    def term(turn):
        turns.append(turn)
        return turn.fake.new_zeros(())

    method = gan_training.Method(
        discriminator_loss=losses.hinge_discriminator,
        generator_loss=losses.hinge_generator,
        discriminator_terms=[term],
        generator_terms=[term],
    )
    monkeypatch.setattr(methods, "biggan", lambda options: method)
    train(iterations=2)
    assert [turn.i for turn in turns] == [0, 0, 0, 1, 1, 1]
    assert [turn.x is None for turn in turns] == [turn.fake.requires_grad for turn in turns] == [False, False, True] * 2
    assert turns[0].x.min() < -0.5  # data in [0, 1], seen in [-1, 1]
    assert torch.equal(turns[0].y.sort().values.unique(), torch.arange(3))


def test_unknown_discriminator_option_is_named():
    with pytest.raises(InputError, match="training.discriminator.depth: unknown key"):
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
        train(run=run, iterations=5)
    assert run.state.exists()
    steps.clear()
    train(run=run, iterations=5)
    assert len(steps) == 2
    assert not run.state.exists()
