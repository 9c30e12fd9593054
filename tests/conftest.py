"""Makes the library importable from every test.

The root goes last on the path: it is a ComfyUI pack, and its folders must never shadow ComfyUI's own modules.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
