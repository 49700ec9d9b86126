"""Modules that moved since 0.1: the names that README and docs gave them, and where they are."""

MOVED = {
    "onearm.engine.experiment": "onearm.engine.simulation",
    "onearm.engine.hindsight": "onearm.engine.vectors.hindsight",
    "onearm.engine.storage.obd": "onearm.engine.storage.formats.obd",
    "onearm.engine.storage.slots": "onearm.engine.storage.formats.slots",
    "onearm.api.stream": "onearm.api.arms_once",
    "onearm.policies.optimistic_ensemble": "onearm.policies.vectors.optimistic_ensemble",
}
