"""The scripts of docs/site, which are no package, importable for these tests."""

import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "docs" / "site"))
