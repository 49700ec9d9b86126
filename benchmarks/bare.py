"""The yardstick of benchmarks/service.py: bare FastAPI endpoints with pydantic models, and nothing behind them."""

from __future__ import annotations

import gc
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Action(BaseModel):
    id: str
    features: list[float]


class Decide(BaseModel):
    context: list[float] | None = None
    actions: list[Action] | None = None
    decision_id: str | None = None


class Decided(BaseModel):
    decision_id: str
    action_id: str
    propensity: float | None
    policy: str
    model_version: int


class Reward(BaseModel):
    value: float
    reward_id: str | None = None


class Rewarded(BaseModel):
    status: str


app = FastAPI()


@app.post("/v1/experiments/{experiment_id}/decisions", status_code=201)
async def decide(experiment_id: str, body: Decide) -> Decided:
    return Decided(decision_id="~0", action_id="a", propensity=0.5, policy="ucb1", model_version=1)


@app.post("/v1/experiments/{experiment_id}/decisions/{decision_id}/reward")
async def reward(experiment_id: str, decision_id: str, body: Reward) -> Rewarded:
    return Rewarded(status="accepted")


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    return {"status": "ready"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
