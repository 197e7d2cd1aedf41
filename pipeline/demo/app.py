"""The page of the demo: a thin layer of Gradio over `Studio`. Nobody's state is kept, and nothing is shared."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.demo import view
from pipeline.demo.studio import Studio, VisitorError
from pipeline.errors import first_line
from pipeline.frame.running import fail
from pipeline.rating.app import resources as shared_look
from pipeline.rating.uploads import Uploads

TITLE = "SIER: speech and image emotion"
ABOUT = (
    "Give a picture, and a text for the voice or a recording. Two teachers judge what is seen and heard, a rule makes "
    "a label of that as for each row of the dataset, and a network that has learned from those labels gives its own "
    "answer. **The labels are the teachers' guesses, not what a person feels or means.** What you send stays on this "
    "machine and is removed after ten minutes."
)
DEFECT = "Something went wrong here; tell whoever runs this page."
EVENT: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "studio", "concurrency_limit": 1}


def look() -> dict[str, Any]:
    """As `gradio.mount_gradio_app` takes it."""
    css = files("pipeline.demo").joinpath("demo.css").read_text(encoding="utf-8")
    return {**shared_look(), "css": css, "head": ""}


def build(studio: Studio, uploads: Uploads) -> gr.Blocks:
    """The page."""

    def asked(work: Callable[..., str]) -> Callable[[Any, Any, Any], str]:
        def handle(image: Any, text: Any, recording: Any) -> str:
            try:
                if not isinstance(text or "", str):
                    raise VisitorError(DEFECT)
                return work(_sent(uploads, image), text or "", _sent(uploads, recording))
            except VisitorError as error:
                return view.problem(str(error))
            except Exception as error:  # noqa: BLE001 - of a defect too the operator reads a line
                fail("demo", f"{type(error).__name__}: {first_line(error)}")
                return view.problem(DEFECT)

        return handle

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(f"# {TITLE}", elem_classes="demo-title")
        gr.Markdown(ABOUT)
        with gr.Row():
            image = gr.Image(
                sources=["upload", "clipboard"], type="filepath", label="Picture", height=260, elem_id="picture",
                buttons=[],
            )  # fmt: skip
            with gr.Column():
                text = gr.Textbox(
                    label="Text", info=f"The voice reads it, up to {studio.text_characters_max} characters.", lines=3,
                    elem_id="text",
                )  # fmt: skip
                recording = gr.Audio(
                    sources=["microphone", "upload"], type="filepath", label="or a recording", editable=False,
                    elem_id="recording", buttons=[],
                )  # fmt: skip
        for part in (image, recording):  # Gradio's own would open a stranger's file
            setattr(part, "preprocess", lambda payload: payload.path if payload else None)  # noqa: B010 - a method
        with gr.Row():
            ask = gr.Button("Answer", variant="primary", elem_id="ask")
            explain = gr.Button("Explain the network's answer", elem_id="explain")
        answer = gr.HTML(elem_id="answer")
        explanation = gr.HTML(elem_id="explanation")
        given = [image, text, recording]
        ask.click(asked(lambda *args: view.answer(studio.answer(*args))), inputs=given, outputs=answer, **EVENT)
        explain.click(
            asked(lambda *args: view.explanation(studio.explain(*args))), inputs=given, outputs=explanation, **EVENT
        )
        ask.click(lambda *_: "", inputs=given, outputs=explanation, api_visibility="private", show_progress="hidden")
    return page  # type: ignore[no-any-return]


def _sent(uploads: Uploads, path: Any) -> bytes | None:
    """What was sent under this name, and is still there."""
    if not isinstance(path, str):
        return None
    found = uploads.find(Path(path).name)
    return found.read_bytes() if found is not None and str(found) == path else None
