"""Texts of the files of towers/ for an inspected log."""

from collections.abc import Iterable

from unified_ranker.config.loading import INPUT_NAME
from unified_ranker.project.init.inspect_columns import Finding, percent
from unified_ranker.project.init.inspect_events import EventKind
from unified_ranker.project.init.inspect_facts import Facts
from unified_ranker.project.init.task_text import slug
from unified_ranker.project.init.yaml_page import YamlPage

HISTORY_LENGTHS = (20, 32, 50, 64, 100)
FRESHNESS_DAYS = (0.25, 0.5, 1, 2, 3, 7, 14, 30, 60, 90, 180, 365)
FRESHNESS_FACTORS = {"freshness_short": 0.1, "freshness_long": 10.0}
"""Further scales of freshness, as multiples of the first: a sum of three exponentials follows most curves of age."""
TREND_DAYS = {"last_hour": 0.042, "last_day": 1, "last_week": 7, "last_month": 30}
"""Windows in which popularity is counted: on fast logs the shortest say most, on slow ones the longest."""
TREND_SHARE = 8
"""The longest window is at most one in so many of the log's days."""
MAX_SIGNALS = 4
"""Most event types that get a quality feature each; more of them share one."""
NEXT_POSITIVES = 4
DECAY = 0.7
"""Decay of the next positives: three quarters of the weight are the first one's."""
OFTEN_AGAIN = 0.1
"""Share of positives with an item that the user had before, from which `repeats` is declared. It counts all surfaces:
people choose on one what they saw on another (docs/records/sources.md)."""


def user_page(facts: Facts) -> str:
    """Return the text of towers/user.yaml."""
    found, page = facts.events, YamlPage()
    page.note("The user foundation tower: a causal transformer over the user's events on all surfaces.")
    length = history_length(found.earlier)
    page.note(
        f"A user has {found.per_user[0]:,.0f} events in the median and {found.per_user[1]:,.0f} at the 90th "
        f"percentile; half of the positives come after {found.earlier:,.0f} or more events of their user. "
        f"The last {length} are read."
    )
    page.put("history_length", length)
    if found.read is not None:
        page.note(
            "Histories have no events that say an item was only shown: what a request showed is logged before the "
            "choice, and would tell the model what it can choose from."
        )
        page.put("history_events", list(found.read))
    page.put("encoder", {"type": "transformer", "layers": 2, "heads": 2, "dropout": 0.2})
    _features(page, "profile", facts.user_columns, "users", inputs=False)
    queries = sum(s.query_share * s.events for s in found.surfaces) / max(sum(s.events for s in found.surfaces), 1)
    if queries < 0.5:
        page.note(
            f"Most of the events have no query, so the model learns the user's next {NEXT_POSITIVES} positives on the "
            "surface, with smaller weights for later ones."
        )
        page.put("objective", {"k": NEXT_POSITIVES, "decay": DECAY})
    else:
        page.note("Most of the events have a query, and later ones have another query: only the next one is learnt.")
        page.put("objective", {"k": 1})
    return page.text()


def context_page(facts: Facts) -> str:
    """Return the text of towers/context.yaml."""
    surfaces, page = facts.events.surfaces, YamlPage()
    page.note("The context tower: the request itself. Only fields that have values in the log are read.")
    titled = facts.titles and any(s.kind == "more_like_this" for s in surfaces)
    several = len(surfaces) > 1
    queries = [s.task for s in surfaces if s.query_share > 0]
    sources = [s.task for s in surfaces if s.source_share > 0]
    fields = {
        "query": bool(queries) or titled,
        "source_item": bool(sources),
        "country": facts.countries > 1,
        "task": several,
        "previous_task": several,
        "time": True,
    }
    if fields["query"]:
        by = [f"on {', '.join(queries)}"] if queries else []
        by += ["from the source item's title"] if titled else []
        page.note(f"query: {', and '.join(by)}.")
    if sources:
        page.note(f"source_item: on {', '.join(sources)}.")
    if fields["country"]:
        page.note(
            f"country: {percent(facts.event_countries)} of events and {percent(facts.user_countries)} of "
            f"users have one, {facts.countries:,} different ones."
        )
    else:
        page.note(f"No country: the log has {facts.countries:,} countries, too few to distinguish requests.")
    if not several:
        page.note("No task and no previous_task: there is one surface only.")
    page.put("fields", [name for name, there in fields.items() if there])
    page.put("cross_layers", 1)
    if facts.countries > 50:
        page.note("Countries seen less often count as unknown.")
        page.put("country_min_count", 5)
    return page.text()


