#!/usr/bin/env bash
# Run a command as a client of the cluster and of MLflow, such as: study.sh lejepa submit --wait -- python sweeps/...
set -euo pipefail
# shellcheck source=docker/entrypoints/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

test $# -gt 0 || refuse "no command came; as in: study.sh lejepa submit --wait -- python sweeps/lambda_stability.py"
require_user
use_ray_token
use_tracker
exec "$@"
