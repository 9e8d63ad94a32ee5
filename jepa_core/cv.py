"""The only import of cv2 in the program.

`opencv-python` (not the headless build we depend on) points Qt at plugin and font folders of its own when imported;
child processes would inherit that. Whatever build is installed, nothing of it stays in the environment.
"""

from __future__ import annotations

import os

import cv2

for _name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
    if "cv2" in os.environ.get(_name, ""):
        del os.environ[_name]

__all__ = ["cv2"]
