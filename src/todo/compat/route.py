"""The route class of the API that existing front ends call."""

from fastapi import Request

from todo.auth.route import ApiRoute
from todo.compat.field_aliases import read_parameters


class FrontEndRoute(ApiRoute):
    """Refuses parameters of a write as those of a list are refused: by name, with 400."""

    def check_query(self, request: Request) -> None:
        """Refuse parameters that the operation does not have."""
        items = request.query_params.multi_items()
        read_parameters(items, self.parameters, request.path_params["user_id"], is_write=True)
