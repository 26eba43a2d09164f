#!/usr/bin/env bash
# Make what docker/compose.yaml needs beside the images: random secrets, and who the containers run as.
# What exists is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077

# Run by root, the containers still run as nobody special, who then owns the files.
user=$(id -u) group=$(id -g)
if test "$user" -eq 0; then user=10001 group=10001; fi

mkdir -p secrets storage
for name in postgres_password mlflow_admin_password mlflow_session_key ray_token grafana_password; do
    if ! test -e "secrets/$name"; then
        python3 -c 'import secrets; print(secrets.token_hex(32), end="")' >"secrets/$name"
        echo "made docker/secrets/$name"
    fi
done
if ! test -e .env; then
    printf 'COMPOSE_PROJECT_NAME=lejepa\nLEJEPA_UID=%s\nLEJEPA_GID=%s\n' "$user" "$group" >.env
    echo "made docker/.env: containers run as $user:$group"
fi
if test "$(id -u)" -eq 0; then chown -R "$user:$group" secrets storage; fi
