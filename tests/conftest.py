"""Shared by all tests: helper modules beside this file are importable, threads are few."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)
