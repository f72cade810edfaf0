"""ResNet-50 (He et al. 2016) and ResNeSt-50 (Zhang et al. 2020), at any width.

At width 1 names and shapes are those of the published weights: torchvision's `resnet50-….pth`
(version 1.5, whose strides lie in the 3×3 convolutions) and the authors' `resnest50-528c19ca.pth`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks, and the channels within each
EXPANSION = 4  # channels that leave a block, for each within
RADIX = 2  # versions of a channel that split attention mixes


def thinned(channels: int, width: float) -> int:
    """Channels times width, to the nearest even number (RADIX has to divide it), at least two."""
    return 2 * max(1, round(channels * width / 2))


def convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, *, groups: int = 1
) -> nn.Conv2d:
    """One of pictures, without bias, that keeps their size or divides it by the stride."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


class SplitAttention(nn.Module):
    """A 3×3 convolution to two versions of each channel, mixed by weights that sum to one.

    Two dense layers, with so many channels `between` them, find the weights from the mean of both
    versions over the picture.
    """

    def __init__(self, channels: int, between: int):
        super().__init__()
        self.conv = convolution(channels, RADIX * channels, 3, groups=RADIX)
        self.bn0 = nn.BatchNorm2d(RADIX * channels)
        self.fc1, self.bn1 = nn.Conv2d(channels, between, 1), nn.BatchNorm2d(between)
        self.fc2 = nn.Conv2d(between, RADIX * channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(batch, channels, height, width) → the same shape."""
        versions = F.relu(self.bn0(self.conv(image))).unflatten(1, (RADIX, -1))
        mean = versions.sum(1).mean((-2, -1), keepdim=True)
        weights = self.fc2(F.relu(self.bn1(self.fc1(mean)))).unflatten(1, (RADIX, -1)).softmax(1)
        return (weights * versions).sum(1)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution beside a shortcut, from `inputs` to 4 · planes channels.

    stride: 1, or 2 to halve the picture. attention: the least number of channels between the
    layers of split attention, which takes the place of the 3×3 convolution; 0 for a plain ResNet.
    """

    def __init__(self, inputs: int, planes: int, *, stride: int, attention: int):
        super().__init__()
        outputs = EXPANSION * planes
        self.conv1, self.bn1 = convolution(inputs, planes, 1), nn.BatchNorm2d(planes)
        if attention:
            self.conv2 = SplitAttention(planes, max(planes // 2, attention))
            self.bn2 = nn.Identity()
            self.after = nn.AvgPool2d(3, stride, 1) if stride > 1 else nn.Identity()
        else:
            self.conv2, self.bn2 = convolution(planes, planes, 3, stride), nn.BatchNorm2d(planes)
            self.after = nn.ReLU()
        self.conv3, self.bn3 = convolution(planes, outputs, 1), nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if inputs != outputs or stride > 1:  # a ResNeSt halves by means
            means = [nn.AvgPool2d(stride, stride, ceil_mode=True)] if attention else []
            mapped = convolution(inputs, outputs, 1, 1 if attention else stride)
            self.downsample = nn.Sequential(*means, mapped, nn.BatchNorm2d(outputs))

    def forward(self, image: Tensor) -> Tensor:
        """(batch, inputs, height, width) → (batch, 4 · planes, height / stride, …)."""
        state = F.relu(self.bn1(self.conv1(image)))
        state = self.after(self.bn2(self.conv2(state)))
        return F.relu(self.bn3(self.conv3(state)) + self.downsample(image))


class ResNet(nn.Module):
    """Images (batch, 3, height, width) → (batch, 2048 · width), the mean over the last picture.

    split: a ResNeSt-50, with split attention and three convolutions at the entrance. width scales
    the channels. fc: the layer that makes logits of `classes` of them.
    """

    HEAD = "fc"

    def __init__(self, *, split: bool = False, classes: int = 1000, width: float = 1.0):
        super().__init__()
        narrow, channels = thinned(32, width), thinned(64, width)
        self.conv1 = _stem(narrow, channels) if split else convolution(3, channels, 7, 2)
        self.bn1 = nn.BatchNorm2d(channels)
        for stage, (depth, planes) in enumerate(STAGES, 1):
            blocks, inner = [], thinned(planes, width)
            for block in range(depth):
                stride = 2 if stage > 1 and block == 0 else 1
                attention = max(4, narrow) if split else 0
                blocks.append(Bottleneck(channels, inner, stride=stride, attention=attention))
                channels = EXPANSION * inner
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        state = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(state)))).mean((-2, -1))


def _stem(narrow: int, wide: int) -> nn.Sequential:
    return nn.Sequential(
        convolution(3, narrow, 3, 2), nn.BatchNorm2d(narrow), nn.ReLU(),
        convolution(narrow, narrow, 3), nn.BatchNorm2d(narrow), nn.ReLU(),
        convolution(narrow, wide, 3),
    )  # fmt: skip
