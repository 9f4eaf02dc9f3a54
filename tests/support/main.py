"""Runs pytest on the files named by the arguments: the main of Bazel's tests.

Bazel runs a test as a program, and a test file run so would test nothing.
"""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-p", "no:cacheprovider", *sys.argv[1:]]))
