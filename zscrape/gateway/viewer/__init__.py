"""The files of `/docs`: Swagger UI as its makers ship it, packed; `api/docs.py` serves them."""
