"""Proposal of columns: which column of tables from elsewhere is which of ours, by names and values.

Keys come first, because the column of the events that holds the keys of the items is the item, whatever its name is.
"""

from collections.abc import Mapping

from unified_ranker.config import ColumnSource
from unified_ranker.core.errors import listed
from unified_ranker.log.column_names import name_fit, words_of_name
from unified_ranker.project.init.column_choices import TABLE_NAMES, Choice, Said
from unified_ranker.project.init.column_rules import (
    best_categories,
    best_country,
    best_identifier,
    best_session,
    best_source,
    best_suited,
    best_task,
    best_time,
)
from unified_ranker.project.init.event_words import EVENT_WORDS
from unified_ranker.project.init.inspect_columns import percent
from unified_ranker.project.init.raw_columns import RawColumn
from unified_ranker.project.init.table_columns import Rule, TableColumns
from unified_ranker.project.init.value_rule import best_value, possible_verdicts

KEY_COLUMNS = ("item_id", "user_id")
CLEAR = 0.25
"""Difference of two pairs of keys, in shares of common values, from which one is clearly better."""
HOME_FEED = "home_feed"
INTERACTION = "interaction"
_OF_EVENTS: Mapping[str, Rule] = {
    "session_id": best_session,
    "timestamp": best_time,
    "event_type": best_suited,
    "task": best_task,
    "value": best_value,
    "query": best_suited,
    "country": best_country,
    "request_id": best_suited,
    "position": best_suited,
}
_OF_ITEMS: Mapping[str, Rule] = {"title": best_suited, "categories": best_categories, "created_at": best_time}
_OF_USERS: Mapping[str, Rule] = {"country": best_country, "created_at": best_time}


def propose_columns(
    tables: Mapping[str, Mapping[str, RawColumn]], said: Said, names: Mapping[str, str], timed: bool = True
) -> list[Choice]:
    """Propose the columns of a log.

    Args:
        tables: the columns of `events`, and of `items` and `users` where there are such tables.
        said: what a person has decided.
        names: the names of the tables' files, which may say what the events are.
        timed: whether the log has times.

    Returns:
        A choice for every column of ours that is required or was found.
    """
    events, items, users = (TableColumns(name, tables.get(name, {}), said.get(name)) for name in TABLE_NAMES)
    for key, other in (("item_id", items), ("user_id", users)):
        if other.columns:
            _join(events, other, key)
        else:
            events.choose(key, best_identifier)
    _sessions_are_users(events)
    for column, rule in _OF_EVENTS.items():
        if column != "timestamp" or timed:
            events.choose(column, rule)
    possible = possible_verdicts(events) if events.open("value") else ""
    if possible:
        events.put("value", None, "every event counts", possible, optional=True)
    known = items if items.columns else events
    item_ids = known.columns.get(known.choices["item_id"].taken or "")
    if item_ids is not None:
        events.choose("source_item_id", lambda table, column: best_source(table, column, item_ids))
    _constants(events, names["events"])
    if not items.columns:
        # The items are those of the events, so the columns that describe them are, too.
        items = TableColumns("items", {c.name: c for c in events.free()}, said.get("items"))
    for table, rules in ((items, _OF_ITEMS), (users, _OF_USERS)):
        for column, rule in rules.items():
            if table is not items or tables.get("items") or column != "created_at":
                table.choose(column, rule)
    return [choice for table in (events, items, users) for choice in table.in_order()]


def _join(events: TableColumns, other: TableColumns, key: str) -> None:
    """Choose the key of the items or users, and the column of the events that holds it."""
    ours, theirs = _possible(events, key), _possible(other, key)
    pairs = sorted(((_likeness(o, t, key, other.name), o, t) for o in ours for t in theirs), key=lambda pair: -pair[0])
    if not pairs:
        for table, found in ((events, ours), (other, theirs)):
            if found:
                table.choose(key, best_identifier)
            else:
                table.put(key, None, "", f"no column of {table.name} holds identifiers")
        return
    score, our, their = pairs[0]
    rivals = list(dict.fromkeys(o.name for s, o, _ in pairs if o is not our and s > score - CLEAR))
    share = our.share_in(their)
    doubt = ""
    if rivals:
        doubt = f"{listed([our.name, *rivals])} fit `{their.name}` of {other.name} alike"
    elif (better := _better_named(events, key, our)) is not None:
        doubt = f"`{better}` is named like one, and no key of {other.name}; `{our.name}` is, in `{their.name}`"
    elif share == 0 and not our.name == their.name == key:
        doubt = f"no value of it is in `{their.name}` of {other.name}"
    events.put(
        key, ColumnSource(column=our.name),
        f"{percent(share)} of its values are in {other.name}, `{their.name}`; {our.seen}", doubt,
    )  # fmt: skip
    other.put(key, ColumnSource(column=their.name), f"the key that the events' `{our.name}` holds; {their.seen}")


