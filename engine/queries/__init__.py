"""What policies share that ask: what answers say, which query is next, who is eliminated."""

from ..moved import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "onearm.engine.answers": "NORMAL SIGNS BITS ANSWERS draw_answer",
        "onearm.engine.queries.evidence": "ARMS SUMS MEANS Evidence begin budget_of ask take_in mean_of score "
        "recommend_best best_of",
    },
)
