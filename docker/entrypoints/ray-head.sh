#!/usr/bin/env bash
# The head of a Ray cluster: scheduler, Jobs API and the drivers of studies; trials run on the workers.
# Further arguments go to `ray start`.
set -euo pipefail
# shellcheck source=docker/entrypoints/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

require_user
use_ray_token
use_tracker
exec ray start --head --block --disable-usage-stats --port 6379 --num-cpus 0 \
    --dashboard-host 0.0.0.0 --dashboard-port 8265 --metrics-export-port 8080 "$@"
