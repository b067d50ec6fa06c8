"""Offers of the catalogue inside the served graph: the countries in which items may be shown."""

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.offers import Offers, offered
from unified_ranker.towers.lookup import string_table
from unified_ranker.towers.tensorflow import tf


class OfferTable(tf.Module):
    """Availability and countries of the release's items, `[items]`; it is empty where no item is restricted."""

    def __init__(self, offers: Offers) -> None:
        """Store the restrictions of items."""
        super().__init__(name="offers")
        self.available = tf.constant(True)
        if not offers.available.all():
            self.available = tf.Variable(offers.available, trainable=False)
        self.countries = None
        if offers.countries:
            self.countries = string_table(offers.countries, first=0, default=MISSING)
            self.restricted = tf.Variable(offers.restricted, trainable=False)
            self.items = tf.Variable(offers.items, trainable=False)
            self.codes = tf.Variable(offers.codes, trainable=False)

    def offered(self, country: tf.Tensor) -> tf.Tensor:
        """Return which items are offered in the countries of requests `[batch]`, `[batch, items]` or `[1, 1]`."""
        if self.countries is None:
            return tf.constant([[True]])
        hits = self.codes[:, None] == self.countries.lookup(country)[None]
        named = tf.math.unsorted_segment_max(tf.cast(hits, tf.int32), self.items, tf.shape(self.restricted)[0])
        return offered(country[:, None] != "", tf.transpose(named) > 0, self.restricted[None])
