"""A map of sounds in one page to share: its sounds, and what makes new ones of them, are inside.

It needs no server and no network, and its policy allows it none. The sounds are MP3s, which every
browser decodes (not every Safari knows Ogg); of drums, too short for the headers of Ogg, an MP3 is
as good as an Opus file of its size. What the page's engine (map_page.js) computes is what the
library computes, but for the MP3s and for latents and axes in 8 bits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from samplevae_lib import audio
from samplevae_lib.files import write_text
from samplevae_lib.progress import announce, track

LIMIT = 25_000_000  # bytes: what is sent by mail, and opened within two seconds
_RATES = (16000, 22050, 24000, 32000, 44100, 48000)  # Hz, of those that MP3 knows
# Of drums, the mean ODG against the originals is 0.0, −0.1, −0.2, −0.3, −0.5, −0.7 and −1.0; at 32
# it is −2.3, and −2.6 at half the sample rate.
_KBPS = (128, 112, 96, 80, 64, 56, 48)
_LATE = 1152  # samples that the encoder of an MP3 adds, before it fills the last frame
_CLICK = 2000  # the sample at which the page's click is, of twice as many
_SPAN, _CELLS = (-0.15, 1.15), 128  # of the shading where a map is guessing, along either axis
_LEAST = 4  # sounds that a map has
_BESIDE = 6000  # bytes: the click, and the names of what the page holds

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main id="map">This page needs scripts: open it in a browser that allows them.</main>
<footer>{foot}</footer>
<script type="application/json" id="content">{content}</script>
<script type="module">{script}</script>
</body>
</html>
"""
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; font: 12px/1.4 system-ui, sans-serif; background: Canvas; color: CanvasText; }
#map { --sv-height: max(360px, calc(100vh - 250px)); }
footer { padding: 4px 12px 10px; opacity: 0.75; }
"""
# The engine stands in a block, where its names meet none of the map's. A module's exports may stay
# in a page, where nobody imports them, but not in a block. The first click finds all warmed up.
_SCRIPT = """{instrument}
{{
{engine}
const root = document.querySelector("#map");
root.engine = engineOf(JSON.parse(document.querySelector("#content").textContent));
root.replaceChildren();
mount(root, root.engine);
root.engine.make(0.5, 0.5).catch(() => {{}});
}}
"""
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; "
    "form-action 'none'"
)


def write(library: Any, path: str | os.PathLike, *, title: str = "", limit: int = LIMIT) -> Path:
    """Write a library's map as one HTML page that plays and makes sounds by itself.

    library: what `library.open` gives. title: what stands over the page. limit: the most bytes the
    page may have. Where all sounds would take more, their bit rate falls from 128 to 48 kbit/s;
    where that isn't enough, a part of them that is spread out over the map is in the page, which
    says so, as does a line in the terminal. Who has the page has the sounds that are in it.
    """
    path, count = Path(path), len(library.points)
    if count < _LEAST:
        raise ValueError(f"{count} sounds: a map has {_LEAST} or more")
    rate = next((known for known in _RATES if known >= library.sample_rate), _RATES[-1])
    common = {"title": title} | _common(library, rate)
    frame = len(_page(common, _foot(count - 1, count, 100, limit)).encode()) + _BESIDE
    kept, kbps = _fitting(library, rate, limit - frame)
    if len(kept) < _LEAST:
        raise ValueError(f"limit is {limit} bytes, and {_LEAST} of {count} sounds take more")
    foot = _foot(len(kept), count, kbps, limit)
    write_text(path, _page(common | _of_sounds(library, kept, rate, kbps), foot))
    announce(f"{path}: {foot}")
    return path


def _page(content: dict[str, Any], foot: str) -> str:
    here = files(__package__)
    instrument, look, engine = (
        (here / name).read_text(encoding="utf-8") for name in ("map.js", "map.css", "map_page.js")
    )
    engine = engine.replace("export function engineOf(", "function engineOf(")
    script, style = _SCRIPT.format(instrument=instrument, engine=engine), look + _STYLE
    policy = _POLICY.format(script=_digest(script), style=_digest(style))
    return _PAGE.format(
        policy=policy, title=_text(content["title"] or "Map"), style=style, foot=foot,
        script=script, content=_json(content),
    )  # fmt: skip


def _text(text: str) -> str:
    """Text for HTML, all ASCII: a folder's name need not be valid in any encoding."""
    return escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _json(content: object) -> str:
    """JSON in which no text ends the element that it stands in: all ASCII, and no tag in it."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _digest(text: str) -> str:
    """What a policy knows an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _foot(kept: int, count: int, kbps: int, limit: int) -> str:
    sounds = f"{count:,} sounds"
    if kept < count:
        sounds = (
            f"{kept:,} of {sounds}, spread out over the map, as all of them would make this page "
            f"larger than {limit / 1e6:g} MB"
        )
    return (
        f"{sounds}, as MP3 of {kbps} kbit/s. What sounds where there is none is made in this page "
        "and borrows its detail from the recording that is named. Whoever gets this page gets the "
        "recordings in it."
    )


