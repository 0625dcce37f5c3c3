"""Settings shared by the tests and the claims."""

import os

from hypothesis import HealthCheck, settings

# The claims are tests; tests of the plugin run pytest inside pytest.
pytest_plugins = ["dtclaims.harness.plugin", "pytester"]

# Claims for the tests of the harness: read by them, not run. An experiment of our own: run when it is named.
# Those of the light environment: run there (`nox -s light`).
collect_ignore = [
    "dtclaims/tests/support/sample_claims",
    "dtclaims/tests/support/tiny_paper",
    "dtclaims/tests/light",
    "dtclaims/examples",
    "claims/k1_head",
]

# One thread: on tensors this small, several threads spend their time waiting for each other. Read when torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Read by huggingface_hub when it is imported, so it must be set before anything imports it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Deadlines are off everywhere: the first call of a compiled or GPU kernel takes seconds.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None)
settings.register_profile("gpu", deadline=None, max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))
