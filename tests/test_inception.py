"""InceptionV3: torchvision's names and shapes, its numbers, and the file that is looked for."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from samplevae_lib import paths
from samplevae_lib.models import inception
from samplevae_lib.models.inception import Convolution, InceptionV3, Mixed, features
from samplevae_lib.models.published import WeightsFileError

# The convolutions of torchvision.models.inception_v3: outputs × inputs × height × width of each.
CONVOLUTIONS = """
Conv2d_1a_3x3: 32×3×3×3
Conv2d_2a_3x3: 32×32×3×3
Conv2d_2b_3x3: 64×32×3×3
Conv2d_3b_1x1: 80×64×1×1
Conv2d_4a_3x3: 192×80×3×3
Mixed_5b: branch1x1 64×192×1×1, branch5x5_1 48×192×1×1, branch5x5_2 64×48×5×5,
    branch3x3dbl_1 64×192×1×1, branch3x3dbl_2 96×64×3×3, branch3x3dbl_3 96×96×3×3,
    branch_pool 32×192×1×1
Mixed_5c: branch1x1 64×256×1×1, branch5x5_1 48×256×1×1, branch5x5_2 64×48×5×5,
    branch3x3dbl_1 64×256×1×1, branch3x3dbl_2 96×64×3×3, branch3x3dbl_3 96×96×3×3,
    branch_pool 64×256×1×1
Mixed_5d: branch1x1 64×288×1×1, branch5x5_1 48×288×1×1, branch5x5_2 64×48×5×5,
    branch3x3dbl_1 64×288×1×1, branch3x3dbl_2 96×64×3×3, branch3x3dbl_3 96×96×3×3,
    branch_pool 64×288×1×1
Mixed_6a: branch3x3 384×288×3×3, branch3x3dbl_1 64×288×1×1, branch3x3dbl_2 96×64×3×3,
    branch3x3dbl_3 96×96×3×3
Mixed_6b: branch1x1 192×768×1×1, branch7x7_1 128×768×1×1, branch7x7_2 128×128×1×7,
    branch7x7_3 192×128×7×1, branch7x7dbl_1 128×768×1×1, branch7x7dbl_2 128×128×7×1,
    branch7x7dbl_3 128×128×1×7, branch7x7dbl_4 128×128×7×1, branch7x7dbl_5 192×128×1×7,
    branch_pool 192×768×1×1
Mixed_6c: branch1x1 192×768×1×1, branch7x7_1 160×768×1×1, branch7x7_2 160×160×1×7,
    branch7x7_3 192×160×7×1, branch7x7dbl_1 160×768×1×1, branch7x7dbl_2 160×160×7×1,
    branch7x7dbl_3 160×160×1×7, branch7x7dbl_4 160×160×7×1, branch7x7dbl_5 192×160×1×7,
    branch_pool 192×768×1×1
Mixed_6d: branch1x1 192×768×1×1, branch7x7_1 160×768×1×1, branch7x7_2 160×160×1×7,
    branch7x7_3 192×160×7×1, branch7x7dbl_1 160×768×1×1, branch7x7dbl_2 160×160×7×1,
    branch7x7dbl_3 160×160×1×7, branch7x7dbl_4 160×160×7×1, branch7x7dbl_5 192×160×1×7,
    branch_pool 192×768×1×1
Mixed_6e: branch1x1 192×768×1×1, branch7x7_1 192×768×1×1, branch7x7_2 192×192×1×7,
    branch7x7_3 192×192×7×1, branch7x7dbl_1 192×768×1×1, branch7x7dbl_2 192×192×7×1,
    branch7x7dbl_3 192×192×1×7, branch7x7dbl_4 192×192×7×1, branch7x7dbl_5 192×192×1×7,
    branch_pool 192×768×1×1
AuxLogits: conv0 128×768×1×1, conv1 768×128×5×5
Mixed_7a: branch3x3_1 192×768×1×1, branch3x3_2 320×192×3×3, branch7x7x3_1 192×768×1×1,
    branch7x7x3_2 192×192×1×7, branch7x7x3_3 192×192×7×1, branch7x7x3_4 192×192×3×3
Mixed_7b: branch1x1 320×1280×1×1, branch3x3_1 384×1280×1×1, branch3x3_2a 384×384×1×3,
    branch3x3_2b 384×384×3×1, branch3x3dbl_1 448×1280×1×1, branch3x3dbl_2 384×448×3×3,
    branch3x3dbl_3a 384×384×1×3, branch3x3dbl_3b 384×384×3×1, branch_pool 192×1280×1×1
Mixed_7c: branch1x1 320×2048×1×1, branch3x3_1 384×2048×1×1, branch3x3_2a 384×384×1×3,
    branch3x3_2b 384×384×3×1, branch3x3dbl_1 448×2048×1×1, branch3x3dbl_2 384×448×3×3,
    branch3x3dbl_3a 384×384×1×3, branch3x3dbl_3b 384×384×3×1, branch_pool 192×2048×1×1
