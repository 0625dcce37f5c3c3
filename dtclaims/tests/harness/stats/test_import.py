"""`dtclaims.harness.stats` works where torch is not installed."""

import subprocess
import sys


def test_judging_never_imports_torch():
    """A verdict needs no torch, so results can be re-judged on a laptop; scipy and numpy wait for the first verdict."""
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from dtclaims.harness import stats\n"
        "slow = [name for name in sys.modules if name.partition('.')[0] in ('scipy', 'numpy')]\n"
        "assert not slow, 'they slow every pytest start'\n"
        "print(stats.judge_trend({1: 2.0, 2: 3.0, 3: 4.0}, stats.Trend('contrast', 1, 0.0, None)).outcome)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "reproduced\n"


def test_plain_import_leaves_torch_alone():
    """With torch installed, importing the statistics still does not load it."""
    script = "import sys, dtclaims.harness.stats; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
