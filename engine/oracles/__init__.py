"""Oracles: models that learn the reward of an action from its context, one feedback at a time.

`oracle.py` says what a model can be asked, `choice.py` takes the model that fits a problem; one file, one model.
"""
