"""OneProxy: the SIP entry point of a contact centre."""

__version__ = "0.1.0"
