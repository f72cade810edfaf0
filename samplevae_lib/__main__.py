"""`python -m samplevae_lib`."""

from __future__ import annotations

import sys

from samplevae_lib.cli import main

sys.exit(main())
