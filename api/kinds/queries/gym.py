"""Queries in Gymnasium: as arms are, and an episode ends with a recommendation (`api/gym/queries.py`)."""

from __future__ import annotations

from dataclasses import replace

from ..arms.gym import GYM as ARMS

GYM = replace(ARMS, recommends=True)
