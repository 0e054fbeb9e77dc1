"""Trunk management: which gateway of a provider takes a call, and what becomes of it."""
