"""How the documentation is built: ``make docs``. Warnings are errors, and the tutorial is executed."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])  # for the tutorial's kernel

from harness import __version__  # noqa: E402

project = "TabOrder"
author = "TabOrder's authors"
release = version = __version__

extensions = ["sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"TabOrder {version}"
html_static_path: list[str] = []
suppress_warnings = ["ref.python"]  # a bare word of a docstring may be the name of several things

apidoc_modules = [
    {
        "path": f"../{name}",
        "destination": f"api/{name}",
        "separate_modules": False,
        "module_first": True,
        "max_depth": 2,
    }
    for name in ("harness", "methods", "baselines")
]
autodoc_default_options = {
    "members": True,
    "ignore-module-all": True,
    "show-inheritance": True,
    "member-order": "bysource",
}
autodoc_typehints = "signature"
autodoc_mock_imports: list[str] = ["arfpy", "be_great", "datasets", "desbordante", "mostlyai", "peft", "realtabformer"]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are described in their class's docstring and listed nowhere else

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
