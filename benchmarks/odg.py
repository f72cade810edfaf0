"""How fast grades are: whole ones, and their ear beside one that takes frame after frame."""

from __future__ import annotations

import numpy as np

from benchmarks.medians import medians
from samplevae_lib.metrics.peaq import ear
from samplevae_lib.metrics.peaq.grade import odg

SECONDS = (0.5, 4.0, 30.0)


def run(*, rounds: int = 3) -> str:
    """Multiples of real time on one thread: 10 × grades ten seconds of sound in one."""
    pairs = {seconds: pair(seconds) for seconds in SECONDS}
    ways = {f"odg, {s:g} s": (s, lambda p=p: odg(*p, ear.RATE)) for s, p in pairs.items()}
    for name, way in {"plain frame by frame": plain_ear, "samplevae": compiled_ear}.items():
        ways[f"ear alone, 4 s, {name}"] = (4.0, lambda way=way: way(pairs[4.0][0]))
    taken = medians({name: way for name, (_, way) in ways.items()}, rounds=rounds)
    return "\n".join(
        [
            f"sounds at {ear.RATE} Hz, one thread, medians of {rounds} rounds; the ear alone hears "
            "one sound, a grade two; under 3 s a pair is repeated to 4 s",
            *(f"{n:37} {t:8.4f} s {ways[n][0] / t:7.1f} × real time" for n, t in taken.items()),
            agreement(pairs[4.0][0]),
        ]
    )


def pair(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Two decaying bursts of noise a second, and the same 40 dB over more noise."""
    rng, count = np.random.default_rng(0), round(seconds * ear.RATE)
    sound = rng.normal(size=count) * np.exp(-8 * (np.arange(count) / ear.RATE % 0.5)) * 0.2
    return sound, sound + 0.002 * rng.normal(size=count)


def compiled_ear(sound: np.ndarray) -> np.ndarray:
    """Excitation (frames, 109), all frames of it at once."""
    return ear.hear(ear.in_bands(ear.power(ear.frames(sound)))).lasting


def plain_ear(sound: np.ndarray) -> np.ndarray:
    """The same, one frame and one band after the other, in numpy without numba."""
    bands, decay = ear.bands(), ear.decays(0.030)
    share, of_ones = bands.share.toarray(), plain_spread(np.ones(ear.BANDS))
    slow, heard = np.zeros(ear.BANDS), []
    for frame in ear.frames(sound):
        energy = share @ ear.power(frame[None])[0]
        spread = plain_spread(np.maximum(energy, ear.LEAST) + bands.noise) / of_ones
        slow = decay * slow + (1 - decay) * spread
        heard.append(np.maximum(slow, spread))
    return np.array(heard)


def plain_spread(energy: np.ndarray) -> np.ndarray:
    """Kabal's section 2.8 as it stands: (109,) → (109,)."""
    at, total = np.arange(ear.BANDS), np.zeros(ear.BANDS)
    slopes = -24 - 230 / ear.bands().centre + 2 * np.log10(energy)  # dB a Bark
    for band in at:
        away = ear.STEP * (at - band)
        level = np.where(away < 0, 27 * away, slopes[band] * away)
        shape = 10 ** (level / 10)
        total += (energy[band] * shape / shape.sum()) ** 0.4
    return total**2.5


def agreement(sound: np.ndarray) -> str:
    """How far both are apart at the most, relative to the plain one."""
    plain = plain_ear(sound)
    return f"largest difference between both: {np.abs(compiled_ear(sound) / plain - 1).max():.1e}"


if __name__ == "__main__":
    print(run())
