"""Authorisation: bearer tokens with roles, and the host names that a service on loopback accepts."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from unified_ranker.core.errors import UserError, unknown_name

READ, EVENTS, ADMIN = "read", "events", "admin"
_ROLES = (READ, EVENTS, ADMIN)
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_OPEN = re.compile(r"/|/page/[a-z]+\.(css|js|svg)|/healthz|/readyz|/docs|/openapi\.json|/favicon\.ico")
_BEARER = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]{16,256})", re.IGNORECASE)


def role_needed(method: str, path: str) -> str | None:
    """Return the role that a request needs; None where anyone may call. Other paths need the highest role."""
    if method in ("GET", "HEAD") and _OPEN.fullmatch(path):
        return None
    if (method, path) == ("POST", "/v1/events"):
        return EVENTS
    if (method, path) == ("POST", "/v1/recommend"):
        return READ
    if method in ("GET", "HEAD") and path in ("/metrics", "/v1/release"):
        return READ
    if method in ("GET", "HEAD") and path.startswith("/v1/items/"):
        return READ
    return ADMIN


@dataclass(frozen=True)
class AccessToken:
    """One token, as its SHA-256, so that the file of tokens holds no secrets."""

    name: str
    sha256: str
    roles: tuple[str, ...]


class AccessTokens:
    """Tokens that a service accepts.

    Args:
        tokens: each of them.
    """

    def __init__(self, tokens: Sequence[AccessToken]) -> None:
        self._tokens = tuple(tokens)

    @classmethod
    def read(cls, file: Path) -> "AccessTokens":
        """Read a YAML list of `{name, sha256, roles}`, as `unified-ranker token` prints them.

        Raises:
            UserError: it cannot be read, or is not that.
        """
        try:
            rows = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"`--tokens` must be a YAML file. Received: `{file}`: {error}.") from error
        if not isinstance(rows, list) or not rows:
            raise UserError(f"`{file}` must be a list of tokens, at least one. Make one with `unified-ranker token`.")
        return cls([_token(file, number, row) for number, row in enumerate(rows)])

    def roles_of(self, authorization: str) -> tuple[str, ...] | None:
        """Return the roles of an `Authorization` header; None for one that holds no token of these."""
        match = _BEARER.fullmatch(authorization.strip())
        if match is None:
            return None
        digest, found = sha256_of(match[1]), None
        for token in self._tokens:  # all of them, so that the time reveals nothing
            if hmac.compare_digest(token.sha256, digest):
                found = token.roles
        return found


def allows(roles: Sequence[str], needed: str) -> bool:
    """Tell whether roles hold the one that is needed; an admin may do all."""
    return needed in roles or ADMIN in roles


def sha256_of(token: str) -> str:
    """Return the SHA-256 of a token, as hex digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(name: str, roles: Sequence[str]) -> tuple[str, AccessToken]:
    """Make a token; returns its text for the holder, and its record for the service.

    Raises:
        UserError: a role is unknown.
    """
    for role in roles:
        if role not in _ROLES:
            raise unknown_name("role", role, _ROLES)
    secret = secrets.token_urlsafe(32)
    return secret, AccessToken(name, sha256_of(secret), tuple(roles))


def host_allowed(header: str, names: Sequence[str]) -> bool:
    """Tell whether a `Host` header is one of the names: a page that attacks by DNS rebinding sends another."""
    try:
        return (urlsplit(f"//{header}").hostname or "") in names
    except ValueError:
        return False


def _token(file: Path, number: int, row: object) -> AccessToken:
    if not isinstance(row, dict) or set(row) != {"name", "sha256", "roles"}:
        raise UserError(f"`{file}`, {number}: a token has `name`, `sha256` and `roles`. Received: {str(row)[:80]}.")
    if not re.fullmatch(r"[0-9a-f]{64}", str(row["sha256"])):
        raise UserError(f"`{file}`, {number}.sha256: must be 64 hex digits. Make one with `unified-ranker token`.")
    roles = row["roles"] if isinstance(row["roles"], list) else [row["roles"]]
    for role in roles:
        if role not in _ROLES:
            raise UserError(f"`{file}`, {number}.roles: {unknown_name('role', str(role), _ROLES)}")
    return AccessToken(str(row["name"]), str(row["sha256"]), tuple(roles))