def _better_named(events: TableColumns, key: str, chosen: RawColumn) -> str | None:
    """Return the column that is named like a key, where the chosen one is not: tags, too, have a table."""
    if key in events.choices or name_fit("events", key, chosen.name):
        return None
    named = events.candidates(key, lambda c: c.may_identify)
    return named[0][1].name if named else None


def _possible(table: TableColumns, key: str) -> list[RawColumn]:
    """Return the columns that may be a key: the one that was said, or has the key's own name, else identifiers."""
    if key in table.choices:
        column = table.columns.get(table.choices[key].taken or "")
        return [] if column is None else [column]
    if key in table.columns:
        return [table.columns[key]]
    # A column that is named like another key is none of this one, though its numbers may be the same.
    others = [other for other in KEY_COLUMNS if other != key]
    named = {c.name: max(name_fit("events", other, c.name) for other in others) for c in table.free()}
    return [c for c in table.free() if c.identifies and name_fit(table.name, key, c.name) >= named[c.name]]


def _likeness(ours: RawColumn, theirs: RawColumn, key: str, table: str) -> float:
    """Return how well two columns go together as a key: by common values, names, and whether they are a key at all."""
    common = ours.share_in(theirs) + theirs.share_in(ours)
    named = name_fit("events", key, ours.name) + name_fit(table, key, theirs.name)
    return common + named / 4 + theirs.unique


def _sessions_are_users(events: TableColumns) -> None:
    """Take a session for the user of a log that has no users."""
    if events.choices["user_id"].source is None:
        sessions = events.candidates("session_id", lambda c: c.identifies)
        if sessions:
            best = sessions[0][1]
            del events.choices["user_id"]
            events.put(
                "user_id", ColumnSource(column=best.name), f"no column is a user, so each session is one; {best.seen}"
            )


def _constants(events: TableColumns, name: str) -> None:
    """Choose constants for the event type and the surface, where no column says them."""
    if events.open("event_type"):
        word, where = _event_word(name, events)
        events.put("event_type", ColumnSource(value=word), f"no column says it, {where}")
    if events.open("task"):
        query, source = _mostly(events, "query"), _mostly(events, "source_item_id")
        if query:
            task, why = "search", f"one surface, whose events have a query, `{query}`"
        elif source:
            task, why = "more_like_this", f"one surface, whose events have a source item, `{source}`"
        else:
            task, why = HOME_FEED, "no column says the surface, and most events have neither a query nor a source item"
        events.put("task", ColumnSource(value=task), why)


def _mostly(events: TableColumns, column: str) -> str | None:
    """Return the column of theirs that is a column of ours, if most events have a value of it."""
    choice = events.choices.get(column)
    theirs = None if choice is None else events.columns.get(choice.taken or "")
    return theirs.name if theirs is not None and theirs.present > theirs.rows / 2 else None


def _event_word(name: str, events: TableColumns) -> tuple[str, str]:
    """Return the type of event that the file's name or the columns' speak of, and where it was found."""
    known = {word: event for event, words in EVENT_WORDS.items() for word in words.split()}
    value = events.choices.get("value")
    for word in words_of_name(name):
        if word in known:
            return known[word], f"the file is `{name}`"
    if value is not None and name_fit("events", "value", value.taken or ""):
        return "rating", f"`{value.taken}` is a rating"
    for column in events.columns:
        for word in words_of_name(column):
            if word in known:
                return known[word], f"there is a column `{column}`"
    return INTERACTION, "nor does the file's name"
