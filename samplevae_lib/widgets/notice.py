"""A line above every widget of a notebook, such as that nothing in it is trained."""

from __future__ import annotations

from html import escape

_said: dict[str, str] = {"text": ""}


def set_notice(text: str) -> None:
    """Put this text above all widgets that follow; an empty one takes it away again."""
    _said["text"] = text


def notice() -> str:
    """The line as HTML; empty where there is nothing to say."""
    return f'<p class="sv-notice"><b>{escape(_said["text"])}</b></p>' if _said["text"] else ""
