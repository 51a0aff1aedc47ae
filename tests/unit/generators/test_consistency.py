import itertools
import math
from typing import get_args

import pytest
import torch

from pagboost import networks, training
from pagboost.errors import InputError
from pagboost.generators import consistency
from pagboost.generators.diffusion import karras
from pagboost.options.kinds import hints
from pagboost.options.reading import read, unwrapped
from pagboost.options.samplers import ConsistencySampler
from pagboost.options.trainings import EDM, ConsistencyDistillation, ConsistencyTraining
from pagboost.rng import SampleStreams

NETWORK = {
    "kind": "unet",
    "image_size": 4,
    "in_channels": 1,
    "out_channels": 1,
    "model_channels": 8,
    "num_res_blocks": 0,
    "attention_resolutions": [],
    "channel_mult": [1],
    "num_heads": 1,
    "num_classes": 2,
    "norm_groups": 4,
}
COMMON = {
    "metric": "pseudo_huber",
    "weighting": "uniform",
    "iterations": 80,
    "batch_size": 16,
    "lr": 5e-3,
    "lr_end": 0.0,
    "warmup": 5,
    "target_decay": 0.8,
    "ema_decay": 0.9,
}
CT = {**COMMON, "init": "random", "scale_start": 2, "scale_end": 8, "iterations": 100, "target_decay": 0.0}
CD = {**COMMON, "scales": 8, "solver": "heun"}
RUN = training.Run(seed=0, device=torch.device("cpu"))


def train_ct(data, inputs, **changed):
    options = read(ConsistencyTraining, CT | changed, "training")
    return consistency.train_ct(data, NETWORK, RUN, inputs, options)


def train_cd(data, inputs, **changed):
    options = read(ConsistencyDistillation, CD | changed, "training")
    return consistency.train_cd(data, NETWORK, RUN, inputs, options)


def two_grey_levels():
    """Class 0 is dark, class 1 bright: what a class-conditional model must keep apart."""
    y = torch.arange(32) % 2
    return training.Data((0.25 + 0.5 * y.float()).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous(), y, 2)


def random_network(seed=0):
    torch.manual_seed(seed)
    network = networks.build(NETWORK).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def sigmas_of(value, n):
    return torch.full((n,), value, dtype=torch.float64)


def test_at_sigma_min_the_model_is_exactly_the_identity():
    x, y = torch.randn(3, 1, 4, 4), torch.tensor([0, 1, 0])
    for sigma_min in (0.002, 0.05):
        assert torch.equal(consistency.consistency(random_network(), x, sigmas_of(sigma_min, 3), y, sigma_min), x)
    assert not torch.equal(consistency.consistency(random_network(), x, sigmas_of(1.0, 3), y), x)


def test_scalings_are_edms_shifted_to_sigma_min():
    sigma = torch.tensor([0.002, 0.5, 80.0], dtype=torch.float64)
    for shifted, original in zip(consistency.scalings(sigma, 0.0), karras.scalings(sigma), strict=True):
        torch.testing.assert_close(shifted, original)
    c_skip, c_out, c_in = consistency.scalings(torch.tensor([1.002], dtype=torch.float64))
    assert float(c_skip) == pytest.approx(0.25 / 1.25)
    assert float(c_out) == pytest.approx(0.5 / math.sqrt(0.25 + 1.002**2))
    assert float(c_in) == pytest.approx(1 / math.sqrt(0.25 + 1.002**2))


def test_discretisation_grows_between_its_ends():
    levels = [consistency.discretisation(k, 1000, 2, 150) for k in range(1001)]
    assert levels[0] == 2 and levels[-1] == 151
    assert all(a <= b for a, b in itertools.pairwise(levels))
    assert levels[250] == math.ceil(math.sqrt(0.25 * (151**2 - 4) + 4) - 1) + 1


def test_target_rate_starts_at_its_value_and_grows_towards_one():
    assert consistency.target_rate(2, 2, 0.9) == pytest.approx(0.9)
    assert consistency.target_rate(151, 2, 0.9) == pytest.approx(math.exp(2 * math.log(0.9) / 151))
    assert consistency.target_rate(151, 2, 0.0) == 0


def test_metrics_have_their_closed_forms():
    a, b = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    b[1] = 3.0
    c = 0.00054 * 2
    torch.testing.assert_close(consistency.squared_l2(a, b), torch.tensor([0.0, 9.0]))
    torch.testing.assert_close(
        consistency.pseudo_huber(a, b), torch.tensor([0.0, math.sqrt(36 + c**2) - c]), rtol=1e-5, atol=1e-9
    )


def test_weightings_have_their_closed_forms():
    sigma, sigma_next = sigmas_of(2.0, 1), sigmas_of(1.5, 1)
    weights = {name: float(weighting(sigma, sigma_next)) for name, weighting in consistency.WEIGHTINGS.items()}
    assert weights == pytest.approx({"uniform": 1, "inverse_step": 2, "inverse_c_out": math.sqrt(4 + 0.25) / (2 * 0.5)})


def test_neighbours_stay_on_the_trajectory():
    """CT keeps the noise; CD's Heun step of an exact teacher follows the exact flow."""
    x_0, noise, y = torch.zeros(2, 1, 4, 4), torch.randn(2, 1, 4, 4), torch.tensor([0, 1])
    sigma, sigma_next = sigmas_of(2.0, 2), sigmas_of(1.9, 2)
    draw = consistency.Draw(x_0, noise, sigma, sigma_next, y)
    torch.testing.assert_close(consistency.same_noise(draw), 1.9 * noise)

    def exact_teacher(scaled, t, y):
        """A network whose preconditioned output is the denoiser of data N(0, 0.5^2): c_skip x alone."""
        return torch.zeros_like(scaled)

    flow = math.sqrt((0.25 + 1.9**2) / (0.25 + 2.0**2))
    x_next = consistency.teacher_step(exact_teacher, "heun")(draw)
    torch.testing.assert_close(x_next, flow * 2 * noise, rtol=1e-4, atol=1e-4)


