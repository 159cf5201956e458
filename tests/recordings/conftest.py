"""Bags are written and read with the optional extra `record`."""

import pytest

pytest.importorskip("rosbags", reason="skipped: rosbags is not installed (pip install 'selfpose6d[record]')")
