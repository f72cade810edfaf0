"""The six classifiers: the published networks name by name, what they hear, and loading."""

from __future__ import annotations

import os
import re
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch.nn import functional as F

from samplevae_lib import models, paths, theses, weights
from samplevae_lib.models import classifiers
from samplevae_lib.models.classifiers import (
    KINDS,
    MEL,
    WeightsFileError,
    begin,
    classifier,
    load_published,
)
from samplevae_lib.models.cnn14 import Cnn14, ConvBlock
from samplevae_lib.models.resnet import Bottleneck, ResNet, SplitAttention, thinned
from samplevae_lib.training.fits import layers_of

PRETRAINED = ("ResNet50", "ResNeSt50", "PANN CNN14")
SPECTRAL = tuple(kind for kind in KINDS if kind != "CNN raw")
WIDTHS = {"ResNet50": 1 / 16, "ResNeSt50": 1 / 16, "PANN CNN14": 1 / 32}
Shapes = dict[str, tuple[int, ...]]

each_kind = pytest.mark.parametrize("kind", KINDS)


def small(kind: str, **options) -> classifiers.AudioClassifier:
    torch.manual_seed(0)
    return classifier(kind, **{"width": WIDTHS.get(kind, 0.5), **options})


def hits(number: int = 8, samples: int = 32000) -> torch.Tensor:
    """Noises and tones that fall off, no two alike."""
    rng, t = np.random.default_rng(0), np.arange(samples) / 32000
    tones = [np.sin(2 * np.pi * 60 * 2**i * t) * np.exp(-20 * t) for i in range(number // 2)]
    noises = [rng.normal(size=samples) * np.exp(-5 * 2**i * t) for i in range(number - number // 2)]
    return torch.tensor(np.array(tones + noises), dtype=torch.float32)


# The published files: names and shapes of their tensors, by the architectures alone.


def conv(name: str, outputs: int, inputs: int, *size: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, *size)}


def norm(name: str, channels: int) -> Shapes:
    vectors = {f"{name}.{part}": (channels,) for part in ("weight", "bias")}
    buffers = {f"{name}.running_{part}": (channels,) for part in ("mean", "var")}
    return {**vectors, **buffers, f"{name}.num_batches_tracked": ()}


def dense(name: str, outputs: int, inputs: int, *size: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, *size), f"{name}.bias": (outputs,)}


# stage: (blocks, channels that enter, within, and that leave); He et al., table 1.
RESNET_STAGES = {
    "layer1": (3, 64, 64, 256), "layer2": (4, 256, 128, 512),
    "layer3": (6, 512, 256, 1024), "layer4": (3, 1024, 512, 2048),
}  # fmt: skip
# Between the layers of attention are a quarter of twice the channels, at least 32 (Zhang et al.).
ATTENTION = {"layer1": 32, "layer2": 64, "layer3": 128, "layer4": 256}


def resnet50(*, split: bool) -> Shapes:
    if split:
        shapes = {
            **conv("conv1.0", 32, 3, 3, 3), **norm("conv1.1", 32),
            **conv("conv1.3", 32, 32, 3, 3), **norm("conv1.4", 32), **conv("conv1.6", 64, 32, 3, 3),
        }  # fmt: skip
    else:
        shapes = conv("conv1", 64, 3, 7, 7)
    shapes |= norm("bn1", 64)
    for stage, (blocks, entering, within, leaving) in RESNET_STAGES.items():
        for block in range(blocks):
            at = f"{stage}.{block}"
            shapes |= conv(f"{at}.conv1", within, leaving if block else entering, 1, 1)
            shapes |= norm(f"{at}.bn1", within)
            if split:  # twice the channels, in two groups that see half of the channels each
                shapes |= conv(f"{at}.conv2.conv", 2 * within, within // 2, 3, 3)
                shapes |= norm(f"{at}.conv2.bn0", 2 * within)
                shapes |= dense(f"{at}.conv2.fc1", ATTENTION[stage], within, 1, 1)
                shapes |= norm(f"{at}.conv2.bn1", ATTENTION[stage])
                shapes |= dense(f"{at}.conv2.fc2", 2 * within, ATTENTION[stage], 1, 1)
            else:
                shapes |= conv(f"{at}.conv2", within, within, 3, 3) | norm(f"{at}.bn2", within)
            shapes |= conv(f"{at}.conv3", leaving, within, 1, 1) | norm(f"{at}.bn3", leaving)
        first, second = ("1", "2") if split else ("0", "1")  # a mean stands before, without tensors
        shapes |= conv(f"{stage}.0.downsample.{first}", leaving, entering, 1, 1)
        shapes |= norm(f"{stage}.0.downsample.{second}", leaving)
    return shapes | dense("fc", 1000, 2048)


def cnn14() -> Shapes:
    shapes = {
        "spectrogram_extractor.stft.conv_real.weight": (513, 1, 1024),
        "spectrogram_extractor.stft.conv_imag.weight": (513, 1, 1024),
        "logmel_extractor.melW": (513, 64),
        **norm("bn0", 64),
    }
    channels = (1, 64, 128, 256, 512, 1024, 2048)
    for number in range(1, 7):
        inputs, outputs, at = channels[number - 1], channels[number], f"conv_block{number}"
        shapes |= conv(f"{at}.conv1", outputs, inputs, 3, 3)
        shapes |= conv(f"{at}.conv2", outputs, outputs, 3, 3)
        shapes |= norm(f"{at}.bn1", outputs) | norm(f"{at}.bn2", outputs)
    return shapes | dense("fc1", 2048, 2048) | dense("fc_audioset", 527, 2048)


PUBLISHED = {
    "ResNet50": resnet50(split=False),
    "ResNeSt50": resnet50(split=True),
    "PANN CNN14": cnn14(),
}
HEADS = {"ResNet50": "fc", "ResNeSt50": "fc", "PANN CNN14": "fc_audioset"}


def parameters(shapes: Shapes) -> int:
    fixed = ("running_mean", "running_var", "num_batches_tracked")
    extractor = ("spectrogram_extractor", "logmel_extractor")
    return sum(
        prod(shape) for name, shape in shapes.items()
        if not name.endswith(fixed) and not name.startswith(extractor)
    )  # fmt: skip


# As told by torchvision's documentation, by ResNeSt's authors and by Kong et al., table 12.
@pytest.mark.parametrize(
    ("kind", "count"),
    [("ResNet50", 25_557_032), ("ResNeSt50", 27_483_240), ("PANN CNN14", 80_753_615)],
)
def test_the_lists_of_tensors_come_to_the_published_number_of_parameters(kind, count):
    assert parameters(PUBLISHED[kind]) == count


def test_the_list_for_cnn14_fills_its_published_file():
    stored = sum(4 * prod(shape) for shape in PUBLISHED["PANN CNN14"].values())
    assert 0 < 327_428_481 - stored < 20_000  # bytes that are left for names and shapes


@pytest.fixture(scope="module", params=PRETRAINED)
def full(request: pytest.FixtureRequest) -> classifiers.AudioClassifier:
    """A network of width 1; only one at a time, for CNN14 takes 320 MB."""
    return classifier(request.param)


def test_a_network_of_width_1_has_the_published_names_and_but_for_its_head_their_shapes(full):
    ours = {name: tuple(t.shape) for name, t in full.network.state_dict().items()}
    theirs = {k: v for k, v in PUBLISHED[full.kind].items() if "extractor" not in k}
    head = dense(HEADS[full.kind], 8, 2048)
    assert ours == theirs | head
    assert (
        parameters(ours) == parameters(theirs) - (theirs[f"{HEADS[full.kind]}.bias"][0] - 8) * 2049
    )


# The arithmetic of the layers.


def test_split_attention_is_a_sum_of_both_versions_weighted_by_a_softmax():
    torch.manual_seed(0)
    layer = SplitAttention(4, 6).double().eval()
    for norms in (layer.bn0, layer.bn1):
        torch.nn.init.uniform_(norms.running_mean, -1, 1)
        torch.nn.init.uniform_(norms.running_var, 0.5, 2)
    image = torch.randn(1, 4, 5, 7, dtype=torch.float64)
    weights = {name: value.detach().numpy() for name, value in layer.state_dict().items()}

    def normed(values, name):
        spread = np.sqrt(weights[f"{name}.running_var"] + 1e-5)
        shape = (-1, *[1] * (values.ndim - 1))
        return (values - weights[f"{name}.running_mean"].reshape(shape)) / spread.reshape(shape)

    made = []
    for output in range(8):  # the first four channels are one version, from inputs 0 and 1
        kernels, inputs = weights["conv.weight"][output], ((0, 1) if output < 4 else (2, 3))
        made.append(
            sum(
                correlate2d(image[0, i].numpy(), kernel, mode="same")
                for i, kernel in zip(inputs, kernels, strict=True)
            )
        )
    versions = np.maximum(normed(np.array(made), "bn0"), 0).reshape(2, 4, 5, 7)
    mean = versions.sum(0).mean((1, 2))
    between = weights["fc1.weight"][:, :, 0, 0] @ mean + weights["fc1.bias"]
    between = np.maximum(normed(between, "bn1"), 0)
    scores = (weights["fc2.weight"][:, :, 0, 0] @ between + weights["fc2.bias"]).reshape(2, 4)
    share = np.exp(scores) / np.exp(scores).sum(0)
    expected = (share[:, :, None, None] * versions).sum(0)
    np.testing.assert_allclose(layer(image)[0].detach().numpy(), expected, atol=1e-10)


def test_split_attention_that_prefers_neither_takes_the_mean_of_both():
    layer = SplitAttention(4, 4).eval()
    torch.nn.init.zeros_(layer.fc2.weight)
    torch.nn.init.zeros_(layer.fc2.bias)
    image = torch.randn(2, 4, 6, 6)
    versions = F.relu(layer.bn0(layer.conv(image)))
    torch.testing.assert_close(layer(image), (versions[:, :4] + versions[:, 4:]) / 2)


def test_a_block_whose_last_norm_gives_nothing_is_its_shortcut():
    block = Bottleneck(16, 4, stride=1, attention=0)
    torch.nn.init.zeros_(block.bn3.weight)
    image = torch.rand(2, 16, 5, 5)
    torch.testing.assert_close(block(image), image)


@pytest.mark.parametrize("attention", [0, 4])
@pytest.mark.parametrize(("height", "halved"), [(8, 4), (9, 5), (1, 1)])
def test_a_stride_halves_a_picture_and_rounds_up(attention, height, halved):
    block = Bottleneck(6, 4, stride=2, attention=attention)
    assert block(torch.rand(2, 6, height, 12)).shape == (2, 16, halved, 6)


def test_strides_lie_in_the_middle_convolution_of_a_resnet_and_in_means_of_a_resnest():
    plain = Bottleneck(8, 4, stride=2, attention=0)
    assert (plain.conv1.stride, plain.conv2.stride) == ((1, 1), (2, 2))
    image = torch.rand(1, 8, 4, 4)
    split = Bottleneck(8, 4, stride=2, attention=4)
    means = image.reshape(1, 8, 2, 2, 2, 2).mean((3, 5))
    torch.testing.assert_close(split.downsample[0](image), means)
    assert split.conv2.conv.stride == (1, 1)


def test_a_block_of_cnn14_spreads_an_impulse_by_its_kernels():
    block = ConvBlock(1, 2).double().eval()
    with torch.no_grad():
        block.conv1.weight.copy_(torch.arange(18.0).reshape(2, 1, 3, 3))
        block.conv2.weight.zero_()
        block.conv2.weight[0, 1, 1, 1] = 1.0  # hands on the second channel
    impulse = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    impulse[0, 0, 3, 3] = 1.0
    made = block(impulse)[0]
    expected = np.zeros((7, 7))
    expected[2:5, 2:5] = np.arange(9.0, 18.0).reshape(3, 3)[::-1, ::-1] / (1 + 1e-5)
    np.testing.assert_allclose(made[0].detach(), expected, rtol=1e-6)
    assert not made[1].any()


def test_cnn14_is_fed_decibels_as_time_by_mel_and_adds_the_maximum_over_time_to_the_mean():
    torch.manual_seed(0)
    net = Cnn14(classes=3, width=1 / 32).eval()
    seen = {}
    net.conv_block1.register_forward_pre_hook(lambda _, given: seen.update(first=given[0]))
    net.conv_block6.register_forward_hook(lambda _, __, made: seen.update(last=made))
    energy = torch.rand(2, 64, 70) + 0.1
    energy[0, 5, 9] = 0.0
    with torch.no_grad():
        embedded = net(energy)
    assert seen["first"].shape == (2, 1, 70, 64)
    spread = np.sqrt(1 + 1e-5)
    assert float(seen["first"][0, 0, 9, 5]) == pytest.approx(-100 / spread)
    assert float(seen["first"][1, 0, 69, 63]) * spread == pytest.approx(
        10 * np.log10(float(energy[1, 63, 69])), abs=1e-4
    )
    assert seen["last"].shape == (2, 64, 2, 2)  # 70 frames and 64 bands, halved five times
    time = seen["last"].mean(3)
    torch.testing.assert_close(embedded, F.relu(net.fc1(time.max(2).values + time.mean(2))))


# What all six have in common.


def test_the_kinds_are_the_rows_of_the_thesiss_table():
    assert list(KINDS) == list(theses.published("M-T7.1").index[:6])


@each_kind
@pytest.mark.parametrize("samples", [1024, 16001])
def test_audio_of_any_length_gives_logits_from_an_embedding(kind, samples):
    model = small(kind, classes=5).eval()
    audio = hits(2, samples)
    embedded = model.embed(audio)
    head = getattr(model.network, model.network.HEAD)
    assert embedded.shape == (2, head.in_features)
    torch.testing.assert_close(model(audio), head(embedded))
    assert model(audio).shape == (2, 5)


@each_kind
def test_the_level_of_a_sound_does_not_matter_and_silence_is_no_error(kind):
    model, audio = small(kind).eval(), hits(4)
    loud = model(audio)
    torch.testing.assert_close(model(audio * 2**-10), loud, rtol=0, atol=0)
    torch.testing.assert_close(model(-0.3 * audio), model(-audio), rtol=1e-3, atol=1e-3)
    audio[1] = 0.0
    mixed = model(audio)
    assert bool(torch.isfinite(mixed).all())
    torch.testing.assert_close(mixed[0], loud[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", SPECTRAL)
@pytest.mark.parametrize("fill", ["pad", "repeat"])
def test_a_longer_input_is_the_spectrogram_with_silence_or_again_and_again(kind, fill):
    model, audio = small(kind, seconds=1.2, fill=fill).eval(), hits(2, 16000)
    sound = audio / audio.abs().amax(1, keepdim=True)
    energy = MEL.forward(sound).numpy()
    if fill == "pad":
        expected = np.concatenate([energy, np.zeros((2, 64, 121 - 51), np.float32)], axis=2)
    else:
        expected = np.tile(energy, 3)[..., :121]
    np.testing.assert_array_equal(model._energy(sound), expected)
    short = small(kind).eval()(audio)
    assert not torch.allclose(model(audio), short)
    torch.testing.assert_close(small(kind, seconds=0.4, fill=fill).eval()(audio), short)


def test_silence_that_is_added_lies_at_the_floor_of_every_network():
    audio = hits(2)
    raw, spec = small("CNN raw + spec", seconds=2.0)._heard(audio)
    (image,) = small("ResNet50", seconds=2.0)._heard(audio)
    torch.testing.assert_close(raw, audio / audio.abs().amax(1, keepdim=True))
    level = spec[..., 101:]
    assert (spec.shape, float(level.min()), float(level.max())) == ((2, 64, 201), -1.0, -1.0)
    assert float(spec.max()) == 1.0
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(image[0, :, 10, 150], -means / deviations, rtol=1e-5)
    np.testing.assert_allclose(image.amax((0, 2, 3)), (1 - means) / deviations, rtol=1e-5)
    torch.testing.assert_close(
        image[:, 0, :, :101] * 0.229 + 0.485, (spec[..., :101] + 1) / 2, rtol=1e-5, atol=1e-5
    )


@each_kind
def test_a_batch_is_learnt_and_every_parameter_takes_part(kind):
    model, audio, labels = small(kind, dropout=0.0), hits(), torch.arange(8)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for step in range(12):
        loss = F.cross_entropy(model(audio), labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            still = [n for n, p in model.named_parameters() if p.grad is None]
            assert still == []
            reached = {n: float(p.grad.abs().sum()) for n, p in model.named_parameters()}
            assert [n for n, size in reached.items() if not size > 0] == []
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.7 * losses[0]


@each_kind
def test_dropout_acts_on_the_last_layers_input_in_training_alone(kind):
    assert small(kind).drop.p == (0.5 if kind == "PANN CNN14" else 0.0)
    model, audio = small(kind, dropout=0.9), hits(4)
    assert model.drop.p == 0.9
    model.eval()
    torch.testing.assert_close(model(audio), model(audio))
    model.drop.train()
    assert not torch.equal(model(audio), model(audio))
    torch.testing.assert_close(model.embed(audio), model.embed(audio))


@each_kind
@pytest.mark.parametrize("width", [1e-6, 0.05])
def test_every_width_can_be_built_and_run(kind, width):
    model = classifier(kind, width=width).eval()
    assert model(hits(2, 2048)).shape == (2, 8)


def test_channels_are_scaled_to_even_numbers_of_two_or_more():
    assert [thinned(n, 1) for n in (16, 32, 64, 2048)] == [16, 32, 64, 2048]
    assert [thinned(64, width) for width in (1 / 16, 1 / 32, 1e-9, 0.05)] == [4, 2, 2, 4]
    net = ResNet(split=True, width=1 / 16)
    assert net.layer1[0].conv2.fc1.weight.shape == (4, 4, 1, 1)
    assert net.layer4[0].conv2.fc1.weight.shape == (16, 32, 1, 1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("CNN")])
def test_the_small_networks_are_small(kind):
    count = sum(p.numel() for p in classifier(kind).parameters())
    assert 30_000 <= count <= 65_000


def test_a_model_can_be_applied_to_many_rows():
    model = small("CNN raw")
    made = models.apply(model, lambda net, rows: net.embed(rows), hits(5).numpy(), batch=2)
    assert made.shape == (5, 32)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("resnet", {}, "kind must be one of CNN raw, CNN spec, .*PANN CNN14, not 'resnet'"),
        ("CNN raw", {"fill": "loop"}, "fill must be one of pad, repeat, not 'loop'"),
        ("CNN raw", {"width": 0}, "width must be above 0, not 0"),
        ("CNN raw", {"width": float("nan")}, "width must be above 0, not nan"),
    ],
)
def test_what_cannot_be_built_is_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        classifier(kind, **options)


@pytest.mark.parametrize("shape", [(2, 1023), (32000,), (2, 1, 32000)])
def test_audio_that_cannot_be_heard_is_refused(shape):
    message = re.escape(f"audio of shape {shape}: expected (batch, samples) with at least 1024")
    with pytest.raises(ValueError, match=message):
        small("CNN spec")(torch.zeros(shape))


# Published files.


def stored(kind: str, *, counted: bool = True) -> dict[str, torch.Tensor]:
    """What a published file holds, but of one value a tensor, which takes no room on disk."""
    made = {}
    for number, (name, shape) in enumerate(PUBLISHED[kind].items()):
        if not name.endswith("num_batches_tracked"):
            made[name] = torch.full((1,), number / 64).expand(shape)
        elif counted:
            made[name] = torch.tensor(number)
    return made


def written(path: Path, content: object, **options) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.fixture(scope="module")
def resnet() -> classifiers.AudioClassifier:
    return classifier("ResNet50")


def test_a_published_file_is_loaded_by_name_but_for_its_head_and_extractor(full, tmp_path):
    content, head = stored(full.kind), HEADS[full.kind]
    wrapped = {"iteration": 600_000, "model": content} if full.kind == "PANN CNN14" else content
    before = {k: v.clone() for k, v in full.network.state_dict().items() if head in k}
    load_published(full, written(tmp_path / "published.pth", wrapped))
    for name, tensor in full.network.state_dict().items():
        kept = before if name.startswith(f"{head}.") else content
        assert torch.equal(tensor, kept[name]), name


def test_an_old_file_that_does_not_count_batches_is_loaded(resnet, tmp_path):
    content = stored("ResNet50", counted=False)
    path = written(tmp_path / "old.pth", content, _use_new_zipfile_serialization=False)
    load_published(resnet, path)
    assert torch.equal(resnet.network.bn1.running_var, content["bn1.running_var"])
    assert int(resnet.network.bn1.num_batches_tracked) == 0


def refused(model: classifiers.AudioClassifier, path: Path) -> str:
    """The message of a load that is refused; the model is what it was before."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsFileError) as caught:
        load_published(model, path)
    assert str(path) in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"layer2.0.conv1.weight": torch.zeros(128, 256, 3, 3)},
            "layer2.0.conv1.weight is (128, 256, 3, 3) torch.float32 there and "
            "(128, 256, 1, 1) torch.float32 here",
        ),
        ({"bn1.bias": None}, "bn1.bias is missing there and (64,) torch.float32 here"),
        ({"bn9.bias": torch.zeros(3)}, "bn9.bias is (3,) torch.float32 there and missing here"),
        (
            {"bn1.bias": torch.zeros(64, dtype=torch.complex64)},
            "bn1.bias is (64,) torch.complex64 there and (64,) torch.float32 here",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(resnet, tmp_path, change, reason):
    content = {k: v for k, v in {**stored("ResNet50"), **change}.items() if v is not None}
    message = refused(resnet, written(tmp_path / "other.pth", content))
    assert message.endswith(
        f"is for another model: {reason}; a ResNet50 of width 1 takes torchvision's "
        "resnet50-0676ba61.pth"
    )


def test_the_file_of_another_kind_is_refused(resnet, tmp_path):
    message = refused(resnet, written(tmp_path / "a.pth", stored("ResNeSt50")))
    assert "conv1.weight is missing there and (64, 3, 7, 7) torch.float32 here" in message
    message = refused(resnet, written(tmp_path / "b.pth", {"model": stored("PANN CNN14")}))
    assert "conv1.weight is missing there" in message


def test_published_weights_are_refused_by_a_model_of_another_width(tmp_path):
    message = refused(small("ResNet50"), written(tmp_path / "a.pth", stored("ResNet50")))
    assert "conv1.weight is (64, 3, 7, 7) torch.float32 there and (4, 3, 7, 7)" in message
    assert "a ResNet50 of width 1 takes" in message


def test_a_kind_without_published_weights_says_so(tmp_path):
    message = refused(small("CNN raw"), tmp_path / "any.pth")
    assert "published for ResNet50, ResNeSt50, PANN CNN14, not for CNN raw" in message


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, zipped):
    content = {**stored("ResNet50"), "fc.bias": Malicious(tmp_path / "run")}
    path = written(tmp_path / "evil.pth", content, _use_new_zipfile_serialization=zipped)
    assert "holds code or objects beside tensors, which are never loaded" in refused(
        small("ResNet50"), path
    )
    assert not (tmp_path / "run").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "run").exists()  # it would have been


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path, zipped, share):
    content = stored("ResNet50")
    path = written(tmp_path / "cut.pth", content, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "is cut short or damaged" in refused(small("ResNet50"), path)


@pytest.mark.parametrize(
    "content", [{"model": 3}, [torch.zeros(3)], {"bn1.bias": 0.5}, {1: torch.zeros(3)}]
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    path = written(tmp_path / "list.pth", content)
    assert "doesn't hold tensors by their names" in refused(small("ResNet50"), path)


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path):
    model = small("ResNet50")
    assert "can't be read: No such file" in refused(model, tmp_path / "none.pth")
    assert "can't be read: Is a directory" in refused(model, tmp_path)
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    assert "is cut short or damaged" in refused(model, tmp_path / "page.pth")


# What a network begins with.


@pytest.fixture
def here(tmp_path, monkeypatch) -> str:
    """What `begin` calls the weights that come with the project, here for a narrow ResNet50."""
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(tmp_path))
    torch.manual_seed(1)
    tensors = classifier("ResNet50", width=1 / 16).state_dict()
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    made = weights.write(classifiers.FOLDER, "ResNet50", arrays, {})
    return f"here {made.card['sha256'][:12]}"


def test_a_network_begins_with_what_comes_for_its_width_or_as_is_asked(here):
    model, blank = small("ResNet50"), small("ResNet50")
    assert begin(model) == begin(model, "here") == model.began == here
    kept = weights.named(classifiers.FOLDER, "ResNet50").arrays()
    assert all(np.array_equal(t, kept[name]) for name, t in model.state_dict().items())
    assert begin(blank, "nothing") == "nothing"
    assert layers_of(model) != layers_of(blank)  # by which fits are told apart
    with pytest.raises(ValueError, match="one of auto, published, here, nothing, not 'x'"):
        begin(model, "x")


@pytest.mark.parametrize("options", [{"width": 1 / 8}, {"classes": 5}, {"kind": "PANN CNN14"}])
def test_a_network_of_another_size_begins_with_nothing(here, options):
    model = small(**{"kind": "ResNet50", **options})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert begin(model) == model.began == "nothing"
    for start in ("here", "published"):
        with pytest.raises(WeightsFileError, match=f"{model.kind} of width .* is '{start}'"):
            begin(model, start)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_published_file_comes_first_and_a_damaged_one_is_not_passed_over(resnet, here):
    content, path = stored("ResNet50"), paths.data() / "published" / "resnet50-0676ba61.pth"
    path.parent.mkdir(parents=True)
    written(path, content)
    assert re.fullmatch("published [0-9a-f]{12}", begin(resnet))
    assert torch.equal(resnet.network.bn1.running_var, content["bn1.running_var"])
    assert begin(small("ResNet50")) == here
    path.write_bytes(b"")
    with pytest.raises(WeightsFileError, match=r"resnet50-0676ba61\.pth is cut short or damaged"):
        begin(resnet)
