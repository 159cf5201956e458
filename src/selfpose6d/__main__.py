"""`python -m selfpose6d COMMAND ...`."""

import sys

from selfpose6d.cli.main import main

sys.exit(main())
