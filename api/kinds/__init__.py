"""The kinds of decisions: `kind.py` says what one is asked, `table.py` lists them all."""