def sample(network, index, sigmas):
    streams = SampleStreams("test", [0] * len(index), index)
    options = read(ConsistencySampler, {"sigmas": sigmas}, "sampler")
    return consistency.sample_consistency(network, torch.tensor(index) % 2, streams, (1, 4, 4), options)


def test_one_step_is_one_call_from_pure_noise():
    network = random_network()
    x = SampleStreams("test", [0], [5]).randn((1, 4, 4)) * 80
    expected = consistency.consistency(network, x, sigmas_of(80.0, 1), torch.tensor([1])).clamp(-1, 1)
    torch.testing.assert_close(sample(network, [5], [80.0]), (expected + 1) / 2)


def test_later_steps_add_noise_up_to_their_level(monkeypatch):
    """With a model that always answers grey, the second call's input is the noise alone."""
    inputs = []

    def grey(network, x, sigma, y, sigma_min):
        inputs.append((x, float(sigma[0])))
        return torch.zeros_like(x)

    monkeypatch.setattr(consistency, "consistency", grey)
    sample(None, list(range(200)), [80.0, 0.5])
    assert [level for _, level in inputs] == [80.0, 0.5]
    assert float(inputs[0][0].std()) == pytest.approx(80, rel=0.05)
    assert float(inputs[1][0].std()) == pytest.approx(math.sqrt(0.5**2 - 0.002**2), rel=0.05)


@pytest.mark.parametrize("sigmas", [[80.0], [80.0, 1.0]])
def test_samples_belong_to_their_streams_not_to_their_batch(sigmas):
    network = random_network()
    together = sample(network, [0, 1, 2, 3], sigmas)
    torch.testing.assert_close(sample(network, [2], sigmas), together[2:3], rtol=0, atol=1e-4)
    assert (together[0] - together[2]).abs().max() > 0.01


@pytest.mark.parametrize("sigmas", [[], [1.0, 80.0], [80.0, 80.0], [80.0, 0.002]])
def test_levels_must_fall_above_sigma_min(sigmas):
    with pytest.raises(InputError, match="sigmas"):
        sample(random_network(), [0], sigmas)


def class_means(network):
    x = sample(network, list(range(16)), [80.0])
    return [float(x[c::2].mean()) for c in (0, 1)]


def test_consistency_training_learns_each_class():
    trained = train_ct(two_grey_levels(), {})
    dark, bright = class_means(trained.network)
    assert dark < 0.45 and bright > 0.55  # on the way to 0.25 and 0.75
    assert trained.facts["init"] == "random"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A short EDM training of the same data, on disk."""
    path = tmp_path_factory.mktemp("teacher") / "edm.safetensors"
    options = {key: COMMON[key] for key in ("iterations", "batch_size", "lr", "lr_end", "warmup", "ema_decay")}
    options = read(EDM, options | {"p_mean": -1.2, "p_std": 1.2}, "training")
    trained = karras.train_edm(two_grey_levels(), NETWORK, RUN, {}, options)
    networks.save(path, trained.network, NETWORK, {"kind": "edm"})
    return path


@pytest.mark.parametrize("options", [{}, {"solver": "euler", "metric": "l2"}])
def test_distillation_follows_its_teacher(teacher, options):
    trained = train_cd(two_grey_levels(), {"teacher": teacher}, **options)
    assert class_means(trained.network) == pytest.approx([0.25, 0.75], abs=0.1)


def test_training_from_a_teacher_starts_at_its_weights_and_says_so(teacher):
    trained = train_ct(two_grey_levels(), {"teacher": teacher}, init="teacher", iterations=1, lr=1e-12)
    expected, _ = networks.load(teacher)
    for a, b in zip(trained.network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert trained.facts["init"] == "teacher"


def test_inputs_and_options_that_are_wrong_are_named(teacher):
    data = two_grey_levels()
    with pytest.raises(InputError, match="expected a teacher"):
        train_cd(data, {})
    with pytest.raises(InputError, match="expected a teacher"):
        train_ct(data, {}, init="teacher")
    with pytest.raises(InputError, match="training.solver: 'rk4', expected one of: euler, heun"):
        train_cd(data, {"teacher": teacher}, solver="rk4")
    with pytest.raises(InputError, match="training.metric: 'lpips', expected one of: l2"):
        train_ct(data, {}, metric="lpips")
    with pytest.raises(InputError, match="training.weighting: 'none', expected one of: uniform"):
        train_ct(data, {}, weighting="none")
    with pytest.raises(InputError, match="training.init: 'warm', expected one of: random, teacher"):
        train_ct(data, {}, init="warm")
    with pytest.raises(InputError, match="sigma_min: 90.0, expected less than sigma_max, 80.0"):
        train_ct(data, {}, sigma_min=90.0)


@pytest.mark.parametrize(
    ("option", "known"),
    [("metric", consistency.METRICS), ("weighting", consistency.WEIGHTINGS), ("solver", karras.SOLVERS)],
)
def test_options_name_all_that_there_is(option, known):
    assert set(get_args(unwrapped(hints(ConsistencyDistillation)[option])[0])) == set(known)
