"""What policies and worlds share where decisions move a state.

`optimum.py` and `world.py` are of worlds that are made. Of those that are learned `counts.py` is the experience,
`transitions.py`, `smoothed.py` and `balls.py` are models of the next state, `planning.py` plans in them, a part at a
time, and `replanning.py` is how policies do that as they learn. Policies that make no plans learn `values.py`.
"""
