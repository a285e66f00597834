"""Route class of the API for existing front ends."""

from fastapi import Request

from todo.auth.route import ApiRoute
from todo.compat.field_aliases import read_parameters


class FrontEndRoute(ApiRoute):
    """Route class whose writes reject unsupported query parameters with status 400, like lists."""

    def check_query(self, request: Request) -> None:
        """Raise an error if the operation does not support a parameter."""
        items = request.query_params.multi_items()
        read_parameters(items, self.parameters, request.path_params["user_id"], is_write=True)
