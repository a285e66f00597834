"""Path convertor for the user ID."""

from starlette.convertors import Convertor, register_url_convertor

_NAME = "user"


class _UserConvertor(Convertor[str]):
    # Excludes `v1`: otherwise these routes would match paths of /api/v1 with an unsupported method.
    regex = "(?!v1(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(_NAME, _UserConvertor())

SEGMENT = f"{{user_id:{_NAME}}}"
