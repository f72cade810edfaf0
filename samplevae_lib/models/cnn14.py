"""CNN14 of the pretrained audio neural networks, PANNs (Kong et al. 2020), at any width.

At width 1 names and shapes are those of the published weights, `Cnn14_mAP=0.431.pth`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.models.resnet import convolution, thinned

CHANNELS = (64, 128, 256, 512, 1024, 2048)
MELS = 64
LEAST_FRAMES = 32  # of which one is left after halving five times


class ConvBlock(nn.Module):
    """Two 3×3 convolutions: (batch, inputs, frames, mels) → (batch, outputs, frames, mels)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1, self.conv2 = convolution(inputs, outputs, 3), convolution(outputs, outputs, 3)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, image: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(image))))))


class Cnn14(nn.Module):
    """Mel energies (batch, 64, frames), a frame each 10 ms → (batch, 2048 · width).

    width scales the channels. fc_audioset: the layer that makes logits of `classes` of them. As
    published, a fifth is left out behind each block and half before the dense layer in training;
    but spectrograms are neither masked nor mixed here, as they were for PANNs.
    """

    HEAD = "fc_audioset"

    def __init__(self, *, classes: int = 527, width: float = 1.0):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(MELS)
        inputs = 1
        for number, channels in enumerate(CHANNELS, 1):
            outputs = thinned(channels, width)
            self.add_module(f"conv_block{number}", ConvBlock(inputs, outputs))
            inputs = outputs
        self.fc1, self.fc_audioset = nn.Linear(inputs, inputs), nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, energy: Tensor) -> Tensor:
        energy = F.pad(energy, (0, max(0, LEAST_FRAMES - energy.shape[-1])))
        levels = 10 * energy.clamp(min=1e-10).log10()
        state = self.bn0(levels.unsqueeze(3)).transpose(1, 3)  # (batch, 1, frames, 64)
        for number in range(1, len(CHANNELS) + 1):
            state = self.get_submodule(f"conv_block{number}")(state)
            halved = F.avg_pool2d(state, 2) if number < len(CHANNELS) else state
            state = F.dropout(halved, 0.2, self.training)
        bands = state.mean(3)
        pooled = F.dropout(bands.amax(2) + bands.mean(2), 0.5, self.training)
        return F.relu(self.fc1(pooled))
