"""Texts of the files of tasks/ for an inspected log."""

import re
from collections.abc import Iterable

from unified_ranker.config.yaml_files import LOWER_NAME
from unified_ranker.core.signature_names import RESERVED_OUTPUTS
from unified_ranker.project.data_needs import LEAST_FOR_HARD
from unified_ranker.project.init.inspect_columns import percent
from unified_ranker.project.init.inspect_events import OFFERED_AGAIN, EventKind, Surface
from unified_ranker.project.init.inspect_facts import Facts
from unified_ranker.project.init.yaml_page import YamlPage
from unified_ranker.tasks.objectives.all_items import ALL_ITEMS_BELOW

LIKE = "like"
"""Name of the head of high ratings."""
UNIFORM_NEGATIVES = 1024
LARGE_CATALOGUE = 20_000
CANDIDATES, CANDIDATES_LARGE = 500, 1000
FRESH_WEIGHT = 0.5
DESCRIPTIONS = {
    "search": "items that answer a query",
    "more_like_this": "items to follow the one being looked at",
    "feed": "what the user will engage with next",
}
EXPLAINED = {
    "search": "requests carry a query",
    "more_like_this": "requests carry a source item",
    "feed": "requests carry neither a query nor a source item",
}


def task_page(surface: Surface, facts: Facts, heads: dict[str, str]) -> str:
    """Return the text of tasks/<task>.yaml; `heads` are the log's `head_names`."""
    page = YamlPage()
    page.note(f"{surface.task}: {EXPLAINED[surface.kind]} ({_shares(surface)}).")
    page.note(f"Data: {surface.events:,} of the log's {facts.events.events:,} events.")
    page.note(f"Train this surface alone: unified-ranker train --tasks {surface.task}")
    page.put("description", DESCRIPTIONS[surface.kind])
    _positives(page, surface, heads)
    _refusals(page, surface)
    if surface.derived:
        page.note("Every event is marked `derived` in the data: made by a rule, not by a user.")
        page.put("derived", True)
    _engagement(page, surface)
    _imputation(page, surface, facts)
    _negatives(page, facts.items)
    page.note("Weight of the task in the joint loss; raise it for a surface with few events.")
    page.put("weight", 1.0)
    if facts.fresh and surface.kind == "feed":
        age = surface.median_age
        old = "" if age is None else f" Half of the items engaged with here are younger than {_days(age)}."
        page.note(f"Users of this surface choose new items, so retrieval prefers them.{old}")
        page.put("quality_weights", {"freshness": FRESH_WEIGHT})
    page.note("Weight of each head in the score that orders an answer.")
    page.put("score", dict.fromkeys(all_heads([surface], heads), 1.0))
    _serving(page, facts.items)
    return page.text()


def head_names(surfaces: Iterable[Surface]) -> dict[str, str]:
    """Return the head of each event type that is a positive without a rating being a like.

    The event type itself if it can name an output of the served model, else a shortened form of it.
    """
    types = sorted(
        {k.event_type for s in surfaces for k in s.with_role("positive") if not _likes(k)},
        # Those that keep their name come first, so that no other takes it.
        key=lambda t: (not _can_be_head(t), t),
    )
    heads: dict[str, str] = {}
    for event_type in types:
        head = event_type if _can_be_head(event_type) else slug(event_type)
        taken, number = set(heads.values()), 2
        while head in taken:
            head = f"{slug(event_type)}_{number}"
            number += 1
        heads[event_type] = head
    return heads


def all_heads(surfaces: Iterable[Surface], heads: dict[str, str]) -> list[str]:
    """Return the distinct heads of some tasks, in order; `heads` are the log's `head_names`."""
    return list(dict.fromkeys(_head(k, heads) for s in surfaces for k in s.with_role("positive")))


def _can_be_head(name: str) -> bool:
    return LOWER_NAME.fullmatch(name) is not None and name not in RESERVED_OUTPUTS


def slug(name: str) -> str:
    """Return a name reduced to lower case letters, digits and _; it begins with a letter."""
    left = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return left if _can_be_head(left) else f"event_{left}".rstrip("_")


def _likes(kind: EventKind) -> bool:
    """Tell whether the positives of an event type are likes: high ratings alone."""
    return kind.rating_top is not None and not kind.unrated


def _head(kind: EventKind, heads: dict[str, str]) -> str:
    return LIKE if _likes(kind) else heads[kind.event_type]


def _shares(surface: Surface) -> str:
    if surface.kind == "search":
        return f"{percent(surface.query_share)} of the positives have one"
    if surface.kind == "more_like_this":
        return f"{percent(surface.source_share)} of the positives have one"
    return (
        f"{percent(surface.query_share)} of the positives have a query, {percent(surface.source_share)} a source item"
    )


def _positives(page: YamlPage, surface: Surface, heads: dict[str, str]) -> None:
    """Write the positives, with the reason for which other events are none."""
    for kind in surface.with_role("signal"):
        page.note(
            f"Not a positive: `{kind.event_type}` ({kind.events:,} events) never has a user, a query or a "
            "source item, so there is no request to learn from. It is a quality feature in towers/item.yaml."
        )
    for kind in surface.with_role("refused"):
        page.note(
            f"Not a positive: `{kind.event_type}` ({kind.events:,} events) means, by its name or values, that a user "
            "refused an item. Histories contain it. Add it here if it is engagement."
        )
    for kind in surface.with_role("shown"):
        page.note(
            f"Not a positive: `{kind.event_type}` ({kind.events:,} events), by its name, means that an item was "
            "shown. Histories do not contain it; see `history_events` in towers/user.yaml."
        )
    if surface.kind == "feed" and not any(k.users for k in surface.kinds):
        page.note("No event of this task has a user, so the model learns from anonymous requests alone.")
    page.begin("positives")
    for kind in surface.with_role("positive"):
        who = f"{kind.events:,} events by {kind.users:,} users"
        page.note(f"{who}{_scale(kind)}.", 2)
        declared = kind.counted.model_dump(exclude_defaults=True, exclude={"head"})
        entry = {name: int(v) if isinstance(v, float) and v == int(v) else v for name, v in declared.items()}
        if _head(kind, heads) != kind.event_type:
            entry["head"] = _head(kind, heads)
        page.item(entry)


