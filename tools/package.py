"""Zip what is deployed into build/app.zip: an allow-list, with fixed times so that equal sources give equal bytes."""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("function_app.py", "host.json", "requirements.txt")
FOLDERS = ("functions", "keeper")
LEFT_OUT = ("keeper/cli/",)
EPOCH = (1980, 1, 1, 0, 0, 0)


def shipped() -> list[str]:
    """The names of the files that are deployed, sorted."""
    found = [*SHIPPED]
    for folder in FOLDERS:
        found += [str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py")]
    return sorted(name for name in found if not name.startswith(LEFT_OUT))


def main() -> int:
    """Write the zip and print its path and size."""
    out = ROOT / "build" / "app.zip"
    out.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in shipped():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, (ROOT / name).read_bytes(), zipfile.ZIP_DEFLATED)
    print(f"{out.relative_to(ROOT)}: {len(shipped())} files, {out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
