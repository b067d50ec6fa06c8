"""Damage to the pages of an LMDB file, in place, as a disk does it."""

import os


def damage(file, sparing):
    """Give every page an unknown kind, except the first two, which say where others are, and those with a text."""
    page = os.sysconf("SC_PAGESIZE")
    with file.open("r+b") as stream:
        data = stream.read()
        for at in range(2 * page, len(data), page):
            if sparing not in data[at : at + page]:
                stream.seek(at + 10)
                stream.write(b"\xff\xff")
