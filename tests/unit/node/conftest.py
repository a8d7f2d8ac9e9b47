"""The node program is no installed package: its tests find it where the machines' bundle is made from."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "cloud-init" / "node"))
sys.path.insert(0, str(Path(__file__).parent))
