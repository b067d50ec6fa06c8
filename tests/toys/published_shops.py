"""Small logs in the layouts of published shops and places: names of files and columns, separators, encodings and forms
of times are theirs, the rows are drawn.

Each function writes the files into a directory and returns the events that they hold: who did what to which item, when,
with which value.
"""

import numpy as np
import pandas as pd
from drawn_log import ITEMS, USERS, choose, csv, drawn, json_lines, log, stamped, titles


def retailrocket(folder):
    e = drawn()
    kind = choose(e.draw, {"view": 90, "addtocart": 6, "transaction": 4})
    visitors, items = e.user * 7919 + 257_000, e.item * 101 + 355_000
    raw = pd.DataFrame(
        {
            "timestamp": e.time * 1000 + 117,
            "visitorid": visitors,
            "event": kind,
            "itemid": items,
            "transactionid": np.where(kind == "transaction", e.index.astype(str), ""),
        }
    )
    csv(raw, folder / "events.csv")
    start, rows = int(e.time.min()) * 1000, []
    for i in range(ITEMS - 3):
        rows.append((start, i * 101 + 355_000, "categoryid", 1000 + i % 5))
        rows.append((start + 10**9, i * 101 + 355_000, "categoryid", 1009))
        rows.append((start, i * 101 + 355_000, "available", 1))
        rows.append((start, i * 101 + 355_000, "790", f"n{i * 1200}.000"))
    properties = pd.DataFrame(rows, columns=["timestamp", "itemid", "property", "value"])
    csv(properties.iloc[:80], folder / "item_properties_part1.csv")
    csv(properties.iloc[80:], folder / "item_properties_part2.csv")
    tree = pd.DataFrame(
        {"categoryid": [1000, 1001, 1002, 1003, 1004, 1009], "parentid": ["213", "213", "169", "", "9", ""]}
    )
    csv(tree, folder / "category_tree.csv")
    return log(visitors, items, pd.to_datetime(raw.timestamp, unit="ms", utc=True), kind)


def rees46(folder):
    e = drawn(first="2019-10-01", days=61)
    kind = choose(e.draw, {"view": 85, "cart": 9, "purchase": 6})
    code = np.array(["electronics.smartphone", "appliances.kitchen.washer", None], object)[e.item % 3]
    raw = pd.DataFrame(
        {
            "event_time": stamped(e.time).dt.strftime("%Y-%m-%d %H:%M:%S UTC"),
            "event_type": kind,
            "product_id": e.item + 44_600_062,
            "category_id": 2_103_807_459_595_387_000 + e.item % 7,
            "category_code": code,
            "brand": np.array(["shiseido", "aqua", None], object)[e.item % 3],
            "price": (e.item * 3.7 + e.draw).round(2),
            "user_id": e.user + 541_312_140,
            "user_session": [
                f"72d76fde-8bb3-4e00-8c23-{u:06d}{t // 86_400:06d}" for u, t in zip(e.user, e.time, strict=True)
            ],
        }
    )
    month = stamped(e.time).dt.month
    csv(raw[month == 10], folder / "2019-Oct.csv")
    csv(raw[month == 11], folder / "2019-Nov.csv")
    return log(raw.user_id, raw.product_id, stamped(e.time), kind)


