"""Places of stores and sources."""

import pytest

from unified_ranker.core.places import DIRECTORY, cut_prefix, scheme_of


@pytest.mark.parametrize(
    ("place", "scheme"),
    [
        ("redis://host:1/0", "redis"),
        ("kafka://a:1,b:2/topic", "kafka"),
        ("out/store", DIRECTORY),
        ("/abs/redis:", DIRECTORY),
        ("", DIRECTORY),
        ("one://two://three", "one"),
    ],
)
def test_a_scheme_is_what_stands_before_the_first_mark(place, scheme):
    assert scheme_of(place) == scheme


def test_the_prefix_of_keys_is_no_part_of_the_address():
    assert cut_prefix("redis://u:p@host:1/0?prefix=mine", "ur") == ("redis://u:p@host:1/0", "mine")
    assert cut_prefix("redis://host:1/0", "ur") == ("redis://host:1/0", "ur")
    assert cut_prefix("redis://host/0?other=1", "ur") == ("redis://host/0", "ur")
    assert cut_prefix("redis://host/0?prefix=a%3Ab&prefix=c", "ur") == ("redis://host/0", "a:b")
