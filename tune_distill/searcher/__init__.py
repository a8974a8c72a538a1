"""What to try next: Optuna's ask and tell behind Ray Tune's `Searcher`.

`study` opens the Optuna study in a study's folder, `samplers` are its samplers, `known` a warm
start; `draws` maps our space to Optuna's, `proposals` makes trials of draws, `refusals` counts
those that get none, `earlier` takes up what a killed search left; `ask_tell` is the searcher,
`given` one for trials that are known beforehand, and `asker` what both are.
Not Tune's own OptunaSearch, which leaves a trial whose objective is NaN in RUNNING for ever and
tells a stopped one COMPLETE.
"""

from tune_distill.searcher.ask_tell import AskTell
from tune_distill.searcher.asker import Asker, Draw
from tune_distill.searcher.given import Given
from tune_distill.searcher.known import add_known
from tune_distill.searcher.study import open_study

__all__ = ["AskTell", "Asker", "Draw", "Given", "add_known", "open_study"]