def _common(library: Any, rate: int) -> dict[str, Any]:
    """What the page holds beside the sounds and what is known of each."""
    spec, level, vae = library.envelope.spec(rate), library.envelope, library.vae
    cells = np.linspace(*_SPAN, 2 * _CELLS + 1)[1::2]  # their middles
    guess = library.guess(np.stack(np.meshgrid(cells, cells), axis=-1).reshape(-1, 2))
    values = _packed(np.round(255 * np.clip(guess, 0, 1)), "u1")
    regions = [{"x": float(x), "y": float(y), "name": str(name)} for x, y, name in library.regions]
    return {
        "rate": rate, "regions": regions, "spans": np.ptp(library.map.points, axis=0).tolist(),
        "guess": {"width": _CELLS, "height": _CELLS, "values": values},
        "frames": {"size": spec.n_fft, "hop": spec.hop, "filters": _filters(spec.mel_filters())},
        "level": {
            "edges": level.edges.tolist(), "floor": level.floor_db, "bands": level.bands,
            "seconds": level.seconds,
        },
        "basis": _scaled(vae.basis.reshape(len(vae.basis), -1)), "mean": _packed(vae.mean, "f4"),
        "deviations": _packed(vae.deviations, "f4"), "usual": _usual(library),
    }  # fmt: skip


def _usual(library: Any) -> float:
    """The median distance of a sound to the tenth nearest other one, in dB; of many, a part."""
    vectors = library.latents * library.vae.deviations
    away = np.sort(cdist(vectors[:: -(-len(vectors) // 256)], vectors), axis=1)
    tenth = np.median(away[:, min(10, len(vectors) - 1)])
    return max(float(tenth) / np.sqrt(library.vae.mean.size), 1e-9)


def _of_sounds(library: Any, kept: np.ndarray, rate: int, kbps: int) -> dict[str, Any]:
    table = library.sounds.iloc[kept]
    labels = table["kind"].astype(str).tolist()
    coded = _coded(library, kept, rate, kbps)
    click = np.zeros(2 * _CLICK, np.float32)
    click[_CLICK] = 0.9
    return {
        "names": table["name"].astype(str).tolist(), "labels": labels,
        "classes": sorted(set(labels) - {""}), "points": _packed(library.points[kept], "f4"),
        "seconds": _packed(table["seconds"], "f4"), "begins": _packed(table["begins"], "f4"),
        "peaks": _packed(table["peak"], "f4"),
        "features": {name: _packed(table[name], "f4") for name in ("bright", "noisy", "long")},
        "latents": _scaled(library.latents[kept].T),
        "sounds": [sound for sound, _ in coded], "lengths": [length for _, length in coded],
        "click": {"at": _CLICK, "sound": _mp3(click, rate, kbps)},
    }  # fmt: skip


def _coded(library: Any, kept: np.ndarray, rate: int, kbps: int) -> list[tuple[str, int]]:
    """Of each of these sounds its MP3 and how many samples it has; on all cores."""

    def code(index: int) -> tuple[str, int]:
        sound = library.sound(index)
        if rate != library.sample_rate:
            sound = audio.resample(sound, library.sample_rate, rate)
        return _mp3(sound, rate, kbps), len(sound)

    with ThreadPoolExecutor(os.cpu_count()) as pool, closing(pool.map(code, kept)) as done:
        return list(track(done, "sounds into the page", total=len(kept)))


def _mp3(sound: np.ndarray, rate: int, kbps: int) -> str:
    """An MP3 in base64, without a first frame of notes for players: the page has its own."""
    coded = audio.encode(sound, rate, suffix=".mp3", kbps=kbps)
    first = _frame(rate) * kbps * 125 // rate + (coded[2] >> 1 & 1)  # bytes, with its padding
    return base64.b64encode(coded[first if b"Info" in coded[:first] else 0 :]).decode()


def _frame(rate: int) -> int:
    """Samples in a frame of an MP3, of MPEG-1 or MPEG-2."""
    return 1152 if rate >= 32000 else 576


def _fitting(library: Any, rate: int, room: float) -> tuple[np.ndarray, int]:
    """Which sounds go into so many bytes, and at which bit rate."""
    table, width = library.sounds, library.latents.shape[1]
    texts = [len(_json(texts)) for texts in zip(table["name"], table["kind"], strict=True)]
    beside = np.array(texts) + 4 / 3 * (width + 32) + 20  # points and columns; length
    samples = np.ceil((table["seconds"].to_numpy() * rate + _LATE) / _frame(rate)) * _frame(rate)
    for kbps in _KBPS:
        sizes = 4 / 3 * (samples * kbps * 125 / rate + 2) + beside
        if sizes.sum() <= room:
            return np.arange(len(table)), kbps
    return _spread_out(library.points, sizes, room), kbps


def _spread_out(points: np.ndarray, sizes: np.ndarray, room: float) -> np.ndarray:
    """Sounds that take no more than `room`, each the farthest from those before it; ascending."""
    # The first lies in the middle; a map is 1 wide, so that nothing is as far as 4.
    away, chosen = 4 - np.hypot(*(points - points.mean(axis=0)).T), []
    while room >= sizes.min() and (index := int(away.argmax())) >= 0 and away[index] >= 0:
        if sizes[index] <= room:
            chosen.append(index)
            room -= sizes[index]
            away = np.minimum(away, np.hypot(*(points - points[index]).T))
        away[index] = -np.inf
    return np.sort(np.array(chosen, dtype=int))


def _packed(values: np.ndarray, kind: str) -> dict[str, str]:
    content = np.ascontiguousarray(values, f"<{kind}").tobytes()
    return {"kind": kind, "data": base64.b64encode(content).decode()}


def _scaled(rows: np.ndarray) -> dict[str, Any]:
    """Rows of numbers in 8 bits, each row with a scale of its own."""
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
    return {
        "steps": _packed(np.round(rows / scales[:, None]), "i1"), "scales": _packed(scales, "f4"),
    }  # fmt: skip


def _filters(filters: np.ndarray) -> list[list]:
    """Of each band the first bin, and its values from there on."""
    found = []
    for row in filters:
        bins = np.flatnonzero(row)
        start, stop = (bins[0], bins[-1] + 1) if len(bins) else (0, 0)
        found.append([int(start), row[start:stop].tolist()])
    return found
