"""What to try next: Optuna's ask and tell behind Ray Tune's `Searcher`.

`study` opens the Optuna study in a study's folder, `draws` maps our space to Optuna's, `ask_tell`
is the searcher. Not Tune's own OptunaSearch, which leaves a trial whose objective is NaN in
RUNNING for ever and tells a stopped one COMPLETE.
"""

from tune_distill.searcher.ask_tell import AskTell, Draw
from tune_distill.searcher.study import open_study

__all__ = ["AskTell", "Draw", "open_study"]
