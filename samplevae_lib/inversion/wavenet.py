"""WaveNet as a vocoder: sound from mel bands, one sample after another.

van den Oord et al. 2016 (arXiv 1609.03499) with the conditioning of Shen et al. 2018 (Tacotron 2).
A sample is one of 256 values on a logarithmic scale (mu-law); of each the network says how likely
all 256 are, given the samples before it and the bands around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.inversion import wavenet_kernels as kernels
from samplevae_lib.inversion.short_time import fitting
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training.loop import Batch, Player, Schedule, Terms, train

VALUES = 256
RANGE_DB = 100.0  # of the bands, under each clip's loudest
_CROSSING = 4  # frames that a stretch between two of them is conditioned on
_CHUNK = 64  # sounds at a time, when their bands are computed


def dilations(layers: int, stacks: int) -> list[int]:
    """1, 2, 4, … in each stack."""
    if layers % stacks:
        raise ValueError(f"{layers} layers can't be divided into {stacks} stacks")
    return [2 ** (i % (layers // stacks)) for i in range(layers)]


def receptive_field(layers: int, stacks: int, kernel: int) -> int:
    """Samples that the next one depends on.

    24 layers in 4 stacks with a kernel of 3, as in the implementation that the thesis used
    (r9y9's), have 505: at 16 kHz the 31.5 ms that section 7.1.2 states.
    """
    return 1 + (kernel - 1) * sum(dilations(layers, stacks))


def companded(sound: Tensor) -> Tensor:
    """−1 … 1 on the logarithmic scale of mu-law, −1 … 1 as well; beyond is cut off."""
    cut = sound.clamp(-1, 1)
    return cut.sign() * torch.log1p((VALUES - 1) * cut.abs()) / math.log(VALUES)


def expanded(value: Tensor) -> Tensor:
    """What `companded` has made, back."""
    return value.sign() * torch.expm1(value.abs() * math.log(VALUES)) / (VALUES - 1)


def classes(sound: Tensor) -> Tensor:
    """The nearest of the values for each sample of −1 … 1, uint8."""
    return ((companded(sound) + 1) * ((VALUES - 1) / 2)).round().to(torch.uint8)


def values(chosen: Tensor) -> Tensor:
    """Classes as companded samples, −1 … 1, as the network takes them."""
    return chosen.float() * (2 / (VALUES - 1)) - 1


class Layer(nn.Module):
    """A causal dilated convolution, gated; what it adds to the state, and to the output."""

    def __init__(
        self, dilation: int, *, kernel: int, residual: int, gate: int, skip: int, local: int
    ):
        super().__init__()
        self.before = dilation * (kernel - 1)
        self.convolution = nn.Conv1d(residual, gate, kernel, dilation=dilation)
        self.local = nn.Conv1d(local, gate, 1, bias=False)
        self.exit = nn.Conv1d(gate // 2, residual + skip, 1)
        self.sizes = (residual, skip)

    def forward(self, state: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
        """state (clips, residual, samples), local (clips, local, stretches) → both of both."""
        mixed = self.convolution(F.pad(state, (self.before, 0)))
        by_stretch = mixed.unflatten(2, (local.shape[2], -1))
        mixed = (by_stretch + self.local(local).unsqueeze(3)).flatten(2)
        inner, gate = mixed.chunk(2, dim=1)
        onward, skipped = self.exit(inner.tanh() * gate.sigmoid()).split(self.sizes, dim=1)
        return (state + onward) * math.sqrt(0.5), skipped


class WaveNet(nn.Module):
    """Mel bands and the samples so far → how likely each value of the next sample is.

    The sizes are the defaults of the implementation that the thesis used; of the `gate` channels
    half are multiplied by the sigmoid of the others. Frames lie a hop apart; a learned convolution
    over the four around a stretch between two of them conditions all its samples alike.
    """

    peak: Tensor

    def __init__(
        self,
        spec: Spectrogram,
        *,
        layers: int = 24,
        stacks: int = 4,
        kernel: int = 3,
        residual: int = 512,
        gate: int = 512,
        skip: int = 256,
        local: int = 128,
    ):
        super().__init__()
        if spec.kind != "mel" or gate % 2:
            raise ValueError(
                f"a {spec.kind} spectrogram and {gate} gate channels: expected mel, and an even "
                "number"
            )
        self.spec, self.dilations = spec, dilations(layers, stacks)
        self.between = nn.Conv1d(spec.n_mels, local, _CROSSING, padding=_CROSSING // 2 - 1)
        self.entrance = nn.Conv1d(1, residual, 1)
        sizes = {"kernel": kernel, "residual": residual, "gate": gate, "skip": skip}
        self.layers = nn.ModuleList(Layer(d, local=local, **sizes) for d in self.dilations)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, VALUES, 1)
        )
        # Of a sound whose loudest band is one; bands alone don't tell, so training measures it.
        self.register_buffer("peak", torch.ones(()))

    def extra_repr(self) -> str:
        """What the weights don't tell."""
        return str(self.spec)

    def features(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """(clips, n_mels, frames) → 0 (100 dB down) … 1 (each clip's loudest), same shape.

        And the level that a generated sound, within −1 … 1, is to be multiplied by, (clips, 1); it
        is zero for silence.
        """
        magnitudes = bands ** (1 / self.spec.power)
        loudest = magnitudes.amax((1, 2), keepdim=True)
        share = magnitudes / torch.where(loudest > 0, loudest, torch.ones_like(loudest))
        least = 10 ** (-RANGE_DB / 20)
        features = 1 + share.clamp(min=least).log10() * (20 / RANGE_DB)
        return features, self.peak.to(loudest) * loudest[:, :, 0]

    def forward(self, sound: Tensor, features: Tensor) -> Tensor:
        """Companded samples (clips, hop · (frames − 1)) and features (clips, n_mels, frames).

        → logits (clips, 256, samples): each of a sample, given only those before it.
        """
        return self.logits(sound, self.between(features))

    def logits(self, sound: Tensor, local: Tensor) -> Tensor:
        """The same, with what `between` made of the features, (clips, local, stretches)."""
        before = F.pad(sound, (1, 0))[:, None, :-1]
        state, skips = self.entrance(before), 0.0
        for layer in self.layers:
            state, skipped = layer(state, local)
            skips = skips + skipped
        return self.head(skips * math.sqrt(1 / len(self.layers)))

    @torch.no_grad()
    def generate(self, features: Tensor, *, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Features (clips, n_mels, frames) → sounds within −1 … 1, (clips, hop · (frames − 1))."""
        if temperature <= 0:
            raise ValueError(f"temperature {temperature}: expected more than 0")
        local = self.between(features)
        shape = (self.spec.hop * local.shape[2], len(features))
        draws = np.random.default_rng(seed).random(shape, dtype=np.float32)
        chosen, _ = kernels.generate(self.tables(local), draws, np.float32(1 / temperature))
        return expanded(values(torch.from_numpy(chosen.T)))

    def tables(self, local: Tensor) -> kernels.Tables:
        """The weights as generation reads them, and `local` as each layer adds it."""
        layers = list(self.layers)
        added = [layer.local(local) + layer.convolution.bias[:, None] for layer in layers]
        head, last = self.head[1], self.head[3]
        tables = {
            "taps": torch.stack([layer.convolution.weight.permute(2, 1, 0) for layer in layers]),
            "local": torch.stack(added).permute(0, 3, 1, 2),
            "exits": torch.stack([layer.exit.weight[..., 0].T for layer in layers]),
            "exit_biases": torch.stack([layer.exit.bias for layer in layers]),
            "entrance": torch.stack([self.entrance.weight[:, 0, 0], self.entrance.bias]),
            "head": head.weight[..., 0].T, "head_bias": head.bias,
            "last": last.weight[..., 0].T, "last_bias": last.bias,
            "dilations": torch.tensor(self.dilations),
        }  # fmt: skip
        arrays = {name: t.detach().cpu().contiguous().numpy() for name, t in tables.items()}
        return kernels.Tables(**arrays, hop=self.spec.hop)


def likelihood(stretches: int) -> Terms:
    """surprise: nats that a sample costs, mean over crops of so many stretches between frames.

    The samples before are the true ones. Before a crop is nothing, as before a sound: a sample near
    its start is predicted from fewer than the network could see.
    """

    def terms(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        chosen, features = batch  # (clips, samples) uint8, (clips, n_mels, frames)
        local = model.between(features)
        starts = torch.randint(local.shape[2] - stretches + 1, (len(chosen), 1, 1))
        places = starts.to(local.device) + torch.arange(stretches, device=local.device)
        local = local.gather(2, places.expand(-1, local.shape[1], -1))
        by_stretch = chosen.unflatten(1, (-1, model.spec.hop))
        places = places.transpose(1, 2).expand(-1, -1, model.spec.hop)
        crop = by_stretch.gather(1, places).flatten(1)
        return {"surprise": F.cross_entropy(model.logits(values(crop), local), crop.long())}

    return terms


def train_wavenet(
    model: WaveNet,
    data: np.ndarray | Sequence[np.ndarray],
    *,
    seed: int,
    checkpoint: Path | None = None,
    epochs: int,
    batch: int,
    stretches: int = 16,
    rate: float = 1e-3,
    clip: float = 1.0,
    held_out: int = 0,
) -> pd.DataFrame:
    """Train on sounds (clips, samples), alone or first in a tuple; returns the history.

    An epoch sees one crop of every sound, so many stretches (hops) long. held_out: so many sounds
    at the end are only judged. clip: longest gradient. The rate follows half a cosine to zero.
    """
    sounds = np.asarray(data[0] if isinstance(data, list | tuple) else data, np.float32)
    chosen, features = prepared(model, torch.from_numpy(sounds))
    kept = len(sounds) - held_out
    return train(
        model,
        (chosen[:kept], features[:kept]),
        players={"wavenet": Player(likelihood(stretches), {"surprise": 1.0}, rate=rate)},
        schedule=Schedule(epochs, batch, clip=clip, anneal=True),
        validation=(chosen[kept:], features[kept:]) if held_out else None,
        seed=seed,
        checkpoint=checkpoint,
    )


def prepared(model: WaveNet, sounds: Tensor) -> tuple[Tensor, Tensor]:
    """Classes (clips, hop · (frames − 1)) and features; the model's `peak` is measured on the way.

    Each sound is divided by its loudest band, and by what then is the highest peak of all.
    """
    bands = torch.cat([model.spec.forward(part) for part in sounds.split(_CHUNK)])
    model.peak.fill_(1.0)
    features, level = model.features(bands.cpu())
    level = torch.where(level > 0, level, torch.ones_like(level))
    highest = (sounds.abs().amax(1, keepdim=True) / level).max()
    model.peak.fill_(float(highest) or 1.0)
    samples = model.spec.hop * (bands.shape[2] - 1)
    return classes(sounds[:, :samples] / (level * model.peak)), features


@torch.no_grad()
def rebuild(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: nn.Module | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Mel bands (clips, n_mels, frames) → (clips, samples), drawn sample by sample.

    network: a trained `models.wavenet.WaveNet`. temperature: below 1 the likelier values are drawn
    more often. The bands are seen relative to each clip's loudest; the sound gets its level back.
    """
    network = fitting(network, spec, "wavenet", "WaveNet")
    features, level = network.features(spectrum)
    return level * network.generate(features, seed=seed, temperature=temperature)
