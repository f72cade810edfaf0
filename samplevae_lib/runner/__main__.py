"""Execute one notebook: `python -m samplevae_lib.runner JOB.json`."""

from __future__ import annotations

import sys

from samplevae_lib.runner.execute import main

sys.exit(main(sys.argv[1]))
