"""The schema's history; it only goes forward."""
