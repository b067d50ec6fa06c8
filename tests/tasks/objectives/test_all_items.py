"""All items as negatives: how large a catalogue they suit."""

from pathlib import Path

from unified_ranker.tasks.objectives.all_items import ALL_ITEMS_BELOW, AllItems

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "quality.md"


def test_its_description_and_the_guide_name_the_size_at_which_init_changes_over():
    (line,) = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if "{type: all_items}" in line]
    assert f" {ALL_ITEMS_BELOW:,} items" in line
    assert f" {ALL_ITEMS_BELOW:,} items" in AllItems.__doc__
