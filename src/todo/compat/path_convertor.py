"""The user ID in the path."""

from starlette.convertors import Convertor, register_url_convertor

_NAME = "user"


class _UserConvertor(Convertor[str]):
    # Not `v1`: a path below /api/v1 belongs to no user, also with a method that it does not have.
    regex = "(?!v1(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(_NAME, _UserConvertor())

SEGMENT = f"{{user_id:{_NAME}}}"
