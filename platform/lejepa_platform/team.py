"""`lejepa server`: MLflow for a team."""

import os
from dataclasses import dataclass
from pathlib import Path

from lejepa_platform.errors import TrackingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """MLflow's server over a database, with users and passwords; in the foreground, until it is ended."""

    backend_store_uri: str | None = None
    """Database, such as postgresql://USER@HOST/NAME; by default MLFLOW_BACKEND_STORE_URI, which `ps` does not show."""
    database_password_file: Path | None = None
    """File that holds the password of the database."""
    artifacts: str
    """Folder or URI of the artifacts; clients reach it through the server alone."""
    admin: str = "admin"
    """Name of the first user, who may do everything."""
    admin_password_file: Path | None = None
    """File that holds their password, read when the user is made. Without, nobody is asked who they are."""
    secret_key_file: Path | None = None
    """File that holds what sessions are signed with: 32 characters or more."""
    host: str = "127.0.0.1"
    """Address to listen on; another than this machine's own wants --admin-password-file."""
    port: int = 5000
    """Port."""
    workers: int = 2
    """Processes."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that clients call the server by; by default those of this machine and private addresses."""

    def run(self) -> int:
        """Serve until interrupted."""
        # Here, not at the top: the other commands start without.
        from lejepa_platform.serving import require_free, serve
        from lejepa_platform.tracking import server

        store = self.backend_store_uri or os.environ.get("MLFLOW_BACKEND_STORE_URI", "")
        if not store:
            raise TrackingError("no --backend-store-uri came; name a database: postgresql://USER@HOST/NAME")
        authenticated = self.admin_password_file is not None
        server.require_guarded(self.host, authenticated=authenticated)
        require_free(self.host, self.port, TrackingError)
        command = server.server_command(
            artifacts=self.artifacts if "://" in self.artifacts else Path(self.artifacts).absolute().as_uri(),
            host=self.host,
            port=self.port,
            workers=self.workers,
            allowed_hosts=self.allowed_hosts,
            authenticated=authenticated,
        )
        with server.server_environment(
            store,
            database_password=self.database_password_file,
            admin=self.admin,
            admin_password=self.admin_password_file,
            secret_key=self.secret_key_file,
        ) as environment:
            return serve(command, environment)
