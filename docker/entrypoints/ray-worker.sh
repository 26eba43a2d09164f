#!/usr/bin/env bash
# A worker of a Ray cluster: trials run here. RAY_HEAD names the head; further arguments go to `ray start`.
set -euo pipefail
# shellcheck source=docker/entrypoints/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

require_user
use_ray_token
exec ray start --block --disable-usage-stats --address "${RAY_HEAD:-ray-head:6379}" --metrics-export-port 8080 "$@"