"""


def published() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in torchvision's file, in their order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block, listed in re.findall(r"^(\w+): (.*(?:\n    .*)*)", CONVOLUTIONS, re.MULTILINE):
        for entry in listed.split(","):
            *branch, size = entry.split()
            at, shape = ".".join([block, *branch]), tuple(map(int, size.split("×")))
            shapes[f"{at}.conv.weight"] = shape
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{at}.bn.{part}"] = shape[:1]
            shapes[f"{at}.bn.num_batches_tracked"] = ()
    for head, inputs in (("AuxLogits.fc", 768), ("fc", 2048)):
        shapes |= {f"{head}.weight": (1000, inputs), f"{head}.bias": (1000,)}
    return shapes


PUBLISHED = published()
LEARNT = re.compile(r"(conv\.weight|bn\.weight|bias|fc\.weight)$")


def weights() -> dict[str, torch.Tensor]:
    """Arbitrary weights under the published names, the same every time."""
    rng, made = np.random.default_rng(0), {}
    for name, shape in sorted(PUBLISHED.items()):
        if len(shape) > 1:
            scale = np.sqrt(2 / prod(shape[1:]))
            values = scale * rng.standard_normal(shape, dtype=np.float32)
        elif name.endswith(("bn.weight", "running_var")):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.uniform(-0.1, 0.1, shape)
        counts = name.endswith("num_batches_tracked")
        made[name] = torch.tensor(values, dtype=torch.int64 if counts else torch.float32)
    return made


def spectrograms(items: int = 3) -> np.ndarray:
    """(items, 128, 250), 0 … 1: partials that fade, of another pitch each."""
    rows, columns = np.mgrid[:128, :250]
    tones = [np.cos(rows * np.pi / (7 + 4 * item)) ** 2 for item in range(items)]
    return np.array(tones) * np.exp(-columns / 80)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file such as torchvision's, with arbitrary weights."""
    path = tmp_path_factory.mktemp("published") / "stored.pth"
    torch.save(weights(), path)
    return path


@pytest.fixture
def place() -> Path:
    """Where the file is looked for."""
    path = paths.data() / "published" / "inception_v3_google-0cc3c7bd.pth"
    path.parent.mkdir(parents=True)
    return path


# The published file.


def test_the_list_of_tensors_comes_to_the_published_number_of_parameters_and_fills_the_file():
    assert sum(prod(PUBLISHED[name]) for name in PUBLISHED if LEARNT.search(name)) == 27_161_264
    stored = sum(4 * prod(shape) for shape in PUBLISHED.values())
    assert 0 < 108_949_747 - stored < 200_000  # bytes that are left for names and shapes


def test_the_network_has_the_published_names_and_shapes_but_for_what_makes_classes():
    ours = {name: tuple(tensor.shape) for name, tensor in InceptionV3().state_dict().items()}
    heads = ("fc.", "AuxLogits.")
    assert ours == {k: v for k, v in PUBLISHED.items() if not k.startswith(heads)}


def test_features_are_those_that_torchvision_computes(stored, place):
    place.symlink_to(stored)
    found = features(spectrograms())
    assert (found.shape, found.dtype) == ((3, 2048), np.float32)
    # Of torchvision 0.29.1's inception_v3(transform_input=True) with these weights, without fc, on
    # the spectrograms resized to 299 × 299 (bilinear, no antialias) and scaled as for ImageNet.
    expected = [
        [4.44459, 0.64207, 0.21840, 1.00102, 3.62933],
        [3.72077, 0.59222, 0.29712, 0.87849, 2.67539],
        [3.48110, 0.58059, 0.29895, 0.73037, 2.92894],
    ]
    np.testing.assert_allclose(found[:, ::500], expected, rtol=1e-3)
    np.testing.assert_allclose(found.mean(1), [8.2508, 8.1478, 7.9015], rtol=1e-3)
    np.testing.assert_allclose(features(spectrograms(2), batch=1), found[:2], rtol=1e-3, atol=1e-3)


def test_a_file_without_heads_and_counts_will_do_and_is_read_anew_when_it_changes(stored, place):
    content = torch.load(stored)
    left_out = ("AuxLogits.", "fc.")
    bare = {
        name: tensor for name, tensor in content.items()
        if not name.startswith(left_out) and not name.endswith("num_batches_tracked")
    }  # fmt: skip
    torch.save(bare, place)
    black = np.zeros((1, 75, 75))
    first = features(black)
    torch.save(bare | {"Mixed_7c.branch_pool.bn.bias": torch.full((192,), 1e3)}, place)
    second = features(black)
    np.testing.assert_array_equal(second[:, :-192], first[:, :-192])
    assert second[:, -192:].min() > 500 > first[:, -192:].max()


def test_a_file_that_is_not_there_is_named_with_where_it_belongs_and_comes_from(place):
    assert not inception.available()
    message = f"{place} is missing: .*https://download.pytorch.org/models/{place.name}"
    with pytest.raises(WeightsFileError, match=message):
        features(spectrograms())


