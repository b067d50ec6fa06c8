"""Names of columns from elsewhere: what they mean, and that a hint never points past the right column."""

import pyarrow as pa
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.log.column_names import HEAD, OWN, SPELT, best_named, hint_for_name, meant_by, name_fit
from unified_ranker.log.schema import LOG_COLUMNS, REQUIRED, normalise
from unified_ranker.log.table_checks import known_columns

MEANT = {
    "events": {
        "user_id": "visitorid uid customer_id CustomerID reviewerID userId USER_ID household_key personId kundennr "
        "id_usuario id_cliente fullVisitorId user_pseudo_id device_id клиент 用户",
        "item_id": "product_id productId itemid asin parent_asin article_id movieId business_id StockCode contentId "
        "artikelnr id_producto",
        "timestamp": "t_dat ts event_time unixReviewTime InvoiceDate date_added fecha created_at last_login_date",
        "event_type": "event eventType action behavior_type user_action",
        "session_id": "session sessionId user_session",
        "query": "search_query searchTerm q keywords suchbegriff",
        "value": "rating stars overall star_rating Book-Rating",
        "request_id": "impression_id",
        "country": "Country country_code shipping_country",
        "source_item_id": "source_item sourceProductId",
    },
    "items": {
        "item_id": "id article_id product_code isbn",
        "title": "prod_name product_name name titel nombre",
        "categories": "genres category tags",
        "created_at": "release_date date_added published_at",
    },
    "users": {"user_id": "id customer_id", "country": "country", "created_at": "yelping_since signup_date registered"},
}
NOTHING = {
    "events": "price category_id category_code order_id transactionid InvoiceNo sales_channel_id quantity user_name "
    "product_category title helpful_vote average_rating content_type order_number region device",
    "items": "price main_category updated_at brand average_rating detail_desc",
    "users": "age gender postal_code review_count",
}


@pytest.mark.parametrize(
    ("table", "column", "name"),
    [(t, c, name) for t, columns in MEANT.items() for c, names in columns.items() for name in names.split()],
)
def test_names_of_the_trade_mean_their_column(table, column, name):
    assert meant_by(table, name) == column


@pytest.mark.parametrize(("table", "name"), [(t, name) for t, names in NOTHING.items() for name in names.split()])
def test_names_of_other_things_mean_no_column(table, name):
    assert meant_by(table, name) is None


def test_every_own_name_means_itself_better_than_any_other():
    for table, columns in LOG_COLUMNS.items():
        for column in set(columns) - {"derived"}:
            assert meant_by(table, column) == column
            assert name_fit(table, column, column) == OWN
            others = [name_fit(table, column, other) for other in columns if other != column]
            assert max(others) <= SPELT < OWN


def test_a_usual_spelling_beats_a_rare_one_and_the_main_word_alone_is_the_weakest():
    fits = [name_fit("events", "timestamp", name) for name in ("timestamp", "event_time", "fecha", "last_login_date")]
    assert fits == sorted(fits, reverse=True)
    assert fits[-1] <= HEAD < fits[-2]
    assert best_named("items", "title", ["brand_name", "product_name", "artist_name"]) == "product_name"
    assert best_named("events", "user_id", ["price", "user_session"]) is None


@pytest.mark.parametrize(
    ("names", "hints"),
    [
        ("visitorid itemid event timestamp", {"user_id": "visitorid", "item_id": "itemid", "event_type": "event"}),
        ("t_dat customer_id article_id", {"user_id": "customer_id", "item_id": "article_id", "timestamp": "t_dat"}),
        ("event_time product_id category_id price user_id", {"item_id": "product_id", "timestamp": "event_time"}),
        ("userr_id item_id timestmap", {"user_id": "userr_id", "timestamp": "timestmap"}),
    ],
)
def test_a_missing_column_is_hinted_by_the_one_that_means_it(names, hints):
    with pytest.raises(UserError) as error:
        normalise(pa.table({name: ["1"] for name in names.split()}), pa.table({"item_id": ["1"]}))
    for line in str(error.value).splitlines():
        column = line.split("`")[3]
        said = line.partition("Did you mean `")[2].partition("`")[0]
        assert said == hints.get(column, ""), line


def test_a_column_that_is_left_out_is_not_offered_what_another_one_is():
    own = {name: ["1"] for name in REQUIRED["events"]}
    line = known_columns(pa.table(own | {"product_id": ["1"], "price": ["1"], "t_dat": ["1"], "querry": ["1"]})).line()
    assert "`product_id`, `price`, `t_dat`, `querry` Did you mean `query`?" in line
    assert hint_for_name("events", "product_id", ["item_id", "request_id"]) == " Did you mean `item_id`?"
