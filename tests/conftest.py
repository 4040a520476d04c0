"""What every test starts from."""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may wait for the network
sys.path.insert(0, str(Path(__file__).parent))
