"""The user in the address."""

from starlette.convertors import Convertor, register_url_convertor

_NAME = "user"


class _UserConvertor(Convertor[str]):
    # Not `v1`: what is below /api/v1 is no user's, also with a method that it does not know.
    regex = "(?!v1(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(_NAME, _UserConvertor())

SEGMENT = f"{{user_id:{_NAME}}}"
