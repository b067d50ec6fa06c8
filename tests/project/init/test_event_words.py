"""Names of event types: a table of those that say no, in every spelling, and of those that do not."""

import pytest

from unified_ranker.project.init.event_words import refusal

REFUSED = [
    "remove from cart", "thumbs down", "not interested", "cancel", "cancelled order", "dislike", "hide",
    "hide post", "unlike", "unfollow", "unsubscribe", "refund", "return", "product returned", "skip", "skipped",
    "dismissed", "block user", "report", "downvote", "vote down", "dont recommend channel", "never show again",
    "show less", "swipe left", "reject", "decline invite", "delete from wishlist", "cart item removed", "mute",
    "ignore", "unfavourite", "abandoned cart",
]  # fmt: skip
SHOWN = ["impression", "impressions", "item impression", "exposure", "shown", "ad display", "product displayed"]
NEITHER = [
    "click", "view", "detail view", "purchase", "add to cart", "addtocart", "begin checkout", "like", "upvote",
    "thumbs up", "favorite", "follow", "subscribe", "save", "bookmark", "share", "comment", "answer", "play",
    "watch", "listen", "rating", "download", "install", "order", "transaction", "read", "check in", "checkin",
    "unlock", "unbox", "universal search", "display click", "impression clicked", "wishlist", "booking",
    "hideout visit", "cancun trip", "notes", "interested", "skipper profile", "blockbuster", "showroom visit",
]  # fmt: skip


def spellings(words):
    parts = words.split()
    capitals = [part.capitalize() for part in parts]
    yield from ("_".join(parts), "-".join(parts), " ".join(parts), ".".join(parts), "".join(capitals))
    yield from (words.upper(), "_".join(parts).upper(), parts[0] + "".join(capitals[1:]))
    yield f"  {words.title()} "


@pytest.mark.parametrize(
    ("names", "says"), [(REFUSED, "refused"), (SHOWN, "shown"), (NEITHER, None)], ids=["refused", "shown", "neither"]
)
def test_a_name_says_the_same_in_every_spelling(names, says):
    found = {spelled: refusal(spelled) for words in names for spelled in spellings(words)}
    assert {spelled: said for spelled, said in found.items() if said != says} == {}


@pytest.mark.parametrize("name", ["removefromcart", "thumbsdown", "notinterested", "Don't like", "DISLIKED", "👎"])
def test_a_name_without_gaps_and_signs_says_no(name):
    assert refusal(name) == "refused"
