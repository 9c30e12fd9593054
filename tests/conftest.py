"""Makes the library and the node pack importable from every test.

The root goes last on the path: it is a ComfyUI pack, and its folders must never shadow ComfyUI's own modules.
The pack is loaded as ComfyUI does it, from its file and under another name: `got_pack`. It brings a copy
of the library, so tests of the nodes import everything from there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

if "got_pack" not in sys.modules:
    specification = importlib.util.spec_from_file_location(
        "got_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["got_pack"] = pack = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(pack)