def item_page(facts: Facts) -> str:
    """Return the text of towers/item.yaml."""
    page = YamlPage()
    page.note("The item tower: an item's vector is made of its id and its features; a new item has its features alone.")
    page.put("dim", 64)
    page.note("Share of item ids that training masks; `auto`: the share of new items in serving, by the log.")
    page.put("id_mask_rate", "auto")
    _features(page, "features", facts.item_columns, "items", inputs=True)
    page.note("One encoder for titles and queries, in every tower.")
    page.put("text", {"type": "hashed", "buckets": 32768, "character_ngram": 4})
    _quality(page, facts)
    return page.text()


def ranker_page(facts: Facts, heads: int) -> str:
    """Return the text of towers/ranker.yaml for a model of `heads` outputs."""
    tasks, page = len(facts.events.surfaces), YamlPage()
    page.note("The multi-task ranking head: crossed features, experts gated by task (MMoE), one output per head.")
    page.put("hidden", 64)
    experts = 4 if tasks > 1 or heads > 1 else 1
    page.note(f"{tasks} tasks and {heads} heads share {experts} experts.")
    page.put("experts", experts)
    page.put("cross_layers", 1)
    page.put("dropout", 0.1)
    _signals(page, facts)
    return page.text()


def _signals(page: YamlPage, facts: Facts) -> None:
    """Write the signals that the log has data for."""
    surfaces = facts.events.surfaces
    asked = [s.task for s in surfaces if s.query_share > 0 or (s.kind == "more_like_this" and facts.titles)]
    sources = [s.task for s in surfaces if s.source_share > 0]
    page.note("Signals: features of a request and a candidate beside their vectors; each also proposes candidates.")
    page.begin("signals")
    if facts.titles and asked:
        page.note(f"BM25 score of titles for the query, or for the source item's title: {', '.join(asked)}.", 2)
        page.item({"type": "lexical"})
    if sources:
        page.note(f"Items that users chose from the same source item before: {', '.join(sources)}.", 2)
        page.item({"type": "source_pairs"})
    page.note("Items that other users took directly after the user's last items.", 2)
    page.item({"type": "successions"})
    if facts.coordinates:
        latitude, longitude = facts.coordinates
        page.note(f"How near the item is to the user's last places, by `{latitude}` and `{longitude}`.", 2)
        page.item({"type": "nearby"} | _unless("latitude", latitude) | _unless("longitude", longitude))
    _counted_signals(page, facts)
    again = [s for s in surfaces if (s.offers_again if s.kind == "feed" else s.had_share >= OFTEN_AGAIN)]
    if again:
        shares = ", ".join(f"{s.task} ({percent(s.had_share)})" for s in again)
        page.note(
            "The user's earlier items: how often the user had each, how long ago, and how often next to the source "
            "item. Share of positives with an item that the user had before, on any surface: "
            f"{shares}.",
            2,
        )
        page.item({"type": "repeats"})
        page.note(
            "The chance that the user comes back to an earlier item, by how often and at which times the user had it.",
            2,
        )
        page.item({"type": "returns"})


def _unless(default: str, value: str) -> dict[str, object]:
    """Return a setting of the name `default` that differs from its name."""
    return {} if value == default else {default: value}


def _counted_signals(page: YamlPage, facts: Facts) -> None:
    """Write the signals that are the methods of the report's baselines, so that the model has what they have."""
    page.note("The most popular items of the surface, which also answer users without a history.", 2)
    page.item({"type": "popular"})
    if facts.events.age_days is not None:
        page.note("The newest items.", 2)
        page.item({"type": "newest"})
    queries = [surface.task for surface in facts.events.surfaces if surface.query_share > 0]
    if queries:
        page.note(f"Items that users chose for the same query, or for its words: {', '.join(queries)}.", 2)
        page.item({"type": "query_memory"})
        page.note("What was chosen for the nearest queries, by words and parts of words.", 2)
        page.item({"type": "like_queries"})
    if facts.events.users:
        page.note(
            "Items that share users with the user's history, with its newest item, and with the source item "
            "(item-kNN).",
            2,
        )
        page.item({"type": "neighbours"})
        page.note(
            "Items that go with the user's history by a linear model in which mere popularity does not count (EASE).", 2
        )
        page.item({"type": "ease"})
        page.note(
            "Items that users took within five events after an item of the user's history, or after the source item.", 2
        )
        page.item({"type": "transitions"})


def history_length(earlier: float) -> int:
    """Return the least length that holds the whole history of half of the positives, or the longest length."""
    return next((n for n in HISTORY_LENGTHS if n >= earlier), HISTORY_LENGTHS[-1])


def freshness_scale(age_days: float) -> float:
    """Return the least scale in days that is not below the median age of items at their events."""
    return next((float(d) for d in FRESHNESS_DAYS if d >= age_days), float(FRESHNESS_DAYS[-1]))


