import pytest

from todo.observability.update_metrics import UpdateState, collect_update, parse_update

SETTING = '{"at": "2026-11-30T03:15:07+00:00", "result": "rolled-back", "refused": 2}'
STATE = UpdateState(1_796_008_507.0, "rolled-back", 2)


def test_an_update_has_time_result_and_refused_images() -> None:
    assert parse_update(SETTING) == STATE
    samples = {
        (sample.name, sample.labels.get("result")): sample.value
        for metric in collect_update(STATE)
        for sample in metric.samples
    }
    assert samples == {
        ("todo_update_timestamp_seconds", None): STATE.at,
        ("todo_update_result", "updated"): 0,
        ("todo_update_result", "refused"): 0,
        ("todo_update_result", "rolled-back"): 1,
        ("todo_update_result", "failed"): 0,
        ("todo_update_refused_images", None): 2,
    }


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "[]", "{", "{}", "3", SETTING.replace("2026", "year")),
        *(SETTING.replace("rolled-back", "else"), SETTING.replace("2}", '"many"}')),
    ],
)
def test_a_setting_that_nobody_wrote_is_none(text: str | None) -> None:
    assert parse_update(text) is None
    assert list(collect_update(None)) == []
