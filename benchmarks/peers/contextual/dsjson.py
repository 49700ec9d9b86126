"""Train Vowpal Wabbit on dsjson, and let its model say what it would do: python dsjson.py, where its pins are.

A job is {"train", "model", "flags"} or {"score", "model", "law"}, files of the log, the model and the answer, of which
each line has the probabilities of all actions. An answer is {"seconds"} of CPU.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import vowpalwabbit


def main() -> None:
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        start = time.process_time()
        try:
            if "train" in job:
                flags = f"--cb_explore_adf --dsjson {job['flags']} -d {job['train']} -f {job['model']}"
            else:
                flags = f"--dsjson -t -i {job['model']} -d {job['score']} -p {job['law']}"
            vowpalwabbit.Workspace(f"{flags} --quiet").finish()  # reads the whole file, as `vw` does
            answer: dict[str, Any] = {"seconds": time.process_time() - start}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
