"""Query parameters of frequent requests, parsed without FastAPI's model.

FastAPI inspects every field's annotation for each request, which is more than a tenth of the cost
of a list (docs/adr/0089-keep-what-saves-a-tenth-of-a-request.md).
"""

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def read_query(request: Request, model: type[Model]) -> Model:
    """Parse the query string into a model, like FastAPI's `Query()`.

    The last value of a repeated name counts; fields in the model's `REPEATED` get all values.

    Raises:
        RequestValidationError: The query is invalid.
    """
    given: dict[str, Any] = {}
    repeated = getattr(model, "REPEATED", ())
    for name, value in request.query_params.multi_items():
        if name in repeated:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        items = [
            item | {"loc": ("query", *item["loc"])} for item in error.errors(include_url=False)
        ]
        raise RequestValidationError(items) from None


def describe_query(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI parameters of an operation that calls `read_query`."""
    schema = model.model_json_schema()
    parameters = []
    for name, field in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        parameter["schema"] = field
        if "description" in field:
            parameter["description"] = field["description"]
        parameters.append(parameter)
    return {"parameters": parameters}
