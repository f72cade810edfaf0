"""WaveNet as a vocoder: sound from mel bands, one sample after another.

van den Oord et al. 2016 (arXiv 1609.03499) with the conditioning of Shen et al. 2018 (Tacotron 2).
A sample is one of 256 values on a logarithmic scale (mu-law); for each sample the network says how
likely all 256 are, given the samples before it and the bands around it. `rebuild` draws by that;
`wavenet_kernels` makes the draw fast; `train_wavenet` trains.
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
from samplevae_lib.inversion.short_time import ready_network
from samplevae_lib.spectral import Spectrogram, decibels
from samplevae_lib.training.loop import Batch, Terms, train_model

VALUES = 256
RANGE_DB = 100.0  # of the bands, under each clip's loudest
_CROSSING = 4  # frames that a stretch between two of them is conditioned on
_CHUNK = 64  # sounds at a time, when their bands are computed


@torch.no_grad()
def rebuild(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: nn.Module | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Mel bands (clips, n_mels, frames) → (clips, samples), drawn sample by sample (by `seed`).

    network: a trained `WaveNet`. temperature: above 0; below 1 the likelier values are drawn more
    often. The network sees bands relative to each clip's loudest; the sound gets its level back.
    """
    network = ready_network(network, WaveNet, spec, "wavenet")
    features, level = network.features(spectrum)
    return level * network.generate(features, seed=seed, temperature=temperature)


