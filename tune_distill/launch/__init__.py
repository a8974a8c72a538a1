"""A search, from a study's document to its finished trials, on Ray Tune.

`search.search` tells the story, `search.repeat` that of trials that are known beforehand, `confirm`
that of a front that is trained again; `submit` sends a search to a cluster. Around them `preparing`
(a cluster's first task), `rounds` (Tune, until all have ended), `resume` (the same command goes
on), `session` (Ray, quietly), `worker` (one trial), `watch` (what the driver sees and stops),
`listeners` (who is told), `publish` (the front's files and MLflow), `standing` (the front so far)
and `streak` (failures that all share).

Nothing is imported here: a trial's worker imports `worker`, and so nothing that only drivers need.
"""
