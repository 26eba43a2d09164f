#!/usr/bin/env bash
# Exit code 0 if a page of this container answers; by default that of Ray on this node.
set -euo pipefail

exec python3 - "${1:-http://127.0.0.1:52365/api/local_raylet_healthz}" <<'PYTHON'
import sys
import urllib.request

try:
    urllib.request.urlopen(sys.argv[1], timeout=5)
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
PYTHON
