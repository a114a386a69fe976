from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
import urllib.parse
import warnings
from collections.abc import Iterator

import pytest
import structlog

from engine.record import logs
from engine.record.logs import configure, protect
from executors.contract.parts import MASK
from executors.contract.secret import Secret

PASSWORD = "hunter2/hunter2'+x"
SECRET = Secret(PASSWORD)


@pytest.fixture(params=["json", "people"])
def as_json(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "json")


@pytest.fixture
def stream(as_json: bool) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", *logs.TALKATIVE)}
    lines = io.StringIO()
    configure("DEBUG", lines, json=as_json)
    yield lines
    for handler in [handler for handler in root.handlers if isinstance(handler, logs._Handler)]:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


FORMS = [
    PASSWORD,
    json.dumps(PASSWORD),
    repr(PASSWORD),
    urllib.parse.quote(PASSWORD, safe=""),
    base64.b64encode(b"u:" + PASSWORD.encode()).decode(),
    PASSWORD.encode().hex(),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_protected_secret_is_masked_in_every_line(stream: io.StringIO, form: str) -> None:
    with protect([SECRET]):
        structlog.get_logger("engine").info("said " + form, reply=form, nested={"deep": [form]})
        logging.getLogger("some.library").warning("quoted %s", form)
    assert form not in stream.getvalue()
    assert PASSWORD not in stream.getvalue()
    assert stream.getvalue().count("\n") == 2
    assert MASK in stream.getvalue()


def test_after_its_use_a_secret_is_forgotten(stream: io.StringIO) -> None:
    with protect([SECRET]):
        pass
    logging.getLogger("x").warning("something else")
    assert MASK not in stream.getvalue()


def test_protection_nests_and_ends_with_the_outermost_use(stream: io.StringIO) -> None:
    with protect([SECRET]):
        with protect([SECRET, Secret("second-secret")]):
            pass
        logging.getLogger("x").warning("quoted %s", PASSWORD)
    assert PASSWORD not in stream.getvalue()


def test_protection_ends_when_the_block_raises() -> None:
    with pytest.raises(RuntimeError), protect([SECRET]):
        raise RuntimeError
    assert logs._registry.redact(PASSWORD) == PASSWORD


def test_threads_protect_and_log_at_once(stream: io.StringIO) -> None:
    def use(number: int) -> None:
        for turn in range(20):
            mine = f"thread-{number}-secret-{turn}"
            with protect([Secret(mine)]):
                structlog.get_logger().info("using", what=f"<{mine}>")

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "-secret-" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 120


def test_secrets_in_event_values_show_their_repr(stream: io.StringIO) -> None:
    structlog.get_logger().info(
        "given", secret=SECRET, nested={"list": [SECRET], "tuple": (SECRET,)}, kind=type(SECRET)
    )
    structlog.get_logger().info("given %s", SECRET)
    logging.getLogger("x").warning("given %s", SECRET)
    logging.getLogger("x").warning("given %(it)s", {"it": SECRET})
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("Secret(…)") + stream.getvalue().count("Secret(\\u2026)") == 6
    assert "could not be written" not in stream.getvalue()


def test_tracebacks_show_no_local_variables(stream: io.StringIO) -> None:
    def fail() -> None:
        held = "a-local-variable-value"
        raise ValueError(f"{len(held)} characters")

    for logger in (structlog.get_logger(), logging.getLogger("x")):
        try:
            fail()
        except ValueError:
            logger.exception("it failed")
    assert "22 characters" in stream.getvalue()
    assert stream.getvalue().count("Traceback") == 2
    assert "a-local-variable-value" not in stream.getvalue()


def test_a_secret_in_an_exception_text_is_masked(stream: io.StringIO) -> None:
    with protect([SECRET]):
        try:
            raise RuntimeError(f"login with {PASSWORD!r} failed")
        except RuntimeError:
            logging.getLogger("x").exception("it failed")
            structlog.get_logger().exception("it failed")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count(MASK) >= 2


@pytest.mark.parametrize("name", logs.TALKATIVE)
def test_talkative_libraries_are_capped_at_warning(stream: io.StringIO, name: str) -> None:
    logging.getLogger(f"{name}.inner").info("chatter")
    assert stream.getvalue() == ""
    logging.getLogger(f"{name}.inner").warning("trouble")
    assert "trouble" in stream.getvalue()


def test_a_higher_level_holds_for_talkative_libraries_too(stream: io.StringIO, as_json: bool) -> None:
    configure("ERROR", stream, json=as_json)
    logging.getLogger("paramiko.transport").warning("trouble")
    structlog.get_logger().warning("trouble")
    assert stream.getvalue() == ""


def test_query_strings_are_dropped(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    log.info("request", path="/v1/secret?token=abcdef", url="https://h/x#token=abcdef")
    log.info("got", request_url="/r?token=abcdef", answer="see https://h.example/p?token=abcdef now")
    logging.getLogger("x").warning("GET https://h.example/p?token=abcdef failed")
    assert "abcdef" not in stream.getvalue()
    assert "/v1/secret" in stream.getvalue()
    assert stream.getvalue().count("h.example/p") == 2


def test_a_question_elsewhere_is_kept(stream: io.StringIO) -> None:
    structlog.get_logger().info("sure?", answer="are you? yes")
    assert "are you? yes" in stream.getvalue()


def test_configuring_again_does_not_log_twice(stream: io.StringIO, as_json: bool) -> None:
    configure("INFO", stream, json=as_json)
    logging.getLogger("x").warning("once")
    assert stream.getvalue().count("once") == 1


def test_a_line_that_cannot_be_rendered_is_named_and_not_printed(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    with protect([SECRET]):
        (handler,) = [known for known in logging.getLogger().handlers if isinstance(known, logs._Handler)]
        handler.handle(
            logging.LogRecord("x", logging.WARNING, "f.py", 7, "%d " + PASSWORD, (PASSWORD,), None)
        )
    assert "hunter2" not in stream.getvalue()
    assert "a log line of f.py:7 could not be written: TypeError" in stream.getvalue()
    assert "hunter2" not in "".join(capsys.readouterr())


def test_a_closed_stream_does_not_stop_the_caller(
    stream: io.StringIO, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = io.StringIO()
    configure("INFO", gone, json=as_json)
    gone.close()
    logging.getLogger("x").warning("quoted %s", PASSWORD)
    assert "hunter2" not in "".join(capsys.readouterr())


def test_warnings_are_log_lines(stream: io.StringIO) -> None:
    with warnings.catch_warnings(), protect([SECRET]):
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"odd: {PASSWORD}", stacklevel=1)
    assert "odd" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


class TestJson:
    @pytest.fixture
    def as_json(self) -> bool:
        return True

    def test_every_line_is_one_object(self, stream: io.StringIO) -> None:
        structlog.get_logger("engine.work").info("claimed", operation=7, name="é\n")
        logging.getLogger("lib").error("x\ny", exc_info=sys.exc_info())
        first, second = map(json.loads, stream.getvalue().splitlines())
        assert (first["event"], first["operation"], first["level"]) == ("claimed", 7, "info")
        assert (first["logger"], first["name"]) == ("engine.work", "é\n")
        assert first["timestamp"].endswith("Z")
        assert (second["event"], second["logger"]) == ("x\ny", "lib")

    def test_a_mask_that_would_break_the_line_replaces_it(self, stream: io.StringIO) -> None:
        with protect([Secret("1234567"), Secret("abc")]):
            structlog.get_logger().warning("number", pin=1234567)
            structlog.get_logger().warning("short abc")
        for line in stream.getvalue().splitlines():
            assert json.loads(line) == {"event": MASK, "level": "warning"}
