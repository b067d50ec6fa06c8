"""Change of an item since a release was written: the whole item, a part of its fields, or its removal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class ItemChange:
    """Sum of the changes of an item, as a store holds it; the latest of them has the position.

    Attributes:
        item_id: the item.
        position: number in the order of all changes; a later change has a higher one.
        fields: of the item; None: it was removed.
        partial: whether `fields` are a merge patch (RFC 7396) over the item of a release, and not the whole item.
    """

    item_id: str
    position: int
    fields: Fields | None
    partial: bool = False

    def over(self, released: Fields | None) -> Fields | None:
        """Return the item's fields over those that a release has of it, None where it has none; None: no item."""
        if not self.partial or self.fields is None:
            return self.fields
        return None if released is None else with_patch(released, self.fields)

    def record(self) -> bytes:
        """Return the change as a store writes it: null, an object, or a list of one object for a patch."""
        if self.fields is None:
            return b"null"
        return orjson.dumps([dict(self.fields)] if self.partial else dict(self.fields))

    @classmethod
    def of_record(cls, item_id: str, position: int, record: bytes) -> "ItemChange":
        """Return the change of a record."""
        value = orjson.loads(record)
        return cls(item_id, position, value[0], True) if isinstance(value, list) else cls(item_id, position, value)


def with_patch(fields: Fields, patch: Fields) -> dict[str, Any]:
    """Return fields with a merge patch over them: null removes a field, and another value replaces it (RFC 7396)."""
    kept = {name: value for name, value in fields.items() if name not in patch}
    return kept | {name: value for name, value in patch.items() if value is not None}


def composed(earlier: Fields, later: Fields) -> dict[str, Any]:
    """Return the one patch that does what two patches do, one after the other."""
    return {**earlier, **later}
