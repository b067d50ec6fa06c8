"""Requirements on the log that several signals share."""

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog


def titles(log: InteractionLog) -> Need:
    """Return the requirement that items have titles."""
    return Need("items have titles", bool(log.items["title"].notna().any()), "no item has a title")


def users(log: InteractionLog) -> Need:
    """Return the requirement that some events have a user."""
    return Need("events have users", bool(log.events["user_id"].notna().any()), "every event is anonymous")


def source_items(config: Config, log: InteractionLog) -> Need:
    """Return the requirement that some requests have a source item, given or imputed."""
    filled = any(task.imputation.source_item != "none" for task in config.tasks.values())
    there = filled or bool(log.events["source_item_id"].notna().any())
    return Need("events have a source item", there, "no event has a `source_item_id`, and no task imputes one")
