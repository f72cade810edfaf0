"""How a widget gets into a page: as HTML that needs nothing from elsewhere.

A widget called `name` has its looks in `name.css` and its behaviour in `name.js`, a function of the
element it lives in. The same HTML works in JupyterLab, in an exported page and offline.
"""

from __future__ import annotations

import base64
import uuid
from html import escape
from importlib.resources import files

# The same output may be in the page twice, as in a second view of a notebook. Each is started, and
# only once, though the scripts of both find both of them.
_START = """document.querySelectorAll("#{name}").forEach((root) => {{
  if (root.started) return;
  root.started = true;
  ({script})(root);
}});"""


_said = {"notice": ""}


def set_notice(text: str) -> None:
    """Put this text above all widgets that follow, such as that nothing in them is trained.

    An empty text takes the line away again.
    """
    _said["notice"] = text


def notice() -> str:
    """The text that `set_notice` has put above all widgets; empty where there is none."""
    return _said["notice"]


def embedded(kind: str, content: str, **data: object) -> str:
    """The HTML of a widget: its style, its element, and the script that starts it.

    kind: the widget's name, of its files and its class, `sv-kind`. content: HTML inside the
    element, in which all text is escaped. data: values the script finds in `root.dataset`.
    """
    name = f"{kind}-{uuid.uuid4().hex[:12]}"
    style, script = (
        (files(__package__) / f"{kind}.{suffix}").read_text(encoding="utf-8").strip()
        for suffix in ("css", "js")
    )
    attributes = "".join(f' data-{key}="{escape(str(value))}"' for key, value in data.items())
    said = f"<p><b>{escape(notice())}</b></p>" if notice() else ""
    return (
        f"{said}<style>{style}</style>"
        f'<div id="{name}" class="sv-{kind}"{attributes}>{content}</div>'
        f"<script>{_START.format(name=name, script=script)}</script>"
    )


def data_url(kind: str, content: bytes) -> str:
    """Bytes of a kind such as "image/png" as an address that a page can show or play."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
