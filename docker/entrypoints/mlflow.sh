#!/usr/bin/env bash
# MLflow over PostgreSQL: nobody reads or writes without a password. Further arguments go to `lejepa server`.
set -euo pipefail
# shellcheck source=docker/entrypoints/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

database=${POSTGRES_PASSWORD_FILE:-/run/secrets/postgres_password}
admin=${MLFLOW_PASSWORD_FILE:-/run/secrets/mlflow_admin_password}
session=${MLFLOW_SESSION_KEY_FILE:-/run/secrets/mlflow_session_key}
host=${POSTGRES_HOST:-postgres} port=${POSTGRES_PORT:-5432} name=${POSTGRES_DB:-mlflow} user=${POSTGRES_USER:-mlflow}
read -ra hosts <<<"${MLFLOW_HOSTS:-mlflow localhost 127.0.0.1}"
uri=postgresql://$user@$host:$port/$name

require_user
require_secret "$database" "PostgreSQL's password"
require_secret "$admin" "MLflow's password"
require_secret "$session" "MLflow's session key"

# Secrets go by the names of their files; passwords of fewer than 12 characters and those that are guessed are refused.
exec lejepa server --backend-store-uri "$uri" --database-password-file "$database" \
    --admin "${MLFLOW_USERNAME:-admin}" --admin-password-file "$admin" --secret-key-file "$session" \
    --artifacts "${MLFLOW_ARTIFACTS:-/mlflow}" --host "${MLFLOW_BIND:-0.0.0.0}" --port "${MLFLOW_PORT:-5000}" \
    --workers 1 --allowed-hosts "${hosts[@]}" "$@"
