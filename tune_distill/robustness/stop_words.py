"""English words that carry the grammar of a sentence and not its subject; lower case.

Articles, pronouns, prepositions, conjunctions, auxiliaries, negations, and what remains of their
contractions once a tokenizer has cut them. Attacks that spare stop words leave these alone.
"""

from __future__ import annotations

_LISTED = """
a an the this that these those each every either neither both all any some no none such same
own i me my mine myself we us our ours ourselves you your yours yourself yourselves he him
his himself she her hers herself it its itself they them their theirs themselves who whom
whose which what one ones am is are was were be been being do does did doing done have has
had having can could may might must shall should will would ought need dare not nor never
n't don't doesn't didn't isn't aren't wasn't weren't won't wouldn't can't cannot couldn't
shouldn't mustn't needn't hasn't haven't hadn't ain't mightn't shan't s t d m o y ve re ll
ma ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn
weren won wouldn it's that's he's she's i'm i've i'd i'll you're you've you'd you'll we're
we've we'd we'll they're they've they'd they'll there's what's who's let's and or but if
because as until while than though although unless whether since so yet of at by for with
without about against between among into onto through during before after above below over
under to from up down in out on off upon within toward towards across along around behind
beneath beside besides beyond near per via again further then once here there when where why
how now just only very too more most few other also
"""

STOP_WORDS = frozenset(_LISTED.split())