class WaveNet(nn.Module):
    """Mel bands and the samples so far → how likely each value of the next sample is.

    layers: in `stacks`, in each of which dilations double. kernel: samples of a convolution.
    residual, skip, local: channels of the state, of what goes to the output, of the bands; gate:
    before the gate, where half of them are multiplied by the sigmoid of the others. The defaults
    are those of the implementation that the thesis used. Frames lie a hop apart; a learned
    convolution over the four around a stretch between two of them conditions all its samples alike.
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
        # The highest peak of sounds whose loudest band is 1: measured before training.
        self.register_buffer("peak", torch.ones(()))

    def extra_repr(self) -> str:
        """The spectrogram it is made for: part of what a fit is known by."""
        return str(self.spec)

    def features(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Bands (clips, n_mels, frames) → what the network sees of them, and each clip's level.

        The first, of the same shape: 0 (100 dB below the clip's loudest band) … 1 (the loudest).
        The second, (clips, 1): what to multiply a generated sound within −1 … 1 by; 0 for silence.
        """
        below = decibels(bands, power=self.spec.power, floor=-RANGE_DB)
        loudest = below.reference[:, :, 0] ** (1 / self.spec.power)
        return 1 + below.level / RANGE_DB, self.peak.to(loudest) * loudest

    def forward(self, sound: Tensor, features: Tensor) -> Tensor:
        """Logits (clips, 256, samples) of each sample, given only the samples before it.

        sound: companded samples (clips, hop · (frames − 1)). features: (clips, n_mels, frames).
        """
        return self.logits(sound, self.between(features))

    def logits(self, sound: Tensor, local: Tensor) -> Tensor:
        """What `forward` gives, from local = between(features), (clips, local, stretches)."""
        before = F.pad(sound, (1, 0))[:, None, :-1]
        state, skips = self.entrance(before), 0.0
        for layer in self.layers:
            state, skipped = layer(state, local)
            skips = skips + skipped
        return self.head(skips * math.sqrt(1 / len(self.layers)))

    @torch.no_grad()
    def generate(self, features: Tensor, *, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Features (clips, n_mels, frames) → sounds within −1 … 1, (clips, hop · (frames − 1)).

        temperature: logits are divided by it before a value is drawn.
        """
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


class Layer(nn.Module):
    """A causal dilated convolution, gated; it adds to the state and to the output."""

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
        """The next state and what is added to the output, both (clips, channels, samples).

        state: (clips, residual, samples). local: (clips, local, stretches).
        """
        mixed = self.convolution(F.pad(state, (self.before, 0)))
        by_stretch = mixed.unflatten(2, (local.shape[2], -1))
        mixed = (by_stretch + self.local(local).unsqueeze(3)).flatten(2)
        inner, gate = mixed.chunk(2, dim=1)
        onward, skipped = self.exit(inner.tanh() * gate.sigmoid()).split(self.sizes, dim=1)
        return (state + onward) * math.sqrt(0.5), skipped


def dilations(layers: int, stacks: int) -> list[int]:
    """The dilation of each layer: 1, 2, 4, … in each stack."""
    if layers % stacks:
        raise ValueError(f"{layers} layers can't be divided into {stacks} stacks")
    return [2 ** (i % (layers // stacks)) for i in range(layers)]


def receptive_field(layers: int, stacks: int, kernel: int) -> int:
    """How many samples the next one depends on.

    24 layers in 4 stacks with a kernel of 3, as in the implementation that the thesis used
    (r9y9's), have 505: at 16 kHz the 31.5 ms that section 7.1.2 states.
    """
    return 1 + (kernel - 1) * sum(dilations(layers, stacks))


def companded(sound: Tensor) -> Tensor:
    """Samples within −1 … 1 on the logarithmic scale of mu-law, −1 … 1 too; others are cut off."""
    cut = sound.clamp(-1, 1)
    return cut.sign() * torch.log1p((VALUES - 1) * cut.abs()) / math.log(VALUES)


def expanded(value: Tensor) -> Tensor:
    """Companded samples back as samples: the inverse of `companded`."""
    return value.sign() * torch.expm1(value.abs() * math.log(VALUES)) / (VALUES - 1)


def classes(sound: Tensor) -> Tensor:
    """The number, uint8, of the nearest of the 256 values for each sample within −1 … 1."""
    return ((companded(sound) + 1) * ((VALUES - 1) / 2)).round().to(torch.uint8)


def values(chosen: Tensor) -> Tensor:
    """Numbers of values as companded samples, −1 … 1, as the network takes them."""
    return chosen.float() * (2 / (VALUES - 1)) - 1


def likelihood(stretches: int) -> Terms:
    """surprise: mean cross-entropy of a sample in nats, over a crop of each sound.

    stretches: length of a crop, in hops. The samples before each one are the true ones. Before a
    crop is nothing, as before a sound, so its first samples are predicted from fewer than the
    network could see.
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
    """Train in place on sounds (clips, samples), alone or first in a tuple; returns the history.

    An epoch sees one crop of every sound, `stretches` hops long, in batches of `batch`. rate: of
    Adam; it follows half a cosine down to zero. clip: largest norm of a gradient. held_out: so many
    sounds at the end are not learnt from, only judged. checkpoint: a folder to go on from after a
    kill.
    """
    sounds = np.asarray(data[0] if isinstance(data, list | tuple) else data, np.float32)
    chosen, features = prepared(model, torch.from_numpy(sounds))
    kept = len(sounds) - held_out
    validation = (chosen[kept:], features[kept:]) if held_out else None
    return train_model(
        model, (chosen[:kept], features[:kept]), validation=validation, name="wavenet",
        terms=likelihood(stretches), weights={"surprise": 1.0}, epochs=epochs, batch=batch,
        rate=rate, clip=clip, seed=seed, checkpoint=checkpoint,
    )  # fmt: skip


def prepared(model: WaveNet, sounds: Tensor) -> tuple[Tensor, Tensor]:
    """Sounds (clips, samples) → what is learnt from: classes (clips, hop · (frames − 1)), features.

    Each sound is divided by its loudest band; the highest peak of all that then is left becomes the
    model's `peak`, and they are divided by that too.
    """
    bands = torch.cat([model.spec.forward(part) for part in sounds.split(_CHUNK)])
    model.peak.fill_(1.0)
    features, level = model.features(bands.cpu())
    level = torch.where(level > 0, level, torch.ones_like(level))
    highest = (sounds.abs().amax(1, keepdim=True) / level).max()
    model.peak.fill_(float(highest) or 1.0)
    samples = model.spec.hop * (bands.shape[2] - 1)
    return classes(sounds[:, :samples] / (level * model.peak)), features
