"""Tests of anchor_root.py on packs made here, without prega."""
import contextlib
import hashlib
import io
import json
import pathlib
import tempfile
import unittest
import zipfile

import anchor_root


def make(folder: pathlib.Path, files: dict[str, bytes], *, manifest=None, extra=(), method=zipfile.ZIP_STORED) -> pathlib.Path:
    """Write a pack of these files; manifest changes the manifest, extra adds entries."""
    listed = {
        "format": anchor_root.FORMAT,
        "files": [{"path": p, "size": len(b), "sha256": hashlib.sha256(b).hexdigest()} for p, b in sorted(files.items())],
    }
    if manifest:
        manifest(listed)
    path = folder / "pack.zip"
    with zipfile.ZipFile(path, "w", method) as pack:
        pack.writestr("EVI/manifest.json", json.dumps(listed))
        for name, content in [*((f"EVI/{p}", b) for p, b in files.items()), *extra]:
            pack.writestr(name, content)
    return path


class AnchorRoot(unittest.TestCase):
    FILES = {"a.txt": b"a", "b/c.txt": b"", "d.json": b"{}", "e": b"12345"}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_main(self, *args) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = anchor_root.main([str(a) for a in args])
        return status, out.getvalue(), err.getvalue()

    def test_rfc_6962_vectors(self):
        """The inputs and roots that Certificate Transparency's own tests use."""
        inputs = [bytes.fromhex(h) for h in (
            "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
        roots = (
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        )
        for n, root in enumerate(roots):
            self.assertEqual(anchor_root.tree_root(inputs[:n]).hex(), root, f"{n} leaves")

    def test_prints_the_root_of_a_good_pack(self):
        pack = make(self.folder, self.FILES)
        status, out, err = self.run_main(pack)
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^[0-9a-f]{64}\n$")
        root, size = anchor_root.pack_root(str(pack))
        self.assertEqual((out.strip(), size), (root, 5))

    def test_every_file_path_and_size_counts(self):
        seen = {anchor_root.pack_root(str(make(self.folder, self.FILES)))[0]}
        for change in ({"a.txt": b"b"}, {"a.txt": b""}, {"f": b""}):
            seen.add(anchor_root.pack_root(str(make(self.folder, {**self.FILES, **change})))[0])
        renamed = {("A.txt" if p == "a.txt" else p): b for p, b in self.FILES.items()}
        seen.add(anchor_root.pack_root(str(make(self.folder, renamed)))[0])
        self.assertEqual(len(seen), 5)

    def test_refuses(self):
        def lie(key, value):
            return lambda m: m["files"][0].update({key: value})

        cases = {
            "SHA-256 or size": {"manifest": lie("sha256", "0" * 64)},
            "not the manifest's": {"manifest": lie("size", 7)},
            "in the manifest and not in the pack": {"manifest": lambda m: m["files"].append({"path": "x", "size": 0, "sha256": ""})},
            "or doubled in the manifest": {"manifest": lambda m: m["files"].append(m["files"][0])},
            "in the pack and not in the manifest": {"extra": [("EVI/x", b"")]},
            "no name for a file": {"extra": [("EVI/../x", b"")]},
            "format": {"manifest": lambda m: m.update(format="other")},
            "compressed": {"method": zipfile.ZIP_DEFLATED},
        }
        for want, how in cases.items():
            with self.subTest(want):
                status, out, err = self.run_main(make(self.folder, self.FILES, **how))
                self.assertEqual((status, out), (1, ""))
                self.assertIn(want, err)

    def test_refuses_what_is_no_pack(self):
        empty = self.folder / "empty.zip"
        empty.write_bytes(b"")
        for path in (empty, self.folder / "none.zip"):
            self.assertEqual(self.run_main(path)[0], 1)

    def test_check_compares_with_the_anchor(self):
        pack = make(self.folder, self.FILES)
        root, size = anchor_root.pack_root(str(pack))
        good = {"root": root, "tree_size": size, "pack_sha256": hashlib.sha256(pack.read_bytes()).hexdigest()}
        anchor = self.folder / "ANCHOR.json"
        anchor.write_text(json.dumps(good))
        self.assertEqual(self.run_main("--check", anchor, pack)[0], 0)
        for key, value in (("root", "0" * 64), ("tree_size", 4), ("pack_sha256", "0" * 64)):
            anchor.write_text(json.dumps({**good, key: value}))
            status, out, err = self.run_main("--check", anchor, pack)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(key, err)

    def test_one_flipped_byte_names_the_file(self):
        pack = make(self.folder, self.FILES)
        raw = bytearray(pack.read_bytes())
        raw[raw.rindex(b"12345")] ^= 1
        pack.write_bytes(raw)
        status, _, err = self.run_main(pack)
        self.assertEqual(status, 1)
        self.assertIn("EVI/e", err)


if __name__ == "__main__":
    unittest.main()