def hm(folder):
    e = drawn(first="2018-09-20", days=700)
    days = stamped(e.time).dt.strftime("%Y-%m-%d")
    article = [f"0{663_713_001 + 1001 * i}" for i in range(ITEMS)]
    customer = [f"{u:064x}" for u in range(USERS)]
    raw = pd.DataFrame(
        {
            "t_dat": days,
            "customer_id": [customer[u] for u in e.user],
            "article_id": [article[i] for i in e.item],
            "price": (0.01 + e.item / 1000).round(6),
            "sales_channel_id": 1 + e.user % 2,
        }
    )
    csv(raw, folder / "transactions_train.csv")
    number = np.arange(ITEMS)
    articles = {
        "article_id": article,
        "product_code": 663_713 + number,
        "prod_name": titles(),
        "product_type_no": 250 + number % 4,
        "product_type_name": number % 4,
        "product_group_name": number % 2,
        "graphical_appearance_no": 1_010_016 + number % 3,
        "graphical_appearance_name": number % 3,
        "colour_group_code": number % 5,
        "colour_group_name": number % 5,
        "perceived_colour_value_id": number % 3,
        "perceived_colour_value_name": number % 3,
        "perceived_colour_master_id": number % 4,
        "perceived_colour_master_name": number % 4,
        "department_no": 1600 + number % 6,
        "department_name": number % 6,
        "index_code": number % 2,
        "index_name": number % 2,
        "index_group_no": number % 2,
        "index_group_name": number % 2,
        "section_no": number % 3,
        "section_name": number % 3,
        "garment_group_no": number % 2,
        "garment_group_name": number % 2,
        "detail_desc": [f"Jersey top number {i} with narrow straps, in a fine weave" for i in number],
    }
    csv(
        pd.DataFrame(
            {k: [f"{k} {x}" if k.endswith("name") and k != "prod_name" else x for x in v] for k, v in articles.items()}
        ),
        folder / "articles.csv",
    )
    customers = pd.DataFrame(
        {
            "customer_id": customer,
            "FN": ["1.0", ""] * (USERS // 2),
            "Active": ["1.0", ""] * (USERS // 2),
            "club_member_status": ["ACTIVE", "PRE-CREATE"] * (USERS // 2),
            "fashion_news_frequency": ["NONE", "Regularly"] * (USERS // 2),
            "age": np.arange(USERS) % 50 + 18.0,
            "postal_code": [f"{u % 9:064x}" for u in range(USERS)],
        }
    )
    csv(customers, folder / "customers.csv")
    csv(customers[["customer_id"]].assign(prediction=article[0]), folder / "sample_submission.csv")
    # A day holds a purchase once or several times; equal rows count once.
    return log(raw.customer_id, raw.article_id, pd.to_datetime(days, utc=True), "purchase").drop_duplicates()


def instacart(folder):
    rng = np.random.default_rng(3)
    orders, lines, expected = [], [], []
    for user in range(1, USERS + 1):
        count = int(rng.integers(3, 9))
        gaps = [0, *rng.integers(1, 31, count - 1)]
        placed = []
        for number in range(count):
            order = len(orders) + 1
            last = number == count - 1
            part = ["train", "test"][user % 2] if last else "prior"
            dow, hour = int(rng.integers(0, 7)), int(rng.integers(0, 24))
            orders.append(
                (order, user, part, number + 1, dow, f"{hour:02d}", "" if number == 0 else float(gaps[number]))
            )
            placed.append((order, part, dow, hour, sum(gaps[: number + 1])))
        for order, part, _, hour, day in placed:
            if part == "test":
                continue
            when = pd.Timestamp("2017-01-01", tz="UTC") + pd.Timedelta(
                days=int(day - placed[-1][4] + placed[-1][2]), hours=hour
            )
            for n, product in enumerate(rng.choice(ITEMS, 4, replace=False) + 1):
                lines.append((part, order, product, n + 1, int(rng.integers(0, 2))))
                expected.append((user, product, when))
    csv(
        pd.DataFrame(
            orders,
            columns=[
                "order_id",
                "user_id",
                "eval_set",
                "order_number",
                "order_dow",
                "order_hour_of_day",
                "days_since_prior_order",
            ],
        ),
        folder / "orders.csv",
    )
    table = pd.DataFrame(lines, columns=["part", "order_id", "product_id", "add_to_cart_order", "reordered"])
    for part in ("prior", "train"):
        csv(table[table.part == part].drop(columns="part"), folder / f"order_products__{part}.csv")
    number = np.arange(1, ITEMS + 1)
    csv(
        pd.DataFrame(
            {
                "product_id": number,
                "product_name": titles(),
                "aisle_id": number % 6 + 1,
                "department_id": number % 3 + 1,
            }
        ),
        folder / "products.csv",
    )
    csv(
        pd.DataFrame({"aisle_id": range(1, 7), "aisle": ["prepared soups", "tea", "yogurt", "ham", "eggs", "mints"]}),
        folder / "aisles.csv",
    )
    csv(
        pd.DataFrame({"department_id": [1, 2, 3], "department": ["frozen", "other", "bakery"]}),
        folder / "departments.csv",
    )
    users, products, times = zip(*expected, strict=True)
    return log(users, products, list(times), "purchase")


def yelp(folder):
    e = drawn(first="2016-03-09", days=900)
    stars = (1 + e.draw * 5).astype(int)
    users, places = [f"u{u:021d}" for u in range(USERS)], [f"b{i:021d}" for i in range(ITEMS)]
    form = stamped(e.time).dt.strftime("%Y-%m-%d %H:%M:%S")
    rows = list(zip(e.user, e.item, stars, form, strict=True))
    json_lines(
        (
            {
                "review_id": f"r{n:021d}",
                "user_id": users[u],
                "business_id": places[i],
                "stars": float(s),
                "useful": n % 3,
                "funny": 0,
                "cool": n % 2,
                "text": "Decided to eat here, and it was good.",
                "date": when,
            }
            for n, (u, i, s, when) in enumerate(rows)
        ),
        folder / "yelp_academic_dataset_review.json",
    )
    json_lines(
        (
            {"user_id": users[u], "business_id": places[i], "text": "Try it", "date": when, "compliment_count": 0}
            for u, i, _, when in rows[:60]
        ),
        folder / "yelp_academic_dataset_tip.json",
    )
    json_lines(
        (
            {
                "business_id": place,
                "name": title,
                "address": "1616 Chapala St",
                "city": ["Reno", "Tampa"][i % 2],
                "state": "NV",
                "postal_code": "93101",
                "latitude": 34.4 + i / 100,
                "longitude": -119.7 - i / 100,
                "stars": 3.5,
                "review_count": i,
                "is_open": i % 2,
                "attributes": {"ByAppointmentOnly": "True"} if i % 3 else None,
                "categories": ["Doctors, Health & Medical", "Food, Bars, Nightlife", "Bars, Nightlife", None][i % 4],
                "hours": None,
            }
            for i, (place, title) in enumerate(zip(places, titles(), strict=True))
        ),
        folder / "yelp_academic_dataset_business.json",
    )
    json_lines(
        (
            {
                "user_id": user,
                "name": "Walker",
                "review_count": n,
                "yelping_since": "2007-01-25 16:47:26",
                "useful": n,
                "funny": 1,
                "cool": 2,
                "elite": "2007",
                "friends": "None",
                "fans": n % 4,
                "average_stars": 3.9,
            }
            for n, user in enumerate(users)
        ),
        folder / "yelp_academic_dataset_user.json",
    )
    json_lines(
        ({"business_id": place, "date": "2020-03-13 21:10:56, 2020-06-02 22:18:06"} for place in places),
        folder / "yelp_academic_dataset_checkin.json",
    )
    return log([users[u] for u in e.user], [places[i] for i in e.item], stamped(e.time), "review", stars)


def amazon_2023(folder):
    e = drawn(first="2020-05-05", days=900)
    stars = (1 + e.draw * 5).astype(int)
    users, parents = (
        [f"AGKHLEW2SOWHNMFQIJGBECAF{u:04d}" for u in range(USERS)],
        [f"B00YQ6{i:04d}" for i in range(ITEMS)],
    )
    json_lines(
        (
            {
                "rating": float(s),
                "title": "Such a lovely scent",
                "text": "It smells good, and I love it.",
                "images": [],
                "asin": parents[i] if n % 3 else f"B08VAR{i:04d}",
                "parent_asin": parents[i],
                "user_id": users[u],
                "timestamp": int(t) * 1000 + 34,
                "helpful_vote": n % 4,
                "verified_purchase": n % 5 > 0,
            }
            for n, (u, i, s, t) in enumerate(zip(e.user, e.item, stars, e.time, strict=True))
        ),
        folder / "All_Beauty.jsonl.gz",
    )
    json_lines(
        (
            {
                "main_category": "All Beauty",
                "title": title,
                "average_rating": 4.8,
                "rating_number": i,
                "features": ["Soft", "Long"],
                "description": ["One", "Two"],
                "price": None if i % 2 else 12.5 + i,
                "images": [{"thumb": "https://m.media/1.jpg"}],
                "videos": [],
                "store": ["Howard LC", "Yes To"][i % 2],
                "categories": [["Beauty", "Hair"], ["Beauty"]][i % 2],
                "details": {"Brand": "Yes To"},
                "parent_asin": parent,
                "bought_together": None,
            }
            for i, (parent, title) in enumerate(zip(parents, titles(), strict=True))
        ),
        folder / "meta_All_Beauty.jsonl.gz",
    )
    times = pd.to_datetime(e.time * 1000 + 34, unit="ms", utc=True)
    return log([users[u] for u in e.user], [parents[i] for i in e.item], times, "rating", stars)
