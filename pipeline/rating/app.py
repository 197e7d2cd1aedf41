"""The page in which people rate: a thin layer of Gradio over `Session`. Nobody's state is kept on the server.

Before anything else the rater agrees to what is kept. The name and the ticket of the task stand in the page and come
back with every click, so that a server that was killed and started again goes on where it was.
"""

from collections.abc import Callable
from functools import wraps
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import UserError, first_line
from pipeline.frame.running import fail
from pipeline.rating import consent, view
from pipeline.rating.session import NAME_CHARACTERS, OTHER_DRAW, RatingError, Session, Shown, Ticket, person
from pipeline.rating.uploads import KEPT_SECONDS, Uploads

Updates = dict[Any, Any]  # of components of the page

TITLE = "SIER: human evaluation"
KEYS = (
    '<p class="rate-hint">Keys: {digits} answer, <kbd>space</kbd> plays and pauses, <kbd>S</kbd> skips, '
    "<kbd>Z</kbd> takes the last answer back.</p>"
)
JUDGING_HELP = (
    "Judge what you see or hear, not what you think of it. Skip only what cannot be judged at all, such as a voice "
    "that nobody understands."
)
READING_HELP = (
    "Read the text aloud as its author may have meant it, and save it. Others will judge what they hear. You will not "
    "be asked about a row whose text you have read."
)
AGREE = "I have read this and agree to it."
NO_RECORDING = f"Please record the text first; what is not saved within {KEPT_SECONDS / 60:.0f} minutes is removed."
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}  # no spinner over the picture
CONTRAST = {
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_300",
    "block_title_text_color": "*neutral_700",
    "block_title_text_color_dark": "*neutral_200",
}


def resources() -> dict[str, Any]:
    """Look and behaviour, as `gradio.mount_gradio_app` takes them."""
    here = files("pipeline.rating")
    # Names of fonts alone: Gradio's own would be asked of a server elsewhere.
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return {
        "theme": theme.set(**CONTRAST),
        "css": here.joinpath("rating.css").read_text(encoding="utf-8"),
        "head": f"<script>{here.joinpath('keys.js').read_text(encoding='utf-8')}</script>",
    }


def _errors_shown(work: Callable[..., Updates]) -> Callable[..., Updates]:
    """`work`, whose errors the rater reads on the page, and whoever runs the server on its screen, as one line."""

    @wraps(work)
    def wrapped(*arguments: Any) -> Updates:
        given = ["" if value is None else value for value in arguments]
        try:
            if not all(isinstance(value, str | gr.Request | _Judging | _Reading) for value in given):
                raise RatingError(OTHER_DRAW)
            return work(*given)
        except RatingError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:  # noqa: BLE001 - of a defect too the operator reads a line
            fail("rate", str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}")
            raise gr.Error("This could not be kept; tell whoever runs this page.", print_exception=False) from None

    return wrapped


def build(session: Session, uploads: Uploads, named_by_login: bool) -> gr.Blocks:
    """The page; raters who have logged in are not asked for their names, and cannot change them."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(TITLE, elem_classes="rate-title")
        with gr.Column(visible=not named_by_login) as entrance:
            gr.Markdown(consent.TEXT, elem_id="consent")
            name = gr.Textbox(
                label="Your name", info="Use the same one each time.", max_length=NAME_CHARACTERS, elem_id="name",
                visible=not named_by_login,
            )  # fmt: skip
            agreed = gr.Checkbox(label=AGREE, elem_id="agree")
            enter = gr.Button("Start", variant="primary", elem_id="start")
        with gr.Column(visible=False) as room:
            with gr.Tab("Judge"):
                judging = _Judging(session, name)
            with gr.Tab("Read aloud") as reading_tab:
                reading = _Reading(session, uploads, name)

        def enter_room(rater: str) -> Updates:
            return {entrance: gr.update(visible=False), room: gr.update(visible=True), **judging.now(rater)}

        @_errors_shown
        def begin(name: str, version: str, request: gr.Request) -> Updates:
            rater = _who(name, request)
            if version or not session.has_agreed(rater):
                session.agree(rater, version)
            return enter_room(rater)

        @_errors_shown
        def arrive(name: str, request: gr.Request) -> Updates:
            rater = _who(name, request)
            return enter_room(rater) if session.has_agreed(rater) else {entrance: gr.update(visible=True)}

        outputs = [entrance, room, *judging.outputs]
        # Which text was ticked, for the server may have another one by then.
        ticked = f"(name, agreed) => [name, agreed ? '{consent.VERSION}' : '']"
        for event in (enter.click, name.submit):
            event(begin, inputs=[name, agreed], outputs=outputs, js=ticked, **QUIET)
        if named_by_login:
            page.load(arrive, inputs=[name], outputs=outputs, **QUIET)
        reading_tab.select(reading.enter, inputs=[name], outputs=reading.outputs, **QUIET)
    return page  # type: ignore[no-any-return]


class _Judging:
    """The tab in which rows are judged."""

    def __init__(self, session: Session, name: gr.Textbox) -> None:
        self.session = session
        self.progress = gr.HTML()
        self.task = gr.HTML(elem_id="task")
        self.ticket = gr.Textbox(visible=False)
        self.again = gr.Button("Look again", elem_id="again", visible=False)  # where nothing is left for now
        with gr.Row(elem_classes="rate-answers"):
            self.buttons = [
                gr.Button(f"{number}  {label}", elem_id=f"answer-{number}", variant="primary")
                for number, label in enumerate(session.labels, 1)
            ]
        with gr.Row(elem_classes="rate-small"):
            self.buttons.append(gr.Button("Skip", elem_id="skip", size="sm"))
            back = gr.Button("Take back the last", elem_id="take-back", size="sm")
        digits = " ".join(f"<kbd>{number}</kbd>" for number in range(1, len(session.labels) + 1))
        gr.HTML(KEYS.format(digits=digits))
        gr.Markdown(JUDGING_HELP)
        self.outputs = [self.progress, self.task, self.ticket, self.again, *self.buttons]
        for button, answer in zip(self.buttons, [*session.labels, None], strict=True):
            button.click(self._answering(answer), inputs=[name, self.ticket], outputs=self.outputs, **QUIET)
        self.again.click(self._look_again, inputs=[name], outputs=self.outputs, **QUIET)
        back.click(self._take_back, inputs=[name], outputs=self.outputs, **QUIET)

    def now(self, rater: str) -> Updates:
        """The rater's next task."""
        return self._show(self.session.next(rater))

    @_errors_shown
    def _look_again(self, name: str, request: gr.Request) -> Updates:
        return self.now(_who(name, request))

    def _show(self, shown: Shown) -> Updates:
        return {
            self.progress: view.progress(shown.progress),
            self.task: view.task(shown),
            self.ticket: shown.ticket.dump() if shown.ticket else "",
            self.again: gr.update(visible=shown.ticket is None and shown.progress.waiting > 0),
            **dict.fromkeys(self.buttons, gr.update(interactive=shown.ticket is not None)),
        }

    def _answering(self, answer: str | None) -> Callable[..., Updates]:
        @_errors_shown
        def keep(name: str, ticket: str, request: gr.Request) -> Updates:
            rater = _who(name, request)
            if not self.session.answer(rater, Ticket.load(ticket), answer):
                gr.Info("You had answered this one before, or have read its text aloud; nothing was changed.")
            return self.now(rater)

        return keep

    @_errors_shown
    def _take_back(self, name: str, request: gr.Request) -> Updates:
        rater = _who(name, request)
        shown = self.session.take_back(rater)
        if shown is None:
            gr.Info("There is no answer that can be taken back.")
            return self.now(rater)
        return self._show(shown)


