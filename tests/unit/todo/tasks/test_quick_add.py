import pytest

from todo.core.errors import AmbiguousTextError
from todo.core.problem_document import render_problem
from todo.quickadd.result import Question, QuickAdd
from todo.tasks.quick_add import QuickAddFields, complete_fields


def test_a_question_refuses_the_task_and_lists_its_choices() -> None:
    question = Question(9, 12, "ambiguous-date", "3/4 is 3 April or 4 March", ("Apr 3", "Mar 4"))
    found = QuickAddFields({"title": "rent"}, QuickAdd("rent", questions=(question,)))

    with pytest.raises(AmbiguousTextError) as refused:
        complete_fields(found)

    (error,) = refused.value.errors or ()
    assert dict(error) == {
        "in": "body",
        "field": "text",
        "start": 9,
        "end": 12,
        "code": "ambiguous-date",
        "message": "3/4 is 3 April or 4 March",
        "choices": ["Apr 3", "Mar 4"],
    }
    status, _, _ = render_problem(refused.value, instance="/", request_id="1")
    assert status == 422
