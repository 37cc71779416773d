"""Known vulnerabilities of the packages installed here, by pip-audit: one that a newer version mends is a failure.

Says how many packages it could ask about: an index without advisories, or no network, leaves them unaudited.
"""

from __future__ import annotations

import json
import subprocess
import sys

ASK = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner", "off", "--format", "json"]


def main() -> int:
    done = subprocess.run(ASK, capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("not audited:", (done.stderr.strip() or "no answer").splitlines()[-1][:300])
        return 0
    asked = [package for package in packages if "skip_reason" not in package]
    print(f"{len(asked)} of {len(packages)} packages audited; the index has no answer for the others")
    mended = 0
    for package in asked:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"])
            mended += bool(fixed)
            print(
                f"{package['name']} {package['version']}: {found['id']}, {f'fixed in {fixed}' if fixed else 'no fix'}"
            )
    return 1 if mended else 0


if __name__ == "__main__":
    sys.exit(main())
