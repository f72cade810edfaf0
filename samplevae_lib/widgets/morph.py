"""A slider along the way from one sound to another, which draws and plays what lies between.

Plain HTML with a page of script: it works in JupyterLab, in an exported page and offline.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from numbers import Integral

import numpy as np

from samplevae_lib import plots

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
    """A slider over sounds (count, samples) of one rate in Hz, from the first to the last.

    labels: what the first and the last are. repeat: how often a step is put in a row before it
    loops, for single cycles that become a tone; with 1 a step plays once, as a recording does.
    All steps keep their level, unless one is above full scale: then all are brought down alike.
    They go into the page as 16 bits in base64: 41 steps of 512 samples are 56 kB.
    """

    def __init__(
        self,
        steps: np.ndarray | Sequence[np.ndarray],
        sample_rate: float,
        *,
        labels: Sequence[str] = ("first", "last"),
        repeat: int = 32,
    ):
        _check(sample_rate, labels, repeat)
        waves = _stacked(steps)
        self.gain = 1 / max(float(np.abs(waves).max()), 1.0)
        self.steps = (waves * self.gain).astype(np.float32)
        self.sample_rate, self.repeat = sample_rate, int(repeat)
        self.labels = [str(label) for label in labels]

    def _repr_html_(self) -> str:
        name = f"morph-{uuid.uuid4().hex[:12]}"
        here = files(__package__)
        style = (here / "morph.css").read_text(encoding="utf-8")
        script = (here / "morph.js").read_text(encoding="utf-8")
        # The same output may be in the page twice, as in a second view: each has to be started.
        return (
            f'<style>{style}</style><div id="{name}" class="sv-morph" {self._data()}>'
            f"{self._controls()}</div>"
            f"<script>document.querySelectorAll('#{name}').forEach({script});</script>"
        )

    def _data(self) -> str:
        """What the script needs: how to play and draw the samples, and the samples themselves."""
        samples = base64.b64encode(np.round(self.steps * _FULL).astype("<i2").tobytes()).decode()
        return (
            f'data-rate="{float(self.sample_rate)}" data-count="{len(self.steps)}" '
            f'data-repeat="{self.repeat}" data-colours="{" ".join(plots.COLOURS[:3])}" '
            f'data-samples="{samples}"'
        )

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
    _check_shapes([np.shape(step) for step in steps])
    waves = np.stack([np.asarray(step, dtype=np.float64) for step in steps])
    for number, wave in enumerate(waves, start=1):
        if not np.isfinite(wave).all():
            raise ValueError(
                f"step {number} of {len(waves)} holds NaN or infinite values, and can't be played"
            )
    return waves


def _check_shapes(shapes: Sequence[tuple[int, ...]]) -> None:
    count = len(shapes)
    if count < 2:
        raise ValueError(f"steps: {count}, but a way has 2 or more, its two ends at least")
    for number, shape in enumerate(shapes, start=1):
        if len(shape) != 1 or not shape[0]:
            raise ValueError(f"step {number} of {count} must have shape (samples,), not {shape}")
        if shape != shapes[0]:
            raise ValueError(
                f"step {number} of {count} has {shape[0]} samples and step 1 has {shapes[0][0]}: "
                "all must be equally long"
            )


def _check(sample_rate: float, labels: Sequence[str], repeat: int) -> None:
    if not _LOWEST <= sample_rate <= _HIGHEST:
        raise ValueError(
            f"sample_rate is {sample_rate} Hz, and browsers play {_LOWEST} to {_HIGHEST} Hz"
        )
    if isinstance(labels, str) or len(labels) != 2:
        raise ValueError(f"labels are {labels!r}: they must be two, of the first and last step")
    if not isinstance(repeat, Integral) or repeat < 1:
        raise ValueError(f"repeat is {repeat!r}: it must be a whole number, 1 or more")
