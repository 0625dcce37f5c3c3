"""Settings shared by the tests and the claims. It imports nothing that `pip install '.[lab]'` does not bring."""

import os

# The claims are tests; tests of the plugin run pytest inside pytest.
pytest_plugins = ["dtclaims.harness.plugin", "pytester"]

# Claims for the tests of the harness: read by them, not run. An experiment of our own: run when it is named.
# Those of the light environment: run there (`nox -s light`).
collect_ignore = [
    "dtclaims/tests/support/sample_claims",
    "dtclaims/tests/support/tiny_paper",
    "dtclaims/tests/support/bread_paper",
    "dtclaims/tests/light",
    "dtclaims/examples",
    "claims/k1_head",
]

# One thread: on tensors this small, several threads spend their time waiting for each other. Read when torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Read by huggingface_hub when it is imported, so it must be set before anything imports it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
