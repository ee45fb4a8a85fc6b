#!/usr/bin/env python3
"""Recompute the root of an evidence pack with the standard library alone.

usage: anchor_root.py [--check ANCHOR.json] PACK

Reads every file of the pack, compares it with EVI/manifest.json and prints the
RFC 6962 root, so that nobody has to trust (or have) prega to compare an anchor
with a pack. A leaf is the text "<sha256>  <size>  <path>\\n"; leaf 0 is the
manifest, the others follow in its order. With --check the root, the number of
leaves and the SHA-256 of the pack must be those of ANCHOR.json.

It does not judge: `prega verify` also re-computes the verdict. Exit status: 0
if all agrees, 1 if something does not, 2 if it was called wrongly.
"""
import argparse
import hashlib
import json
import sys
import zipfile

PREFIX = "EVI/"
MANIFEST = "manifest.json"
FORMAT = "prega-evidence/1"
MAX_PACK = (1 << 30) + (64 << 20)
CHUNK = 1 << 20


class Refused(Exception):
    """The pack is not what it should be."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def tree_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: split at the largest power of two below the count."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + tree_root(leaves[:half]) + tree_root(leaves[half:])).digest()


def leaf(path: str, size: int, digest: str) -> bytes:
    return f"{digest}  {size}  {path}\n".encode("ascii")


def digest_stream(stream) -> tuple[int, str]:
    size, sha = 0, hashlib.sha256()
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        sha.update(chunk)
    return size, sha.hexdigest()


def read_pack(path: str) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file, by its path below EVI/."""
    files: dict[str, tuple[int, str]] = {}
    with zipfile.ZipFile(path) as pack:
        if sum(info.file_size for info in pack.infolist()) > MAX_PACK:
            raise Refused("larger than any pack")
        for info in pack.infolist():
            name = info.filename
            parts = name.split("/")
            if not name.startswith(PREFIX) or not name.isascii() or "" in parts or "." in parts or ".." in parts:
                raise Refused(f"{name!r} is no name for a file of a pack")
            if info.compress_type != zipfile.ZIP_STORED:
                raise Refused(f"{name} is compressed")
            if name[len(PREFIX):] in files:
                raise Refused(f"{name} is doubled")
            with pack.open(info) as stream:
                files[name[len(PREFIX):]] = digest_stream(stream)
    return files


def pack_root(path: str) -> tuple[str, int]:
    """The root and the number of leaves of a pack whose files agree with its manifest."""
    files = read_pack(path)
    if MANIFEST not in files:
        raise Refused(f"there is no {PREFIX}{MANIFEST}")
    with zipfile.ZipFile(path) as pack:
        manifest = json.loads(pack.read(PREFIX + MANIFEST))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise Refused(f"the manifest's format is not {FORMAT}")
    leaves = [leaf(MANIFEST, *files.pop(MANIFEST))]
    for entry in manifest["files"]:
        name = entry["path"]
        if name not in files:
            raise Refused(f"{PREFIX}{name} is in the manifest and not in the pack, or doubled in the manifest")
        size, digest = files.pop(name)
        if (size, digest) != (entry["size"], entry["sha256"]):
            raise Refused(f"{PREFIX}{name}: its SHA-256 or size is not the manifest's")
        leaves.append(leaf(name, size, digest))
    if files:
        raise Refused(f"{PREFIX}{min(files)} is in the pack and not in the manifest")
    return tree_root(leaves).hex(), len(leaves)


def check(anchor_path: str, pack_path: str, root: str, size: int) -> None:
    with open(anchor_path, encoding="utf-8") as stream:
        anchor = json.load(stream)
    with open(pack_path, "rb") as stream:
        _, digest = digest_stream(stream)
    for name, have in (("root", root), ("tree_size", size), ("pack_sha256", digest)):
        if anchor.get(name) != have:
            raise Refused(f"{anchor_path} says {name} {anchor.get(name)}, the pack has {have}")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Recompute the root of an evidence pack.")
    parser.add_argument("pack", metavar="PACK")
    parser.add_argument("--check", metavar="ANCHOR.json", help="compare with an anchor")
    args = parser.parse_args(argv)
    try:
        root, size = pack_root(args.pack)
        if args.check:
            check(args.check, args.pack, root, size)
    except (Refused, OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, NotImplementedError, EOFError) as err:
        print(f"anchor_root: {args.pack}: refused: {err}", file=sys.stderr)
        return 1
    print(root)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
