"""Shared fixtures. The tests run on the CPU whatever accelerators there are: they check meaning, not speed."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real photos and clips that VTON_JAX_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("VTON_JAX_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("VTON_JAX_TEST_DATA names no folder of test data")
    return Path(folder)
