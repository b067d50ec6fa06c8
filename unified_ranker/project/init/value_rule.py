"""Rule for the value of events: a rating by its name, else a column that says yes or no, or amounts with returns.

A log of impressions with `clicked` 0 or 1, or of sales with negative quantities for returns, has no column that is
named like a value. Without one every row would be a positive.
"""

import re

import pyarrow.compute as pc

from unified_ranker.config import ColumnSource
from unified_ranker.core.errors import listed
from unified_ranker.log.column_names import words_of_name
from unified_ranker.project.init.event_words import refusal
from unified_ranker.project.init.raw_columns import RawColumn
from unified_ranker.project.init.table_columns import Found, TableColumns
from unified_ranker.project.value_scale import ValueColumn

STEPS = 101
"""Distinct texts up to which they are steps of a scale: those of a percentage."""
FEW_WORDS = 20
"""Distinct texts up to which words in a column that is named like a value are verdicts, and no remarks."""
_STEP = re.compile(r"([+-]?\d{1,9})(?:[.,](\d{1,2}))?\s*(?:%|stars?|/\s*\d+|out of \d+)?", re.IGNORECASE)
_WORDS = {
    "1": "true yes y t up like liked love loved good positive recommended upvote thumbsup \N{THUMBS UP SIGN} ja si oui",
    "0": "false no n f down dislike disliked bad negative notrecommended downvote thumbsdown \N{THUMBS DOWN SIGN} nein",
}
"""Words that say yes and no, without their gaps, by the number that they mean."""
_NUMBERS = {word: number for number, words in _WORDS.items() for word in words.split()}
_VERDICT_WORDS = (
    "click clicks clicked label labels target response outcome reward feedback like likes liked upvoted favorite y",
    "favourite favorited favourited saved followed subscribed shared purchase purchased bought buy order ordered",
    "conversion conversions converted booking booked installed install added accepted recommended recommend watched",
    "finished completed played engaged engagement interested relevant positive",
)
_CIRCUMSTANCES = frozenset(
    {
        *("mobile", "app", "web", "desktop", "tablet", "device", "ios", "android", "weekend", "weekday", "holiday"),
        *("new", "returning", "first", "last", "logged", "login", "guest", "member", "premium", "prime", "vip", "paid"),
        *("ad", "ads", "promoted", "sponsored", "promo", "promotion", "discount", "discounted", "coupon", "sale"),
        *("test", "bot", "active", "valid", "deleted", "available", "stock", "organic", "verified", "vine", "adult"),
        *("gender", "sex", "male", "female", "married", "online", "offline", "shuffle", "autoplay", "incognito", "vpn"),
        *("gift", "weather", "night", "day", "morning", "evening", "background", "anonymous", "registered"),
        *("reordered",),
    }
)
"""Words in the name of a column of 0 and 1 that speak of circumstances, and say neither yes nor no of an item."""
_VERDICTS = frozenset(word for words in _VERDICT_WORDS for word in words.split())
_AMOUNTS = {
    "quantity",
    "qty",
    "amount",
    "amounts",
    "units",
    "revenue",
    "total",
    "menge",
    "anzahl",
    "betrag",
    "cantidad",
}


def best_value(table: TableColumns, column: str) -> Found | None:
    """Choose the value: a name that fits and numbers, also as text, else what says yes or no of an event."""
    named = table.candidates(column, lambda c: c.distinct > 1 and c.holds != "times")
    for _, values in named:
        if values.holds in ("whole numbers", "numbers"):
            return ColumnSource(column=values.name), f"by its name; {_seen(values)}", ""
    for _, values in named:
        numbers = _numbers(values)
        if numbers is not None:
            return ColumnSource(column=values.name, values=numbers), f"by its name; {_seen(values)}", ""
        if values.holds == "text" and values.distinct <= FEW_WORDS:
            form = f"`--map '{column}={{column: {values.name}, values: {{THEIRS: 1, THEIRS: 0}}}}'`"
            return None, "", f"`{values.name}` holds words, {values.listed}: say which mean yes with {form}"
    return _best_verdict(table) or _share(table) or _amounts_with_returns(table)


