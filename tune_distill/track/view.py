"""A view of a study's runs in MLflow's page: its objectives as columns, sorted, and its charts.

Nobody has to tick columns or to add charts: the description of the study's run links to
`#/experiments/<id>/runs?viewStateShareKey=<key>`. It is what the page itself files as a tag of the
experiment where somebody shares a view; a page that can't read it says so, and shows the plain
table (`ExperimentPageUIState` and `RunsChartsCardConfig` in mlflow/server/js).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tune_distill.outcome import Goal
from tune_distill.track.change import PREFIX

VIEW = "mlflow.sharedViewState."  # of an experiment's tag; the key follows
_SECTION = "front"
_CHARTS, _RUNS = 6, 500  # scatter plots, and runs in each: a tag holds 20,000 characters
_COLUMNS, _AXES = 3, 5  # knobs in the table, and in parallel coordinates: as many as can be read


def state(study_id: str, objectives: Mapping[str, Goal], knobs: Sequence[str]) -> str:
    """The view of one study's runs, as JSON.

    Args:
        study_id: the tag of its runs.
        objectives: by name; the first one sorts.
        knobs: parameters that all its trials have, and in which they differ; first things first.
    """
    first, goal = next(iter(objectives.items()))
    columns = [f"metrics.`{name}`" for name in objectives]
    columns += [f"params.`{name}`" for name in knobs[:_COLUMNS]]
    return json.dumps(
        {
            "searchFilter": f"tags.`{PREFIX}study_id` = '{study_id}'",
            "orderByKey": f"metrics.`{first}`",
            "orderByAsc": goal == "min",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": [*columns, "tags.`on_front`", "tags.`state`"],
            "columnOrder": [],
            "columnWidths": {},
            "runsExpanded": {},
            "runsPinned": [],
            "runsHidden": [],
            "runsVisibilityMap": {},
            "runsHiddenMode": "SHOWALL",
            "viewMaximized": False,
            "runListHidden": False,
            "isAccordionReordered": True,
            "groupBy": None,
            "groupsExpanded": {},
            "autoRefreshEnabled": True,
            "useGroupedValuesInCharts": True,
            "hideEmptyCharts": True,
            "globalLineChartConfig": {
                "xAxisKey": "step",
                "lineSmoothness": 0,
                "selectedXAxisMetricKey": "",
            },
            "compareRunSections": [_section()],
            "compareRunCharts": [*_scatter(objectives), _parallel(list(objectives), knobs)],
        }
    )


def _section() -> dict[str, Any]:
    kind = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": _SECTION, "name": "Front", **kind}


def _scatter(objectives: Mapping[str, Goal]) -> list[dict[str, Any]]:
    """Each pair of objectives; what a student costs lies below what it is worth."""
    pairs = [
        (b, a) if (objectives[a], objectives[b]) == ("max", "min") else (a, b)
        for a, b in itertools.combinations(objectives, 2)
    ]
    return [
        {
            **_chart(f"{x}.{y}", "SCATTER"),
            "xaxis": {"key": x, "type": "METRIC"},
            "yaxis": {"key": y, "type": "METRIC"},
        }
        for x, y in pairs[:_CHARTS]
    ]


def _parallel(objectives: Sequence[str], knobs: Sequence[str]) -> dict[str, Any]:
    chosen = {"selectedParams": list(knobs[:_AXES]), "selectedMetrics": list(objectives)}
    return {**_chart("parallel", "PARALLEL"), **chosen, "showAllRuns": False}


def _chart(uuid: str, kind: str) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "type": kind,
        "runsCountToCompare": _RUNS,
        "metricSectionId": _SECTION,
        "deleted": False,
        "isGenerated": False,
    }