class _Reading:
    """The tab in which texts are read aloud."""

    def __init__(self, session: Session, uploads: Uploads, name: gr.Textbox) -> None:
        self.session, self.uploads = session, uploads
        self.text = gr.HTML(elem_id="text")
        self.item = gr.Textbox(visible=False)
        self.passed = gr.Textbox(visible=False)
        self.recording = gr.Audio(
            sources=["microphone", "upload"], type="filepath", label="Your reading", editable=False,
            elem_id="recording", buttons=[],  # one of Gradio's would share it with the world
        )  # fmt: skip
        with gr.Row(elem_classes="rate-small"):
            self.save = gr.Button("Save the reading", variant="primary", elem_id="save-reading", interactive=False)
            self.other = gr.Button("Another text", elem_id="other-text")
        gr.Markdown(READING_HELP)
        self.outputs = [self.text, self.item, self.passed, self.recording, self.save, self.other]
        # The player shows a recording before the server has it: until then nothing could be saved.
        self.recording.change(self._heard, inputs=[self.recording], outputs=[self.save], **QUIET)
        saved = [name, self.item, self.passed, self.recording]
        self.save.click(self._save, inputs=saved, outputs=self.outputs, **QUIET)
        self.other.click(self._pass, inputs=[name, self.item, self.passed], outputs=self.outputs, **QUIET)

    @_errors_shown
    def enter(self, name: str, request: gr.Request) -> Updates:
        """The tab is opened."""
        return self._show(_who(name, request), "")

    def _show(self, reader: str, passed: str) -> Updates:
        item = self.session.next_text(reader, passed.split())
        if item is None and passed:  # all that are left were passed over: so begin again with them
            passed, item = "", self.session.next_text(reader)
        usable = item is not None
        return {
            self.text: view.text(self.session.words(item) if item else None),
            self.item: item.id if item else "",
            self.passed: passed,
            self.recording: gr.update(value=None, interactive=usable),
            self.save: gr.update(interactive=False),
            self.other: gr.update(interactive=usable),
        }

    @_errors_shown
    def _heard(self, recording: str, _request: gr.Request) -> Updates:
        if recording:
            self._upload(recording)
        return {self.save: gr.update(interactive=recording != "")}

    @_errors_shown
    def _pass(self, name: str, item: str, passed: str, request: gr.Request) -> Updates:
        return self._show(_who(name, request), f"{passed} {item}".strip())

    @_errors_shown
    def _save(self, name: str, item: str, passed: str, recording: str, request: gr.Request) -> Updates:
        reader = _who(name, request)
        path = self._upload(recording)
        self.session.add_reading(reader, item, path)
        self.uploads.saved(path.name)
        return self._show(reader, passed)

    def _upload(self, recording: str) -> Path:
        path = self.uploads.find(Path(recording).name)
        if path is None or str(path) != recording:
            raise RatingError(NO_RECORDING)
        return path


def _who(name: str, request: gr.Request) -> str:
    """The rater: by log-in where there is one, else as given."""
    return person(request.username or name)
