"""The paper's tables and figures, and other published settings, as studies: see `lejepa paper list`."""
