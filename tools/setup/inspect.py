"""Prints, as JSON, each pin of the lock argv[1] that applies on this platform
beside the installed version, and each installed distribution without a pin."""
import importlib.metadata, json, re, sys
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

installed = {canonicalize_name(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
rows = []
for line in open(sys.argv[1], encoding="utf-8"):
    if not re.match(r"[A-Za-z0-9]", line):
        continue
    r = Requirement(line.rstrip().rstrip("\\"))
    if r.marker is None or r.marker.evaluate():
        locked = next(iter(r.specifier)).version
        have = installed.pop(canonicalize_name(r.name), "")
        rows.append({"Name": r.name, "Locked": locked, "Installed": have})
for name in sorted(set(installed) - {"pip", "setuptools"}):
    rows.append({"Name": name, "Locked": "", "Installed": installed[name]})
print(json.dumps(rows))
