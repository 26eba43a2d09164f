#!/usr/bin/env bash
# Exit code 0 if a page of this container answers with 200; by default that of Ray on this node.
set -euo pipefail

exec python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
    "${1:-http://127.0.0.1:52365/api/local_raylet_healthz}"
