"""What tests share: folders of their own, the real recordings where they are at hand, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samplevae_lib import theses

MIRROR = os.environ.get("SAMPLEVAE_MIRROR")
# For a page: keeps every AudioContext, and the last 32,768 samples that each of them plays.
LISTEN = """
  window.contexts = [];
  const [Own, connect] = [AudioContext, AudioNode.prototype.connect];
  window.AudioContext = class extends Own {
    constructor(options) {
      super(options);
      this.played = new AnalyserNode(this, { fftSize: 32768 });
      contexts.push(this);
    }
  };
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to === this.context.destination) connect.call(this, this.context.played);
    return connect.call(this, to, ...rest);
  };
"""


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the checkout's data/ or figures/, and none has a mirror by chance."""
    monkeypatch.setenv("SAMPLEVAE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SAMPLEVAE_FIGURES", str(tmp_path / "figures"))
    for name in ("MIRROR", "ROOT", "RUN", "REFIT", "SHIP", "PROGRESS", "LIBRARY"):
        monkeypatch.delenv(f"SAMPLEVAE_{name}", raising=False)


@pytest.fixture
def fresh_registries() -> Iterator[None]:
    """What the theses published is read anew, and what this test reads is forgotten after it."""
    forget()
    yield
    forget()


def forget() -> None:
    for registry in (theses.notebooks, theses.targets, theses.claims, theses.numbers):
        registry.cache_clear()


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder filled from the mirror once; skips where there is no mirror."""
    if not MIRROR:
        pytest.skip("SAMPLEVAE_MIRROR names no folder with the recordings")
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture
def real(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real recordings are within reach, unpacked and decoded once for all tests."""
    monkeypatch.setenv("SAMPLEVAE_MIRROR", str(MIRROR))
    monkeypatch.setenv("SAMPLEVAE_DATA", str(recordings))
    return recordings


@pytest.fixture(scope="module")
def tab(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A tab of a real browser, with the arguments BROWSER and the size VIEWPORT of the module."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        pytest.skip("neither chromium nor google-chrome is on the path")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program, args=arguments + request.module.BROWSER
        )
        yield running.new_page(viewport=request.module.VIEWPORT)
        running.close()


@pytest.fixture
def heeded(tab: Any) -> Iterator[Any]:
    """The same; a page that complains fails its test."""
    complaints = []

    def heed(message: Any) -> None:
        complaints.append(getattr(message, "text", message))

    for kind in ("console", "pageerror"):
        tab.on(kind, heed)
    yield tab
    for kind in ("console", "pageerror"):
        tab.remove_listener(kind, heed)
    assert complaints == []
