"""What every test starts from."""

import os

import torch

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may wait for the network
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # several processes share the cores: none may spin while it waits
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # kernels run on a CPU, as numpy programs; Triton reads this when they are defined
