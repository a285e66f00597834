import pytest

from todo.observability.backup_metrics import BackupState, parse_state

SUCCESS = '{"at": "2026-11-30T03:15:07Z", "ok": true, "reason": "", "seconds": 7, "bytes": 20}'
FAILURE = (
    '{"at": "2026-11-30T03:15:08Z", "ok": false, "reason": "no space", "seconds": 1, "bytes": 0}'
)
AT = 1_796_008_507.0


def test_an_outcome_has_time_size_and_duration() -> None:
    assert parse_state(SUCCESS, FAILURE, receiving=True, lag=5) == BackupState(
        succeeded_at=AT, size=20, duration_s=7, failed_at=AT + 1, receiving=True, lag=5
    )


def test_a_drill_has_time_and_figures() -> None:
    drill = '{"at": "2026-11-30T03:15:07Z", "ok": true, "rpo_seconds": 0.5, "rto_seconds": 38.2}'
    assert parse_state(None, None, drill, FAILURE, receiving=None, lag=None) == BackupState(
        drilled_at=AT, rpo_s=0.5, rto_s=38.2, drill_failed_at=AT + 1
    )


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"at": 3}', '{"at": "yesterday"}'])
def test_an_outcome_that_nobody_wrote_is_none(text: str | None) -> None:
    assert parse_state(text, None, text, receiving=None, lag=None) == BackupState()