def trend_windows(days: float) -> dict[str, float]:
    """Return the windows of popularity in days, by name, that suit a log of `days`."""
    return {name: window for name, window in TREND_DAYS.items() if window * TREND_SHARE <= days}


def _features(page: YamlPage, key: str, columns: Iterable[Finding], table: str, *, inputs: bool) -> None:
    """Write the features that columns make, each with its reason, and the columns left out with theirs."""
    chosen: list[tuple[Finding, dict[str, object]]] = []
    for column in columns:
        if column.type is None or (column.type in ("text", "categories") and not inputs):
            why = column.why if column.type is None else f"{column.why}; a profile takes categories and numbers"
            page.note(f"Left out: `{column.column}` ({why}).")
        elif inputs and not INPUT_NAME.fullmatch(column.column):
            page.note(
                f"Left out: `{column.column}` ({column.why}). Its name cannot be an input of the served "
                "model; rename it in letters, digits and _ to use it."
            )
        else:
            feature: dict[str, object] = {"type": column.type, "column": column.column}
            feature |= {"min_count": column.min_count} if column.min_count > 1 else {}
            feature |= {"log": True} if column.log else {}
            chosen.append((column, feature))
    if not chosen:
        page.note(f"The {table} table has no column that can be a feature.")
        page.put(key, [])
        return
    page.begin(key)
    for column, feature in chosen:
        page.note(f"{column.column}: {column.why}.", 2)
        page.item(feature)


def _quality(page: YamlPage, facts: Facts) -> None:
    """Write the quality vector, as of the event."""
    found = facts.events
    page.note("The quality vector, appended to the item vector; tasks give it weights (quality_weights).")
    page.begin("quality")
    page.note("Positives of all tasks before the moment of the request.", 2)
    page.entry("popularity", {"type": "popularity"})
    windows = trend_windows(found.days)
    if not windows:
        page.note(f"No trend: the log is only {found.days:.1f} days long.", 2)
    else:
        page.note(f"Positives in the {_windows(windows)} before the request.", 2)
    for name, window in windows.items():
        page.entry(name, {"type": "popularity", "window_days": window})
    for name, event_types, why in event_popularities(found.signals):
        page.note(f"{why}: they have no user, so the model learns no taste from them; they count as popularity.", 2)
        page.entry(name, {"type": "popularity", "event_types": event_types})
    if found.rating_types:
        page.note(f"The mean rating, by the values of {', '.join(f'`{t}`' for t in found.rating_types)}.", 2)
        page.entry("rating", {"type": "mean_value", "prior": 10})
    elif found.valued_types:
        types = ", ".join(f"`{t}`" for t in found.valued_types)
        page.note(f"No mean rating: the values of {types} are not ratings of items, or not for all events.", 2)
    if found.age_days is not None:
        scale = freshness_scale(found.age_days)
        page.note(
            f"Items are {_age(found.age_days)} old in the median when they are engaged with; the feature "
            f"falls to 0.37 in {scale:g} days.",
            2,
        )
        page.entry("freshness", {"type": "freshness", "scale_days": scale})
        page.note("Freshness that falls faster and slower: one scale cannot distinguish both hours and weeks.", 2)
        for name, factor in FRESHNESS_FACTORS.items():
            page.entry(name, {"type": "freshness", "scale_days": round(scale * factor, 3)})


def event_popularities(signals: Iterable[EventKind]) -> list[tuple[str, list[str], str]]:
    """Return the quality features for signals: name, event types, and the counts behind them."""
    counts: dict[str, int] = {}
    for kind in signals:
        counts[kind.event_type] = counts.get(kind.event_type, 0) + kind.events
    if len(counts) > MAX_SIGNALS:
        return [("signals", list(counts), f"{sum(counts.values()):,} anonymous events of {len(counts)} types")]
    out: dict[str, tuple[str, list[str], str]] = {}
    for event_type, count in counts.items():
        name, number = f"{slug(event_type)}_popularity", 2
        while name in out:
            name = f"{slug(event_type)}_{number}_popularity"
            number += 1
        out[name] = (name, [event_type], f"{count:,} anonymous `{event_type}` events")
    return list(out.values())


def _windows(names: Iterable[str]) -> str:
    """Return names of `TREND_DAYS` in words, such as "last hour, day or week"."""
    *first, final = (name.removeprefix("last_") for name in names)
    return f"last {', '.join(first)} or {final}" if first else f"last {final}"


def _age(days: float) -> str:
    return f"{days * 24:.1f} hours" if days < 2 else f"{days:,.0f} days"