def test_a_file_that_is_damaged_or_anothers_is_refused(stored, place):
    place.write_bytes(stored.read_bytes()[:1000])
    assert inception.available()
    takes = f"InceptionV3 takes torchvision's {place.name}"
    with pytest.raises(WeightsFileError, match=f"{place} is cut short or damaged.*{takes}"):
        features(spectrograms())
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 3, 3)}, place)
    missing = r"Conv2d_1a_3x3.bn.weight is missing there and \(32,\) torch.float32 here"
    with pytest.raises(WeightsFileError, match=missing):
        features(spectrograms())


# What it is shown.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((128, 250)), r"spectrograms \(128, 250\) from 0 to 0: expected \(items, rows"),
        (np.full((2, 9, 9), -1e-3), r"from -0.001 to -0.001: expected .* from 0 to 1"),
        (np.full((2, 9, 9), 80), "from 80 to 80: .*; scale all sets alike"),
        (np.full((2, 9, 9), np.nan), "from nan to nan"),
        (np.zeros((0, 9, 9)), r"spectrograms \(0, 9, 9\)"),
    ],
)
def test_what_is_no_set_of_spectrograms_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        features(given)


def test_a_picture_has_the_size_and_the_range_that_the_network_learnt_from():
    ramp = torch.linspace(0, 1, 598).expand(2, 40, -1)
    made = inception._pictures(ramp)
    assert made.shape == (2, 3, 299, 299)
    assert torch.equal(made[:, 0], made[:, 1])
    assert torch.equal(made[:, 0], made[:, 2])
    halved = ramp[0, 0].reshape(299, 2).mean(1)  # of twice the size two neighbours count alike
    torch.testing.assert_close(made[1, 2, 7], 2 * halved - 1)
    torch.testing.assert_close(inception._pictures(torch.ones(1, 9, 9)), torch.ones(1, 3, 299, 299))


# The arithmetic of the layers.


def plain(layer: torch.nn.Module) -> torch.nn.Module:
    """Every kernel sums up what it sees, and no normalisation changes anything."""
    for part in layer.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.ones_(part.weight)
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eps = 0.0
    return layer.eval()


def test_a_convolution_is_normalised_with_its_own_epsilon_and_never_negative():
    layer = Convolution(1, 1, 1).eval()
    torch.nn.init.ones_(layer.conv.weight)
    layer.bn.running_mean.fill_(1.0)
    layer.bn.running_var.fill_(0.003)
    image = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    expected = torch.tensor([[[[0.0, 0.0, 2 / 0.004**0.5]]]])
    torch.testing.assert_close(layer(image), expected)


def test_a_padded_convolution_keeps_the_size_and_another_does_not():
    image = torch.ones(1, 1, 4, 5)
    assert plain(Convolution(1, 2, (1, 7)))(image).shape == (1, 2, 4, 5)
    assert plain(Convolution(1, 2, 3, pad=False))(image).shape == (1, 2, 2, 3)
    made = plain(Convolution(1, 1, 3))(image)[0, 0]
    assert made[0, 0] == 4
    assert made[1, 1] == 9


def test_branches_lie_side_by_side_and_the_mean_counts_the_border_as_zeros():
    block = plain(Mixed(1, {"one": [(2, 1)], "two": [(1, 1), (1, inception.CROSS)]}, 1))
    assert {name.partition(".")[0] for name in block.state_dict()} == {
        "one", "two_1", "two_2a", "two_2b", "branch_pool",
    }  # fmt: skip
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    made = block(image)[0]
    assert (made.shape, block.outputs) == ((5, 3, 4), 5)
    assert torch.equal(made[:2], image[0].expand(2, -1, -1))
    assert made[2, 1, 1] == 4 + 5 + 6  # across
    assert made[3, 1, 1] == 1 + 5 + 9  # down
    assert float(made[4, 0, 0].detach()) == pytest.approx((0 + 1 + 4 + 5) / 9)


def test_a_block_that_halves_takes_every_second_place_and_the_maximum_of_nine():
    block = plain(Mixed(1, {"one": [(1, 1), (1, 3)]}, 0))
    image = torch.arange(49.0).reshape(1, 1, 7, 7)
    made = block(image)[0]
    assert (made.shape, block.outputs) == ((2, 3, 3), 2)
    assert torch.equal(made[0], 9 * image[0, 0, 1::2, 1::2])
    assert torch.equal(made[1], image[0, 0, 2::2, 2::2])


def test_the_mean_over_the_last_picture_is_what_comes_out():
    net, seen = InceptionV3().eval(), {}
    for name in ("Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"):
        part = net.get_submodule(name)
        part.register_forward_hook(lambda _, __, made, name=name: seen.update({name: made}))
    with torch.no_grad():
        made = net(torch.zeros(1, 3, 299, 299))
    assert {name: tuple(state.shape[1:]) for name, state in seen.items()} == {
        "Conv2d_4a_3x3": (192, 71, 71), "Mixed_5d": (288, 35, 35), "Mixed_6e": (768, 17, 17),
        "Mixed_7c": (2048, 8, 8),
    }  # fmt: skip
    torch.testing.assert_close(made, F.adaptive_avg_pool2d(seen["Mixed_7c"], 1).flatten(1))
