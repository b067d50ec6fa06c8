"""Changes of the catalogue in memory, for a service without a store: they end with the process."""

import threading
from collections.abc import Mapping
from typing import Any

from unified_ranker.events.item_change import ItemChange


class MemoryChanges:
    """See `CatalogueChanges` and `Agreements`."""

    def __init__(self) -> None:
        self._items: dict[str, ItemChange] = {}
        self._agreed: dict[str, tuple[int, dict[str, Any]]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def put_item(
        self, item_id: str, fields: Mapping[str, Any] | None, partial: bool = False, seen: int | None = None
    ) -> int:
        """See `CatalogueChanges.put_item`."""
        with self._lock:
            before = self._items.get(item_id)
            if seen is not None and seen != (before.position if before is not None else 0):
                return 0
            self._count += 1
            # Behind all others, so that the order of the items is that of their changes.
            self._items.pop(item_id, None)
            self._items[item_id] = ItemChange(item_id, self._count, fields, partial)
            return self._count

    def item_changes(self, after: int = -1) -> list[ItemChange]:
        """See `CatalogueChanges.item_changes`."""
        with self._lock:
            return [change for change in self._items.values() if change.position > after]

    def agree(self, name: str, value: Mapping[str, Any]) -> int:
        """See `Agreements.agree`."""
        with self._lock:
            self._count += 1
            self._agreed[name] = self._count, dict(value)
            return self._count

    def agreed(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """See `Agreements.agreed`."""
        with self._lock:
            return self._agreed.get(name)
