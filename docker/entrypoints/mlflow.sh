#!/usr/bin/env bash
# MLflow over PostgreSQL: nobody reads or writes without a password. Further arguments go to `mlflow server`.
set -euo pipefail
# shellcheck source=docker/entrypoints/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

database=${POSTGRES_PASSWORD_FILE:-/run/secrets/postgres_password}
admin=${MLFLOW_PASSWORD_FILE:-/run/secrets/mlflow_admin_password}
session=${MLFLOW_SESSION_KEY_FILE:-/run/secrets/mlflow_session_key}
host=${POSTGRES_HOST:-postgres} port=${POSTGRES_PORT:-5432} name=${POSTGRES_DB:-mlflow} user=${POSTGRES_USER:-mlflow}
uri=postgresql://$user@$host:$port/$name

require_user
require_secret "$database" "PostgreSQL's password"
require_secret "$admin" "MLflow's password"
require_secret "$session" "MLflow's session key"

umask 077
private=$(mktemp -d)
# libpq reads the password here: it stands in no command line and in no address that MLflow might log.
printf '%s:%s:%s:%s:%s\n' "$host" "$port" "$name" "$user" "$(sed 's/[\\:]/\\&/g' "$database")" >"$private/pgpass"
# What somebody logs is read by those whom they let, and by administrators.
cat >"$private/basic_auth.ini" <<INI
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = $uri
admin_username = ${MLFLOW_USERNAME:-admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# Passwords are slow to compare on purpose; a minute after a change the old one is forgotten.
auth_cache_ttl_seconds = 60
INI

MLFLOW_AUTH_ADMIN_PASSWORD=$(<"$admin")
MLFLOW_FLASK_SERVER_SECRET_KEY=$(<"$session")
export MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY
export PGPASSFILE=$private/pgpass MLFLOW_AUTH_CONFIG_PATH=$private/basic_auth.ini
# Job endpoints run code for whoever reaches the port.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true

exec mlflow server --app-name basic-auth --backend-store-uri "$uri" \
    --artifacts-destination "${MLFLOW_ARTIFACTS:-/mlflow}" --host "${MLFLOW_BIND:-0.0.0.0}" --port "${MLFLOW_PORT:-5000}" \
    --workers 1 --allowed-hosts "${MLFLOW_HOSTS:-mlflow:5000,localhost:5000,127.0.0.1:5000}" "$@"
