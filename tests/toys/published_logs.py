"""Published logs by name: writers of small ones in their layouts."""

from published_media import (
    goodbooks,
    goodreads_csv,
    goodreads_json,
    lastfm_1k,
    mind,
    movielens_1m,
    movielens_latest,
)
from published_shops import (
    amazon_2023,
    hm,
    instacart,
    rees46,
    retailrocket,
    yelp,
)

PUBLISHED = {
    "RetailRocket": retailrocket,
    "REES46 (eCommerce behavior data)": rees46,
    "H&M Personalized Fashion": hm,
    "Instacart Market Basket": instacart,
    "MIND (Microsoft News)": mind,
    "Goodreads, UCSD CSV": goodreads_csv,
    "Goodreads, UCSD JSON": goodreads_json,
    "goodbooks-10k": goodbooks,
    "Yelp": yelp,
    "Amazon Reviews 2023": amazon_2023,
    "Last.fm 1K": lastfm_1k,
    "MovieLens 1M": movielens_1m,
    "MovieLens latest": movielens_latest,
}
"""Writers of logs, by their published names."""
