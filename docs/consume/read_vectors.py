"""First way: read vectors from the store. NumPy and the backend's library are all that it needs.

python docs/consume/read_vectors.py vectors --item 50 --user 10
"""

import argparse

import numpy as np

from unified_ranker.store import open_store


def main(place: str, item: str, user: str) -> dict[str, object]:
    """Print what other teams most often ask: similar items, items for a user, and users alike."""
    with open_store(place) as store:
        similar = store.neighbours("item", item, k=5)
        wanted = store.neighbours("item", user, k=5, of_kind="user")
        alike = store.neighbours("user", user, k=5)
        # Many at once, as features of a model of your own: [n, width], and which of them are there.
        batch = store.get_many("item", [one.id for one in similar])
        print(f"like item {item}: {', '.join(f'{one.id} ({one.score:.2f})' for one in similar)}")
        print(f"for user {user}: {', '.join(one.id for one in wanted)}")
        print(f"users like {user}: {', '.join(one.id for one in alike)}")
        print(
            f"{batch.found.sum()} vectors {batch.vectors.shape} of version {batch.version}, release {batch.release[0]}"
        )
        # What the store calls near, computed by hand: unit vectors, so that a dot product is their cosine.
        scores = batch.vectors @ store.get("item", item).vector
        np.testing.assert_allclose(scores, [one.score for one in similar], atol=1e-5)
        return {"similar": [one.id for one in similar], "wanted": [one.id for one in wanted]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--item", required=True)
    parser.add_argument("--user", required=True)
    options = parser.parse_args()
    main(options.store, options.item, options.user)
