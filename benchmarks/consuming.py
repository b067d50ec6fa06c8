"""What the towers are worth to another team: the second and third example of docs/guide/vectors.md on the Retail log.

    python benchmarks/consuming.py ../shared/data/retail      # four minutes; results/consuming.json

The release is trained on the log before the moment, by the settings of tests/retail_project.py.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from machine import keep, machine

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "docs" / "consume")]


def main() -> None:
    """Build the release, run the examples, and keep what they found."""
    import fine_tune
    import tower_in_a_model
    from next_kinds import DAYS, KINDS, MOMENT
    from retail_project import SETTINGS, build_release

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--release", type=Path, help="A release that was built so before.")
    options = parser.parse_args()
    described = machine()
    with tempfile.TemporaryDirectory() as folder:
        release = options.release or build_release(options.data, Path(folder, "project"), MOMENT)
        found = {
            "tower_in_a_model": tower_in_a_model.main(release, options.data),
            "fine_tune": fine_tune.main(release, options.data),
        }
    task = {"kinds": KINDS, "days": DAYS, "moment": str(MOMENT), "metric": "average precision, mean over kinds"}
    keep("consuming", {"task": task, "release": SETTINGS, **found}, described)


if __name__ == "__main__":
    main()
