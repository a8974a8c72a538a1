"""What attacks did as a page by itself: the table, and every flipped row with its changed words."""

from __future__ import annotations

import html
from string import Template

from tune_distill.cli.attacked import HEADINGS, Data, cells, shown, warnings

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1.5rem 0 }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left }
th, td { border-bottom: 1px solid #8884 }
li { margin: .9rem 0 } li p { margin: 0 }
del { background: #e5484d33; text-decoration-color: #e5484d }
ins { background: #30a46c40; text-decoration: none; font-weight: 600 }
small, .other { opacity: .7 } .warning { border-left: 3px solid #f5a524; padding-left: .8rem }
</style></head><body>
<h1>$title</h1><p>$facts</p>$warnings
$table
$sections
</body></html>
"""


def page(data: Data) -> str:
    """A page by itself: the table, and every flipped row with its changed words marked."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in cells(data)
    )
    said = "".join(f"<p class=warning>{html.escape(one)}</p>" for one in warnings(data))
    sections = "".join(
        f"<h2>{html.escape(one['attack'])}: {len(one['flipped'])} flipped rows</h2><ol>"
        + "".join(_item(flipped) for flipped in one["flipped"])
        + "</ol>"
        for one in data["attacks"]
    )
    return Template(_PAGE).substitute(
        title=html.escape(f"{data['model']} under attack"),
        facts=html.escape(
            f"{data['n']} rows of {data['rows']}. Clean accuracy {shown(data['clean'])}; in"
            " brackets 95 % Wilson intervals."
        ),
        warnings=said,
        table=f"<table><tr>{head}</tr>{body}</table>",
        sections=sections,
    )


def _item(flipped: Data) -> str:
    marked = "".join(
        html.escape(gap)
        + (
            f"<del>{html.escape(old)}</del> <ins>{html.escape(new)}</ins>"
            if new
            else html.escape(old)
        )
        for gap, old, new in flipped["parts"]
    )
    other = "".join(
        f"<p class=other>{html.escape(text)}</p>"
        for side, text in enumerate(flipped["clean"])
        if side != flipped["side"]
    )
    facts = f"row {flipped['row']}, {flipped['class']}, {flipped['queries']} queries"
    return f"<li>{other}<p>{marked}</p><small>{html.escape(facts)}</small></li>"