def possible_verdicts(table: TableColumns) -> str:
    """Describe the columns that may say yes or no of each event, though their names do not tell; "" without one."""
    if "event_type" in table.choices and table.choices["event_type"].taken is not None:
        return ""
    found = [c for c in table.free() if not _CIRCUMSTANCES & set(words_of_name(c.name)) and _is_switch(c)]
    seen = ", ".join(f"`{c.name}`: {c.listed}" for c in found)
    say = (
        f"`--map value={found[0].name}` where 1 says yes of the event, `--map value=` where none does" if found else ""
    )
    return f"of each event some columns hold yes or no, and no name tells what ({seen}): say {say}" if found else ""


def _is_switch(values: RawColumn) -> bool:
    """Tell whether a column holds 0 and 1, or words for them."""
    numbers = _numbers(values) if values.distinct == 2 else None
    if numbers is None:
        return False
    return values.holds == "flags" or {numbers.get(text, text) for text in values.texts.to_pylist()} == {"0", "1"}


def _share(table: TableColumns) -> Found | None:
    """Choose the column that says how much of an item was consumed."""
    for values in table.free():
        if values.holds in ("whole numbers", "numbers") and ValueColumn(values.name).is_share:
            return ColumnSource(column=values.name), f"its name says how much was consumed; {values.seen}", ""
    return None


def _best_verdict(table: TableColumns) -> Found | None:
    """Choose the column that says yes or no of each event; of several the one that says yes most often, in doubt."""
    if "event_type" in table.choices:
        return None
    found = [(share, c, source) for c in table.free() if (of := _verdict(c)) is not None for share, source in [of]]
    if not found:
        return None
    share, best, source = max(found, key=lambda one: one[0])
    names = [c.name for _, c, _ in found]
    doubt = f"{listed(names)} say yes or no of an event each" if len(names) > 1 else ""
    return source, f"it says yes of {share:.0%} of the events; {best.listed}", doubt


def _verdict(values: RawColumn) -> tuple[float, ColumnSource] | None:
    """Return the share of rows of which a column says yes, and its source; None where it says nothing of the kind."""
    refused = refusal(values.name) == "refused"
    numbers = _numbers(values) if values.distinct in (2, 3) else None
    if numbers is None or not (refused or _VERDICTS & set(words_of_name(values.name))):
        return None
    flags = {"true": "1", "false": "0"} if values.holds == "flags" else numbers
    counts = {str(e["values"]): e["counts"] for e in pc.value_counts(values.values.cast("large_string")).to_pylist()}
    ours = {text: float(flags.get(text, text)) for text in counts}
    if not {1.0} < set(ours.values()) <= {-1.0, 0.0, 1.0}:
        return None
    if refused:
        # `returned` and `skipped` say no where they are 1.
        ours = {text: float(number <= 0) for text, number in ours.items()}
        numbers = {text: f"{number:g}" for text, number in ours.items()}
    yes = sum(count for text, count in counts.items() if ours[text] > 0)
    return yes / values.present, ColumnSource(column=values.name, values=numbers)


def _amounts_with_returns(table: TableColumns) -> Found | None:
    """Choose the amount of which some are below 0, as those of returns."""
    for values in table.free():
        if values.holds in ("whole numbers", "numbers") and _AMOUNTS & set(words_of_name(values.name)):
            below = pc.mean(pc.less(values.values.cast("float64"), 0).cast("int8")).as_py()
            if below:
                return ColumnSource(column=values.name), f"{below:.1%} of its values are below 0, as of returns", ""
    return None


def _numbers(values: RawColumn) -> dict[str, str] | None:
    """Return the numbers that the texts of a column mean, where they differ from them; None where some mean none."""
    if values.holds in ("whole numbers", "numbers", "flags"):
        return {}
    if values.holds != "text" or not values.distinct <= STEPS:
        return None
    numbers = {text: _number(text) for text in values.texts.to_pylist()}
    if None in numbers.values():
        return None
    return {text: number for text, number in numbers.items() if number is not None and number != text}


def _number(text: str) -> str | None:
    step = _STEP.fullmatch(text)
    if step is not None:
        return step[1] if step[2] is None else f"{step[1]}.{step[2]}"
    return _NUMBERS.get(re.sub(r"[\s_'-]+", "", text.casefold()))


def _seen(values: RawColumn) -> str:
    return values.listed if values.distinct <= STEPS // 2 else values.seen
