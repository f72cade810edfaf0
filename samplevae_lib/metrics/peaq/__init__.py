"""PEAQ, basic version (ITU-R BS.1387-1): how much worse than a reference a sound is heard to be.

In the order in which a pair of sounds passes through: `ear` (sound to excitation), `spectra` (what
is read off the two spectra directly), `perception` (what is read off the two excitations),
`variables` (eleven numbers for the pair), `grade` (the neural network that makes one of them).
"""

from __future__ import annotations

from samplevae_lib.metrics.peaq.grade import Details, graded, odg
from samplevae_lib.metrics.peaq.variables import Variables

__all__ = ["Details", "Variables", "graded", "odg"]
