"""A slider along the way from one sound to another, which draws and plays what lies between.

Plain HTML with a page of script: it works in JupyterLab, in an exported page and offline.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from numbers import Integral

import numpy as np

from samplevae_lib import plots
from samplevae_lib.audio import check
from samplevae_lib.widgets import page

# Hz: every browser has to play these rates (Web Audio, createBuffer); some play others too.
_LOWEST, _HIGHEST = 8000, 96_000
_FULL = 32767  # the 16-bit value of full scale
# Without lm-suppress-shortcuts JupyterLab takes the slider's arrow keys to go from cell to cell.
_CONTROLS = """
<canvas role="img" aria-label="waveform of the chosen step between {first} and {last}"></canvas>
<div class="sv-way">
<span class="sv-end" title="{first}"><i style="background:{first_colour}"></i>{first}</span>
<input type="range" min="1" max="{count}" step="1" value="1" autocomplete="off"
 aria-label="step from {first} to {last}" style="accent-color:{colour}"
 data-lm-suppress-shortcuts="true">
<span class="sv-end" title="{last}">{last}<i style="background:{last_colour}"></i></span>
</div>
<div class="sv-now">
<button type="button" class="sv-play" aria-label="play this step">▶ play</button>
<output aria-live="off">Needs scripts: in JupyterLab, trust this notebook.</output>{note}</div>
"""


class Morph:
    """A slider over sounds, from the first to the last.

    steps: (count, samples), at `sample_rate` Hz, which is 8000 to 96000. All keep their level,
        unless one is above full scale: then all are brought down alike.
    labels: what the first and the last are.
    repeat: how many copies of a step make up a loop, so that single cycles become a tone; with 1 a
        step plays once, as a recording does.

    The page holds the steps in 16 bits as base64: 41 steps of 512 samples are 56 kB.
    """

    def __init__(
        self,
        steps: np.ndarray | Sequence[np.ndarray],
        sample_rate: float,
        *,
        labels: Sequence[str] = ("first", "last"),
        repeat: int = 32,
    ):
        _refuse_settings(sample_rate, labels, repeat)
        waves = _stacked(steps)
        self.gain = 1 / max(float(np.abs(waves).max()), 1.0)
        self.steps = (waves * self.gain).astype(np.float32)
        self.sample_rate, self.repeat = sample_rate, int(repeat)
        self.labels = [str(label) for label in labels]

    def _repr_html_(self) -> str:
        samples = np.round(self.steps * _FULL).astype("<i2").tobytes()
        return page.embedded(
            "morph", self._controls(), rate=float(self.sample_rate), count=len(self.steps),
            repeat=self.repeat, colours=" ".join(plots.COLOURS[:3]),
            samples=base64.b64encode(samples).decode(),
        )  # fmt: skip

    def _controls(self) -> str:
        first, last = map(escape, self.labels)
        colour, first_colour, last_colour = plots.COLOURS[:3]
        note = ""
        if self.gain < 1:
            note = f"<small>drawn and played at {self.gain:.2g} of its level</small>"
        return _CONTROLS.format(
            first=first, last=last, colour=colour, first_colour=first_colour,
            last_colour=last_colour, count=len(self.steps), note=note,
        )  # fmt: skip


def _stacked(steps: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """All steps as one array (count, samples), if they can be drawn and played."""
    count = len(steps)
    if count < 2:
        raise ValueError(f"steps: {count}, but a way has 2 or more, its two ends at least")
    waves = [check(step, f"step {number} of {count}") for number, step in enumerate(steps, start=1)]
    for number, wave in enumerate(waves, start=1):
        if len(wave) != len(waves[0]):
            raise ValueError(
                f"step {number} of {count} has {len(wave)} samples and step 1 has "
                f"{len(waves[0])}: all must be equally long"
            )
    return np.stack(waves).astype(np.float64)


def _refuse_settings(sample_rate: float, labels: Sequence[str], repeat: int) -> None:
    if not _LOWEST <= sample_rate <= _HIGHEST:
        raise ValueError(
            f"sample_rate is {sample_rate} Hz, and browsers play {_LOWEST} to {_HIGHEST} Hz"
        )
    if isinstance(labels, str) or len(labels) != 2:
        raise ValueError(f"labels are {labels!r}: they must be two, of the first and last step")
    if not isinstance(repeat, Integral) or repeat < 1:
        raise ValueError(f"repeat is {repeat!r}: it must be a whole number, 1 or more")
