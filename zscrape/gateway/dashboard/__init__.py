"""The files of the dashboard: no build step makes them, `api/dashboard.py` serves them."""
