"""confirm.html: what a confirmation says as one self-contained page, which needs no network.

The confirmed front with its intervals, the verdicts, the models, how optimistic the search was.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from tune_distill.cli.confirmed import claims, how, models, optimism
from tune_distill.plots.confirmed import projections
from tune_distill.plots.parts import chart, tile

PAGE = "confirm.html"
_SIGNS = {"BETTER": "\u25b2", "WORSE": "\u25bc", "INCONCLUSIVE": "="}  # not by colour alone
_TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$study, confirmed: $headline</title><link rel="icon" href="data:,">
<style>$style
thead th { padding: 10px 14px; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { text-align: left; } .BETTER { color: #00664a; font-weight: 600 }
.WORSE { color: #a34200; font-weight: 600 } .INCONCLUSIVE { color: var(--soft) }
</style>
<script>$plotly</script></head><body><main>
<header><p class="kicker">$study, confirmed</p><h1>$headline</h1>
<p class="facts">$facts</p></header>
<dl class="tiles">$tiles</dl>
<section><h2>The confirmed front</h2><p class="note">$legend</p>
<div class="charts">$charts</div></section>
<section><h2>What can be claimed</h2>$claims
<p class="note">A verdict needs a p-value below 0.05 after Holm\u2019s adjustment over all rows of
this table; differences are of means over seeds, on the same rows and in the same draws.</p>
$optimism</section>
<section><h2>The models</h2>$models<p class="note">Mean \u00b1 standard deviation over fresh
seeds on the held-out rows, with the 95 % interval of the mean.</p></section>
<footer>Written by tune-distill. The held-out rows were read for this, once by each model: a study
that is changed because of these figures needs other rows.</footer>
</main><script>
for (const plot of document.querySelectorAll(".plot")) {
  const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
  const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
  const settings = { responsive: true, displayModeBar: false };
  Plotly.newPlot(plot, data, { ...layout, dragmode }, settings);
}
</script></body></html>
"""
_LEGEND = (
    "Filled and blue: on the front by the means; open and grey: dominated. Circles are students as "
    "PyTorch runs them, squares ONNX, triangles int8, diamonds controls, the star is the teacher. "
    "Bars are 95 % intervals over rows and seeds."
)


def page(told: Mapping[str, Any]) -> str:
    """The page of a confirm.json."""
    from plotly.offline import get_plotlyjs

    style = resources.files("tune_distill.plots").joinpath("page.css").read_text(encoding="utf-8")
    return Template(_TEMPLATE).substitute(
        study=html.escape(told["study"]),
        headline=_headline(told),
        facts=html.escape(" ".join(how(told))),
        style=style,
        plotly=get_plotlyjs(),
        tiles="".join(_tiles(told)),
        legend=_LEGEND,
        charts="".join(chart(fig, title) for title, fig in projections(told)),
        claims=_table(claims(told), verdicts=True),
        optimism="".join(f'<p class="note">{html.escape(one)}</p>' for one in optimism(told)),
        models=_table(models(told)),
    )


def _headline(told: Mapping[str, Any]) -> str:
    on, every = sum(one["on_front"] for one in told["models"]), len(told["models"])
    return f"{on} of {every} {'model is' if every == 1 else 'models are'} on the confirmed front"


def _tiles(told: Mapping[str, Any]) -> Iterator[str]:
    yield tile("fresh seeds a model", str(told["seeds"]), f"{told['rows']:,} held-out rows")
    verdicts = Counter(claim["verdict"] for claim in told["claims"])
    for verdict, sign in _SIGNS.items():
        yield tile(f"{sign} {verdict}", str(verdicts[verdict]), f"of {len(told['claims'])} claims")
    for measure, gap in told["optimism"].items():
        yield tile(f"selection bias, {measure}", f"{gap['mean']:+.4f}", "search less fresh seeds")


def _table(rows: Iterator[Sequence[str]], *, verdicts: bool = False) -> str:
    head, *body = rows
    heads = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    lines = []
    for name, *cells in body:
        last = cells.pop() if verdicts else None
        told = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        if last is not None:
            told += f'<td class="{last}">{_SIGNS[last]} {last}</td>'
        lines.append(f'<tr><th scope="row">{html.escape(name)}</th>{told}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
