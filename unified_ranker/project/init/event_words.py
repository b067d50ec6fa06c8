"""Names of event types that say no: an item was only shown, or the user refused it."""

import re
import unicodedata
from typing import Literal

from unified_ranker.log.column_names import words_of_name

EventSays = Literal["shown", "refused"]
EVENT_WORDS = {
    "purchase": "transaction transactions purchase purchases purchased bought order orders sale sales invoice invoices "
    "basket baskets",
    "rating": "rating ratings stars",
    "review": "review reviews",
    "play": "play plays listen listens listening scrobble scrobbles traid track song",
    "watch": "watch watches stream streams",
    "click": "click clicks clicked clickstream",
    "view": "view views pageview pageviews visit visits",
    "checkin": "checkin checkins",
    "read": "read reads reading",
}
"""Words in the name of an event type, a file or a column, by the type of event that they speak of."""
_ACTS = frozenset(
    word for event, words in EVENT_WORDS.items() if event not in ("rating", "review") for word in words.split()
)

_SHOWN = re.compile(r"impr|impressions?|exposures?|exposed|shown|display(s|ed)?|served|rendered|viewable")
_ENGAGED = re.compile(r"(click|tap|open|buy|bought|purchase|order|like|conver(sion|t))(s|ed)?")
"""Words by which an event of something shown is more than that: `display_click`."""
_REFUSED = re.compile(
    r"skip(s|ped|ping)?|hid(e|es|den|ing)|dismiss(es|ed|al)?|block(s|ed)?|report(s|ed)?|mut(e|es|ed)|ignor(e|es|ed)"
    r"|reject(s|ed|ion)?|declin(e|es|ed)|dislik(e|es|ed)|refund(s|ed)?|return(s|ed)?|cancel(s|l?ed|lations?)?"
    r"|remov(e|es|ed|als?)|delet(e|es|ed|ions?)|discard(s|ed)?|abandon(s|ed|ment)?|complain(s|ts?|ed)|spam|nope"
    r"|un(lik|follow|subscrib|sav|favou?rit|bookmark|star|pin|wish|vot|watch|heart|install|match|friend)(e|es|ed|s|ing)?"
    r"|not|never|dont|downvot(e|es|ed)"
)
_REFUSED_PHRASE = re.compile(
    r"thumbs?down|\N{THUMBS DOWN SIGN}|down(vot|rat)|(vot|rat)ed?down|dislike|notinterest|nointerest|nothanks|notforme"
    r"|notrelevant|removefrom|removedfrom|deletefrom|(show|see)(less|fewer)|lesslikethis|swiped?left|leftswipe"
)
"""Phrases, found in the name without its gaps: many logs write `removefromcart`."""


def is_act(event_type: str) -> bool:
    """Tell whether the name of an event type says what was done, so that it is engagement without a rating, too."""
    return bool(_ACTS & set(words_of_name(event_type)))


def refusal(event_type: str) -> EventSays | None:
    """Tell whether the name of an event type says no; None: it says nothing of the kind.

    Words count in any case and spelling: `remove_from_cart`, `RemoveFromCart`, `removefromcart`, `Remove from cart`.
    """
    name = unicodedata.normalize("NFKC", event_type)
    # Gaps between the words of camelCase and of HTMLView.
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).casefold().replace("'", "")
    words = [word for word in re.split(r"[\W_]+", spaced) if word]
    if any(_REFUSED.fullmatch(word) for word in words) or _REFUSED_PHRASE.search(re.sub(r"[\s\-_./:]+", "", spaced)):
        return "refused"
    shown = any(_SHOWN.fullmatch(word) for word in words)
    return "shown" if shown and not any(_ENGAGED.fullmatch(word) for word in words) else None
