# shellcheck shell=bash
# Sourced by the entrypoints: what has to hold before anything starts, or one line and exit code 2.

refuse() {
    echo "error: $*" >&2
    exit 2
}

require_user() {
    test "$(id -u)" -ne 0 || refuse "started as root; give the container another user, such as --user 10001:10001"
}

# require_secret FILE WHAT: a file that only its owner and group can read, holding one long word that was drawn at random.
require_secret() {
    local file=$1 what=$2 mode value letters
    test -f "$file" || refuse "$what: no file $file; docker/make-secrets.sh makes it"
    test -r "$file" || refuse "$what: $file cannot be read by user $(id -u); it has to own the file"
    mode=$(stat -L -c %a "$file")
    test "${mode: -1}" = 0 || refuse "$what: $file has mode $mode, everybody can read it; chmod 600 $file"
    value=$(<"$file")
    test -n "$value" || refuse "$what: $file is empty; docker/make-secrets.sh makes a new one"
    test "${#value}" -ge 20 || refuse "$what: $file holds ${#value} characters, at least 20 were wanted"
    [[ $value =~ ^[[:graph:]]+$ ]] || refuse "$what: $file holds blanks or several lines, one word was wanted"
    letters=$(fold -w 1 <<<"$value" | sort -u | wc -l)
    if test "$letters" -lt 8 || [[ ${value,,} =~ passw|change|secret|default|example|admin|token ]]; then
        refuse "$what: $file looks like a placeholder; docker/make-secrets.sh makes a random one"
    fi
}

# The token of the cluster, for Ray's processes and its clients: the path is handed on, never the token.
use_ray_token() {
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-/run/secrets/ray_token}
    # It would be taken in place of the file, and is seen by whoever may list processes.
    unset RAY_AUTH_TOKEN
    require_secret "$RAY_AUTH_TOKEN_PATH" "the Ray token"
}

# Who MLflow's clients in this container are: in the file that MLflow reads, not in the environment of every trial.
use_tracker() {
    test -n "${MLFLOW_TRACKING_URI:-}" || return 0
    local file=${MLFLOW_PASSWORD_FILE:-/run/secrets/mlflow_admin_password}
    require_secret "$file" "MLflow's password"
    (
        umask 077
        mkdir -p "$HOME/.mlflow"
        # MLflow's reader takes a percent sign for an interpolation.
        printf '[mlflow]\nmlflow_tracking_username = %s\nmlflow_tracking_password = %s\n' \
            "${MLFLOW_USERNAME:-admin}" "$(sed 's/%/%%/g' "$file")" >"$HOME/.mlflow/credentials"
    )
}
