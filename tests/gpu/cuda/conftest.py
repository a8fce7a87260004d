"""Lets the tests of this folder import its helper modules (pytest's importlib mode leaves the folder out)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
