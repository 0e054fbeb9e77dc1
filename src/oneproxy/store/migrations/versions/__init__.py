"""One file per step; the newest one is `store.schema.HEAD`."""
