"""Lineage: the releases that a project continues from, noted in its work directory for every later stage."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import write_whole
from unified_ranker.release.layout import RELEASE_MANIFEST
from unified_ranker.release.manifest import read_manifest

FILE = "lineage.json"
KEPT_USERS = Path("training") / "users.parquet"
STARTS_OVER = "none"
Ancestor = Literal["since", "start"]
"""`since`: the release whose indices ids keep. `start`: the release that training continues from."""


@dataclass(frozen=True)
class Lineage:
    """Notes in a work directory: the releases to continue from."""

    work: Path

    def read(self, kind: Ancestor) -> Path | None:
        """Return the release to continue from, if any."""
        noted = self._noted().get(kind)
        return Path(noted) if noted else None

    def key(self, kind: Ancestor) -> tuple[str, ...]:
        """Return the release's part of a stage's key; empty without one.

        Raises:
            UserError: the release does not exist any more.
        """
        release = self.read(kind)
        if release is None:
            return ()
        read_manifest(release)
        return (kind, sha256(release / RELEASE_MANIFEST))

    def note(self, kind: Ancestor, release: str | None) -> None:
        """Note a release, or `none` to start over; None leaves everything as it is.

        Raises:
            UserError: there is no such release, or training cannot continue from it.
        """
        if release is None:
            return
        noted = self._noted()
        noted.pop(kind, None)
        if release != STARTS_OVER:
            # Resolved, because `latest` will point at another release later.
            path = Path(release).resolve()
            read_manifest(path)
            if not (path / KEPT_USERS).is_file():
                raise UserError(
                    f"`{release}` must be a release that training can continue from. "
                    f"Received: one without `{KEPT_USERS}`. "
                    "Name a release that this version of unified_ranker has exported."
                )
            noted[kind] = str(path)
        self.work.mkdir(parents=True, exist_ok=True)
        write_whole(self.work / FILE, json.dumps(noted, indent=2))

    def _noted(self) -> dict[str, str]:
        file = self.work / FILE
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
