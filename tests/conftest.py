"""What every test starts from."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may wait for the network
