"""Gate of a release: `python beats_baselines.py releases/latest` ends with 1 if a baseline beats the model on a task.

A task fails when the whole interval of the difference to its best baseline lies below zero.
"""

import argparse
import json
from pathlib import Path


def beaten(report: dict, metric: str) -> list[str]:
    """Return one line for each task on which the model is below its best baseline."""
    lines = []
    for task in report["evaluation"]["tasks"]:
        for found in task["comparisons"]:
            difference = found["difference"]
            if found["model"] == "joint model" and found["metric"] == metric and difference["high"] < 0:
                lines.append(f"{task['task']}: {metric} is {-difference['value']:.4f} below {found['baseline']}")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("--metric", default="ndcg@10")
    options = parser.parse_args()
    found = beaten(json.loads((options.release / "report.json").read_text(encoding="utf-8")), options.metric)
    print("\n".join(found) or "the model is at or above the best baseline on every task")
    raise SystemExit(1 if found else 0)
