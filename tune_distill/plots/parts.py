"""What the pages are put together from: a tile, a figure with its caption."""

from __future__ import annotations

import html

import plotly.graph_objects as go


def tile(what: str, value: str, note: str) -> str:
    """A number that stands out: what it is, itself, and a small word beside it."""
    what, value, note = (html.escape(text) for text in (what, value, note))
    return f'<div class="tile"><dt>{what}</dt><dd>{value}<small>{note}</small></dd></div>'


def chart(fig: go.Figure, title: str, *, wide: bool = False) -> str:
    """A figure for the page's script to draw; a wide one scrolls on a narrow screen."""
    title = html.escape(title[:1].upper() + title[1:])
    drawn = fig.to_json().replace("<", "\\u003c")  # no text may end the script
    plot = (
        f'<div class="plot" role="img" aria-label="{title}">'
        f'<script type="application/json">{drawn}</script></div>'
    )
    if wide:  # as wide as its axes need
        axes = len(fig.data[0].dimensions)
        plot = f'<div class="wide"><div style="min-width:{76 * axes + 100}px">{plot}</div></div>'
    return f"<figure><figcaption>{title}</figcaption>{plot}</figure>"
