"""Digests, against the library's own."""

import hashlib

from unified_ranker.core.digests import sha256, short_digest


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"\x00\xff" * 70_000)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"\x00\xff" * 70_000).hexdigest()


def test_a_short_digest_is_of_all_parts_one_a_line():
    assert short_digest("ñ", "b") == hashlib.sha256("ñ\nb".encode()).hexdigest()[:16]
    assert short_digest("ab", "c") != short_digest("a", "bc")
    assert len(short_digest()) == 16
