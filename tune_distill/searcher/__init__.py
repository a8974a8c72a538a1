"""What to try next: Optuna's ask and tell behind Ray Tune's `Searcher`.

`study` opens the Optuna study in a study's folder, `samplers` are its samplers, `known` a warm
start; `draws` maps our space to Optuna's, `proposals` makes trials of draws, `refusals` counts
those that get none, `earlier` takes up what a killed search left; `ask_tell` is the searcher.
Not Tune's own OptunaSearch, which leaves a trial whose objective is NaN in RUNNING for ever and
tells a stopped one COMPLETE.
"""

from tune_distill.searcher.ask_tell import AskTell
from tune_distill.searcher.earlier import Draw
from tune_distill.searcher.known import add_known
from tune_distill.searcher.study import open_study

__all__ = ["AskTell", "Draw", "add_known", "open_study"]