def _refusals(page: YamlPage, surface: Surface) -> None:
    """Write the event types that say no as hard negatives, where there are enough."""
    refused = surface.with_role("refused")
    count = sum(kind.events for kind in refused)
    if count >= LEAST_FOR_HARD:
        page.note(f"{count:,} events say no: the ranking head learns to put what a user refused below what was chosen.")
        page.put("refusals", [kind.event_type for kind in refused])
    elif refused:
        page.note(f"{count:,} events say no, too few to learn from: `refusals` would need {LEAST_FOR_HARD}.")


def _scale(kind: EventKind) -> str:
    """Return what the values of an event type say, with their evidence."""
    scale = kind.scale
    if scale is None:
        return "; its `value` is no rating, so every event counts" if kind.valued else ""
    yes = f"from {scale.least:g} up ({percent(scale.share)})" if scale.least is not None else ""
    if scale.kind == "rating":
        none = f"; {percent(scale.refusing)} are {scale.lowest:g}, which stands for no rating" if scale.unrated else ""
        act = (
            f"; without a rating it counts, too, because `{kind.event_type}` is something done" if kind.unrated else ""
        )
        return f"; values are ratings up to {scale.top:g}, and {yes} one is a like{none}{act}"
    if scale.kind == "share":
        return (
            f"; values are shares of what was consumed, {scale.top:g} where all was: {yes} one counts. Set `min_value` "
            "to what you call engagement"
        )
    if scale.kind == "vote":
        return f"; values are votes: {percent(scale.share)} are 1, which says yes, the others say no"
    if scale.kind == "zero":
        return "; every value is 0, which says neither yes nor no, so every event counts"
    rest = f" ({scale.above:g} is what rounding left of it)" if scale.above else ""
    return (
        f"; {percent(scale.refusing)} of the values are 0 or below (from {scale.lowest:g}){rest}, as those of returns: "
        "they say no. Should they count, leave out `above`"
    )


def _engagement(page: YamlPage, surface: Surface) -> None:
    if surface.kind != "feed":
        page.note(
            f"{percent(surface.repeat_share)} of users' positives here are with an item that they had engaged with "
            "before; a request may ask for an item again, so every engagement counts."
        )
    else:
        page.note(
            f"{percent(surface.again_share)} of the positives of returning users are with an item that they had "
            "engaged with a day or more before."
        )
        if surface.offers_again:
            page.note(
                f"From {percent(OFFERED_AGAIN)} up users come back for the same items: the feed offers them again, and "
                "every engagement counts."
            )
        else:
            page.note(
                f"Below {percent(OFFERED_AGAIN)} a feed should show new items: earlier ones are not offered again, and "
                "only the first engagement counts."
            )
    page.put("first_engagement_only", not surface.offers_again)
    page.put("exclude_engaged", not surface.offers_again)


def _imputation(page: YamlPage, surface: Surface, facts: Facts) -> None:
    from_title = surface.kind == "more_like_this" and facts.titles
    user_countries = facts.user_countries
    if from_title:
        page.note("No query is typed: the source item's title stands in for one (UniCoRn, arXiv 2408.10394).")
    elif surface.kind == "more_like_this":
        page.note("Items have no titles, so none can replace a missing query.")
    elif surface.kind == "search":
        page.note("The user types the query; nothing can replace it.")
    else:
        page.note("Requests have neither a query nor a source item, and nothing else to make one from.")
    if user_countries:
        page.note(f"{percent(user_countries)} of users have a country, which is used where the event has none.")
    else:
        page.note("No user has a country to use where the event has none.")
    page.put(
        "imputation",
        {
            "query": "source_item_title" if from_title else "none",
            "source_item": "none",
            "country": "user" if user_countries else "none",
        },
    )


def _negatives(page: YamlPage, items: int) -> None:
    if items < ALL_ITEMS_BELOW:
        page.note(f"{items:,} items are few enough to learn against all of them at every step.")
        page.put("negatives", {"type": "all_items"})
    else:
        page.note(
            f"{items:,} items: each step learns against its batch's positives and "
            f"{UNIFORM_NEGATIVES:,} random items, corrected for how often each is drawn (log-Q)."
        )
        page.put("negatives", {"type": "sampled", "uniform": UNIFORM_NEGATIVES})


def _serving(page: YamlPage, items: int) -> None:
    wanted = CANDIDATES_LARGE if items > LARGE_CATALOGUE else CANDIDATES
    candidates = min(wanted, items)
    which = "all items" if candidates == items else f"the best {candidates:,} of {items:,} items"
    page.note(f"Retrieval passes {which} to the ranker; an answer has `limit` items unless the request has a limit.")
    page.put("serving", {"candidates": candidates, "limit": min(10, candidates)})


def _days(days: float) -> str:
    """Return a number of days in words."""
    return f"{days * 24:.0f} hours" if days < 2 else f"{days:.0f} days"
