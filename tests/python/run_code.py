"""Runs lines of Python as a person without a terminal would, and prints all that they say.

Usage: python run_code.py CODE
"""

import os
import sys

sys.stderr = sys.stdout
sys.stdin = open(os.devnull)
exec(sys.argv[1])
